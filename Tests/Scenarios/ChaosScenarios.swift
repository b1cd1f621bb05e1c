import Foundation
import Glibc
import TestSupport
import Testing

/// Random clients against random upstreams. Each request says what its upstream does with it, so that the right answer is
/// always known; a failed run is repeated by putting its seed into CHAOS_SEED.
@Suite("Chaos", .serialized) struct ChaosScenarios {
    enum Act: String, CaseIterable, Sendable {
        case length, chunked, close, interim, slow, noContent, notModified
        case early, cutLength, cutChunks, cutHead, reset, garbage, surplus, silent
    }

    private static func body(_ token: String, _ random: inout SplitMix) -> String {
        String(repeating: token + ";", count: Int(random.next() % 400) + 1)
    }

    /// What the upstream sends for an act; it knows the token and nothing else, so it can be worked out on both sides.
    private static func serve(_ act: Act, _ token: String, head: Bool, on connection: RawConnection) -> Bool {
        var random = SplitMix(UInt64(truncatingIfNeeded: token.stableHash))
        let body = Self.body(token, &random)
        let ok = "HTTP/1.1 200 OK\r\nX-Token: \(token)\r\n"
        let length = ok + "Content-Length: \(body.utf8.count)\r\n\r\n"
        // Who ends a connection behind a whole answer says so; else the next request on it may be lost by nobody's fault.
        let closing = "Connection: close\r\n\r\n"
        switch act {
        case .length: return connection.send(length + (head ? "" : body))
        case .chunked:
            return connection.send(ok + "Transfer-Encoding: chunked\r\n\r\n" + (head ? "" : Self.chunks(body, &random)))
        case .close:
            connection.send(ok + closing + (head ? "" : body))
            return false
        case .interim:
            return connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + length + (head ? "" : body))
        case .slow:
            connection.send(length + (head ? "" : body), pieces: 700)
            return true
        case .noContent: return connection.send("HTTP/1.1 204 No Content\r\nX-Token: \(token)\r\n\r\n")
        case .notModified:
            return connection.send("HTTP/1.1 304 Not Modified\r\nX-Token: \(token)\r\nContent-Length: 77\r\n\r\n")
        case .early:
            connection.send(
                "HTTP/1.1 403 Forbidden\r\nX-Token: \(token)\r\nContent-Length: 2\r\n" + closing + (head ? "" : "no"))
            return false
        case .cutLength:
            connection.send(ok + "Content-Length: \(body.utf8.count + 1)\r\n" + closing + (head ? "" : body))
            return false
        case .cutChunks:
            let cut = String(Self.chunks(body, &random).dropLast(2))
            connection.send(ok + "Transfer-Encoding: chunked\r\n" + closing + (head ? "" : cut))
            return false
        case .cutHead:
            connection.send(String(length.dropLast(2)))
            return false
        case .reset:
            connection.resetOnClose()
            return false
        case .garbage:
            connection.send("\(token) what?\r\n\r\n")
            return false
        case .surplus:
            return connection.send(
                length + (head ? "" : body) + "HTTP/1.1 200 OK\r\nX-Token: evil\r\nContent-Length: 4\r\n\r\nevil")
        case .silent:
            _ = connection.readAll()
            return false
        }
    }

    private static func chunks(_ text: String, _ random: inout SplitMix) -> String {
        var rest = Substring(text)
        var out = ""
        while !rest.isEmpty {
            let part = rest.prefix(Int(random.next() % 300) + 1)
            out += String(part.utf8.count, radix: 16) + (random.next() % 4 == 0 ? ";x=y" : "") + "\r\n\(part)\r\n"
            rest = rest.dropFirst(part.count)
        }
        return out + "0\r\n" + (random.next() % 2 == 0 ? "X-Trailer: t\r\n" : "") + "\r\n"
    }

    struct Request: Sendable {
        var act: Act
        var method: String
        var token: String
        var text: String
    }

    private static func request(_ token: String, _ random: inout SplitMix) -> Request {
        let act = Act.allCases[Int(random.next() % UInt64(Act.allCases.count))]
        let method = ["GET", "GET", "POST", "PUT", "HEAD", "DELETE"][Int(random.next() % 6)]
        // Silence alone has a short deadline: how late the others may be says nothing.
        var text =
            "\(method) /\(act == .silent ? "silent/" : "")\(token) HTTP/1.1\r\nHost: h\r\nX-Token: \(token)\r\nX-Act: \(act.rawValue)\r\n"
        switch random.next() % 3 {
        case 0 where method != "HEAD":
            let body = Self.body(token, &random)
            text += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        case 1 where method != "HEAD":
            text += "Transfer-Encoding: chunked\r\n\r\n" + Self.chunks(Self.body(token, &random), &random)
        default: text += "\r\n"
        }
        return Request(act: act, method: method, token: token, text: text)
    }

    /// Why this is not an answer that `request` may get; nil if it is.
    private static func wrong(_ response: Message, to request: Request) -> String? {
        var random = SplitMix(UInt64(truncatingIfNeeded: request.token.stableHash))
        let body = request.method == "HEAD" ? "" : Self.body(request.token, &random)
        let isOurs = response.field("x-balancer-reason") != nil
        if !isOurs, response.field("x-token") != request.token { return "the answer of another request" }
        let statuses: [Int]
        switch request.act {
        case .length, .chunked, .close, .interim, .slow, .surplus: statuses = [200]
        case .noContent: statuses = [204]
        case .notModified: statuses = [304]
        case .early: statuses = [403]
        case .cutLength, .cutChunks:
            // Without a body there is nothing to cut.
            if request.method != "HEAD" { return "whole, though it was cut" }
            statuses = [200]
        case .cutHead, .reset, .garbage: statuses = [502]
        case .silent: statuses = [504]
        }
        if !statuses.contains(response.status) {
            return "status \(response.status) \(response.field("x-balancer-reason") ?? "")"
        }
        if response.status == 200, response.text != body { return "another body" }
        return nil
    }

    @Test("Every answer belongs to its request, cuts show, no POST is repeated, and nothing is left behind")
    func chaos() throws {
        let seed =
            ProcessInfo.processInfo.environment["CHAOS_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 1...UInt64.max)
        let seen = SeenRequests()
        let upstreams = try (0..<2).map { _ in
            try ScriptedUpstream { connection, _ in
                var reader = MessageReader(connection)
                while true {
                    var request = try reader.head(seconds: 60)
                    let token = request.field("x-token") ?? ""
                    let act = request.field("x-act").flatMap { Act(rawValue: $0) } ?? .garbage
                    if request.start.hasPrefix("POST") { seen.add(token) }
                    // An early answer does not wait for the body.
                    if act != .early { try reader.body(of: &request) }
                    guard Self.serve(act, token, head: request.start.hasPrefix("HEAD"), on: connection) else { return }
                }
            }
        }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", upstreams.map(\.port))],
                routes: """
                    {"name": "silent", "match": {"path": "/silent"}, "split": {"core": 1},
                     "timeouts": {"responseHeader": "400ms"}},
                    {"name": "api", "split": {"core": 1}}
                    """,
                upstreamKeys:
                    "\"passive\": {\"enabled\": false}, \"retry\": {\"budgetPercent\": 100, \"minimumPerSecond\": 10000}"
            ), workers: 2)
        let descriptors = balancer.program.openFiles
        let faults = Locked<[String]>([])
        let finished = Progress()
        let clients = 8
        for client in 0..<clients {
            startThread {
                var random = SplitMix(seed &+ UInt64(client))
                for round in 0..<120 {
                    if let fault = Self.converse("\(client)-\(round)", balancer, &random) {
                        faults.change { $0.append(fault) }
                    }
                }
                finished.add(1)
            }
        }
        #expect(eventually(seconds: 300) { finished.value == clients }, "seed \(seed)")
        #expect(faults.value.isEmpty, "seed \(seed): \(faults.value.count) faults, \(faults.value.prefix(4))")
        #expect(seen.repeated.isEmpty, "seed \(seed): sent again: \(seen.repeated.prefix(4))")
        #expect(balancer.program.exitStatus == nil, "seed \(seed): \(balancer.program.errors.suffix(5))")
        let quiet = try eventually {
            let status = try balancer.json("/api/v1/status")
            return try status["connections"] as? Int == 0 && status["exchanges"] as? Int == 0
                && balancer.outstanding() == 0
        }
        #expect(quiet, "seed \(seed): something is still open")
        // Pooled connections stay; all others are gone.
        let idle = try upstreams.map {
            try balancer.metric(
                "balancer_endpoint_connections_idle{upstream=\"core\",endpoint=\"127.0.0.1:\($0.port)\"}")
        }.reduce(0, +)
        #expect(eventually { balancer.program.openFiles <= descriptors + Int(idle) }, "seed \(seed)")
    }

    /// One connection with up to three requests, perhaps pipelined, in random pieces, perhaps given up in the middle.
    private static func converse(_ name: String, _ balancer: BalancerProcess, _ random: inout SplitMix) -> String? {
        guard let connection = try? balancer.connect() else { return "\(name): cannot connect" }
        let requests = (0...Int(random.next() % 3)).map { Self.request("\(name)-\($0)", &random) }
        let text = requests.map(\.text).joined()
        let givesUp = random.next() % 8 == 0
        let sent = givesUp ? String(text.prefix(Int(random.next() % UInt64(text.count)))) : text
        switch random.next() % 3 {
        case 0: connection.send(sent)
        case 1: connection.send(sent, pieces: Int(random.next() % 900) + 50)
        default: connection.send(sent, pieces: Int(random.next() % 60) + 200)
        }
        if givesUp {
            if random.next() % 2 == 0 { connection.resetOnClose() }
            if random.next() % 2 == 0 { connection.endOutput() }
            return nil
        }
        var reader = MessageReader(connection)
        for request in requests {
            do {
                var response = try reader.message(toHEAD: request.method == "HEAD", seconds: 60)
                while response.status == 103 {
                    response = try reader.message(toHEAD: request.method == "HEAD", seconds: 60)
                }
                if let wrong = Self.wrong(response, to: request) {
                    return "\(request.token) \(request.method) \(request.act): \(wrong): \(response.start)"
                }
                // What follows on a connection that ends is not answered, and was not begun.
                if response.closes { return nil }
            } catch {
                let mayEnd: [Act] = [.cutLength, .cutChunks, .close]
                if "\(error)".hasPrefix("timeout") || !mayEnd.contains(request.act) || request.method == "HEAD" {
                    return "\(request.token) \(request.method) \(request.act): \(error)"
                }
                return nil
            }
        }
        return nil
    }
}

extension String {
    /// FNV-1a: the same in every process, unlike `hashValue`.
    var stableHash: Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in self.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: hash)
    }
}
