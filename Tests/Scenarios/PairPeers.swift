import Dispatch
import HTTP2
import TestSupport
import Testing

/// Which HTTP a client and an upstream speak.
struct Pair: Sendable, CustomTestStringConvertible {
    enum Version: String, Sendable, CaseIterable { case http1, http2 }

    var client: Version
    var upstream: Version

    static let all = Version.allCases.flatMap { client in
        Version.allCases.map { Pair(client: client, upstream: $0) }
    }

    var testDescription: String { "\(self.client.rawValue) to \(self.upstream.rawValue)" }
}

/// An upstream that does the same whatever it speaks. What it does hangs on the path:
///
/// - `/up`: says how many bytes of body came, and which trailers
/// - `/down`: two megabytes
/// - `/trailers`: a body with trailers behind it
/// - `/interim`: a 103 first
/// - `/none`: 204
/// - `/refuse`: breaks off before it answers; `/break`: within its body
/// - `/hold`: answers when `release` is called
final class PairUpstream: Sendable {
    private let http1: ScriptedUpstream?
    private let http2: HTTP2Upstream?
    /// Requests that came as far as they are to: whole, or cut.
    let requests = Locked<[String]>([])
    /// Those that the balancer gave up before their answer.
    let given = Progress()
    private let gate = DispatchSemaphore(value: 0)

    static let size = 2_000_000

    var port: UInt16 { self.http1?.port ?? self.http2?.port ?? 0 }

    init(_ version: Pair.Version) throws {
        let (requests, given, gate) = (self.requests, self.given, self.gate)
        switch version {
        case .http1:
            self.http2 = nil
            self.http1 = try ScriptedUpstream { connection, _ in
                var reader = MessageReader(connection)
                while true {
                    let request = try reader.message(seconds: 120)
                    let path = String(request.start.split(separator: " ")[1])
                    requests.change { $0.append(path) }
                    try Self.answer(connection, path, request, given, gate)
                }
            }
        case .http2:
            self.http1 = nil
            self.http2 = try HTTP2Upstream { event, connection in
                switch event {
                case .ended(let stream):
                    guard let request = connection.requests[stream] else { return }
                    requests.change { $0.append(request.path) }
                    Self.answer(connection, stream, request, gate)
                case .reset: given.add(1)
                default: break
                }
            }
        }
    }

    /// Lets one held request go on.
    func release() { self.gate.signal() }

    private static func said(_ count: Int, _ trailers: [String]) -> String {
        "\(count) \(trailers.sorted().joined(separator: ","))"
    }

    private static func answer(
        _ connection: RawConnection, _ path: String, _ request: Message, _ given: Progress, _ gate: DispatchSemaphore
    ) throws {
        let body: String
        switch path {
        case "/up": body = Self.said(request.body.count, request.trailers)
        case "/trailers":
            connection.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\nx-more: 8\r\n\r\n")
            return
        case "/interim":
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            body = "late"
        case "/none":
            connection.send("HTTP/1.1 204 No Content\r\n\r\n")
            return
        case "/refuse":
            connection.resetOnClose()
            throw TestFailure("refused")
        case "/break":
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            throw TestFailure("broken off")
        case "/hold":
            // The end of the connection is how it hears that nobody waits any more.
            let waits = Locked(true)
            startThread {
                if connection.receive(by: Deadline(seconds: 120)) != .timeout, waits.value { given.add(1) }
            }
            gate.wait()
            waits.change { $0 = false }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nheld")
            throw TestFailure("over")
        case "/down":
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(Self.size)\r\n\r\n")
            connection.send([UInt8](repeating: 0x78, count: Self.size))
            return
        default: body = path
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    private static func answer(
        _ connection: HTTP2Upstream.Connection, _ stream: UInt32, _ request: HTTP2Upstream.Request,
        _ gate: DispatchSemaphore
    ) {
        switch request.path {
        case "/up":
            let trailers = request.trailers.map { "\($0.name): \($0.value)" }
            connection.answer(stream, body: Array(Self.said(request.body.count, trailers).utf8))
        case "/trailers":
            connection.answer(stream, body: Array("abc".utf8), trailers: [("x-sum", "7"), ("x-more", "8")])
        case "/interim":
            connection.headers(stream, [(":status", "103"), ("link", "</a>")])
            connection.answer(stream, body: Array("late".utf8))
        case "/none": connection.answer(stream, status: "204")
        case "/refuse": connection.reset(stream, .internalError)
        case "/break":
            connection.headers(stream, [(":status", "200")])
            connection.data(stream, Array("abc".utf8))
            connection.reset(stream, .internalError)
        case "/hold": connection.answerLater(stream, "held", gate)
        case "/down": connection.answer(stream, body: [UInt8](repeating: 0x78, count: Self.size))
        default: connection.answer(stream, body: Array(request.path.utf8))
        }
    }
}

extension HTTP2Upstream.Connection {
    /// Answers once the gate opens, from another thread: a whole frame is one write.
    func answerLater(_ stream: UInt32, _ body: String, _ gate: DispatchSemaphore) {
        let raw = self.raw
        let head = HTTP2Peer.literal(":status", "200")
        let frames =
            [0, 0, UInt8(head.count), FrameType.headers, 4] + HTTP2Peer.word(stream) + head
            + [0, 0, UInt8(body.utf8.count), FrameType.data, 1] + HTTP2Peer.word(stream) + Array(body.utf8)
        startThread {
            gate.wait()
            raw.send(frames)
        }
    }
}

/// A client that asks the same whatever it speaks, one request at a time.
final class PairClient {
    struct Answer {
        var interims: [Int] = []
        var status = 0
        var body: [UInt8] = []
        var trailers: [String] = []
        /// It ended before its end.
        var isCut = false
        var text: String { String(decoding: self.body, as: UTF8.self) }
    }

    private let version: Pair.Version
    private let port: UInt16
    private var raw: RawConnection
    private var peer: HTTP2Peer?
    private var stream: UInt32 = 0

    init(_ version: Pair.Version, _ balancer: BalancerProcess) throws {
        self.version = version
        self.port = balancer.port
        self.raw = try balancer.connect()
        guard version == .http2 else { return }
        let peer = try HTTP2Peer(balancer)
        self.peer = peer
        self.raw = peer.connection
    }

    /// Sends a request; `body` in pieces, with its trailers.
    func send(_ path: String, body: [[UInt8]]? = nil, trailers: [(String, String)] = []) throws {
        if let peer {
            self.stream = peer.request(
                path, method: body == nil ? "GET" : "POST", fields: [("te", "trailers")], isEnd: body == nil)
            guard let body else { return }
            for (number, piece) in body.enumerated() {
                let ends = number == body.count - 1 && trailers.isEmpty
                try self.sendData(peer, piece, ends: ends)
            }
            if !trailers.isEmpty { peer.send(peer.headers(self.stream, trailers, isEnd: true)) }
            return
        }
        guard let body else {
            self.raw.send("GET \(path) HTTP/1.1\r\nHost: test\r\n\r\n")
            return
        }
        self.raw.send(
            "POST \(path) HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: te\r\n\r\n"
        )
        for piece in body {
            self.raw.send("\(String(piece.count, radix: 16))\r\n")
            self.raw.send(piece)
            self.raw.send("\r\n")
        }
        self.raw.send("0\r\n" + trailers.map { "\($0): \($1)\r\n" }.joined() + "\r\n")
    }

    /// As the window lets it.
    private func sendData(_ peer: HTTP2Peer, _ bytes: [UInt8], ends: Bool) throws {
        var rest = bytes[...]
        repeat {
            let room = { (peer: HTTP2Peer) in
                min(
                    65_535 + peer.credit[0, default: 0] - self.sentInAll,
                    65_536 + peer.credit[self.stream, default: 0] - self.sent[self.stream, default: 0], 16_384)
            }
            guard rest.isEmpty || peer.read(until: { room($0) > 0 }) else { throw TestFailure("no window") }
            let piece = Array(rest.prefix(max(0, room(peer))))
            rest = rest.dropFirst(piece.count)
            peer.data(self.stream, piece, isEnd: ends && rest.isEmpty)
            self.sentInAll += piece.count
            self.sent[self.stream, default: 0] += piece.count
        } while !rest.isEmpty
    }

    private var sentInAll = 0
    private var sent: [UInt32: Int] = [:]

    /// Reads no more, and gives nothing back, until `answer` is asked for.
    func stopReading() { self.peer?.reads = false }

    func answer(seconds: Double = 60) throws -> Answer {
        if let peer {
            if !peer.reads {
                peer.reads = true
                let held = peer.answers[self.stream]?.body.count ?? 0
                if held > 0 {
                    peer.windowUpdate(0, held)
                    peer.windowUpdate(self.stream, held)
                }
            }
            let answer = try peer.answer(self.stream, seconds: seconds)
            return Answer(
                interims: answer.interims.compactMap { Int($0) }, status: Int(answer.status ?? "") ?? 0,
                body: answer.body, trailers: answer.trailers.map { "\($0.name): \($0.value)" },
                isCut: !answer.isEnded)
        }
        var reader = MessageReader(self.raw)
        var answer = Answer()
        do {
            var message = try reader.head(seconds: seconds)
            while (100...199).contains(message.status) {
                answer.interims.append(message.status)
                message = try reader.head(seconds: seconds)
            }
            answer.status = message.status
            try reader.body(of: &message, seconds: seconds)
            answer.body = message.body
            answer.trailers = message.trailers
        } catch {
            answer.isCut = true
        }
        return answer
    }

    /// Gives its request up.
    func cancel() {
        if let peer {
            peer.reset(self.stream)
        } else {
            self.raw.resetOnClose()
            self.raw.hangUp()
        }
    }

    /// Bytes of the present answer that have come, read for a moment.
    func read(atLeast count: Int) -> Bool {
        guard let peer else { return self.raw.count(atMost: count, seconds: 30) >= count }
        let stream = self.stream
        return peer.read(until: { $0.answers[stream]?.body.count ?? 0 >= count })
    }
}
