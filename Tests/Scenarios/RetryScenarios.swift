import Foundation
import Glibc
import TestSupport
import Testing

/// What is tried again, where, and how often; and what never is.
@Suite("Retries", .serialized) struct RetryScenarios {
    private static let unwatched = "\"passive\": {\"enabled\": false}"
    private static let eager =
        unwatched + ", \"retry\": {\"attempts\": 5, \"budgetPercent\": 100, \"minimumPerSecond\": 10000}"

    /// Answers the first request of each connection, and meets the second with a reset: a pooled connection that had
    /// been closed before the request came.
    private func staling(_ body: String) throws -> ScriptedUpstream {
        try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message(seconds: 60))
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            _ = try reader.message(seconds: 60)
            connection.resetOnClose()
        }
    }

    @Test("A fresh try after a stale pooled connection is no retry: it is made with retry.attempts 0 too")
    func freshTry() throws {
        let upstream = try self.staling("ok")
        let balancer = try BalancerProcess(
            before: upstream, keys: Self.unwatched + ", \"retry\": {\"attempts\": 0}", accessLog: true)
        for number in 0..<6 { #expect(try balancer.request("/\(number)").text == "ok", "request \(number)") }
        #expect(upstream.connections == 6)
        #expect(try balancer.metric("balancer_retries_total{upstream=\"core\"}") == 0)
        for number in 0..<6 { #expect(try balancer.record(of: "/\(number)")["attempts"] as? Int == 1) }
    }

    @Test("A fresh try stays at its endpoint")
    func freshTryStays() throws {
        let (first, second) = (try self.staling("a"), try self.staling("b"))
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [first.port, second.port])],
                upstreamKeys: Self.unwatched + ", \"balance\": {\"hash\": {\"by\": \"header\", \"name\": \"X-Key\"}}"))
        // Keys for both endpoints; whatever an answer's connection went through, the key alone decides.
        for key in 0..<8 {
            let side = try balancer.request(fields: "X-Key: \(key)\r\n").text
            for _ in 0..<3 { #expect(try balancer.request(fields: "X-Key: \(key)\r\n").text == side, "key \(key)") }
        }
        #expect(!first.requests.isEmpty && !second.requests.isEmpty, "the keys all went one way")
    }

    @Test("Trailers go again with a request that has nothing else behind its head")
    func trailers() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            let request = try reader.message(seconds: 60)
            let isKnown = upstream.requests.contains { $0.start == request.start }
            upstream.record(request)
            if isKnown { connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
        }
        let balancer = try BalancerProcess(http2Before: upstream, keys: Self.eager)
        let answer = try balancer.exchange(
            "PUT /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\nX-Sum: 7\r\n\r\n"
        )
        #expect(answer.text.hasPrefix("HTTP/1.1 200 "), "\(answer.text)")
        let peer = try HTTP2Peer(balancer)
        let stream = peer.request("/2", method: "PUT", isEnd: false)
        peer.send(peer.headers(stream, [("x-sum", "7")], isEnd: true))
        #expect(try peer.answer(stream).status == "200")
        #expect(upstream.requests.map { $0.start.prefix(6) } == ["PUT /1", "PUT /1", "PUT /2", "PUT /2"])
        #expect(upstream.requests.allSatisfy { $0.body.isEmpty && $0.trailers.map { $0.lowercased() } == ["x-sum: 7"] })
    }

    @Test("The log's attempts is one more than the retries, and the counter knows them")
    func attempts() throws {
        let failing = Locked(0)
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message(seconds: 60))
            var fails = false
            failing.change { count in
                fails = count > 0
                count -= fails ? 1 : 0
            }
            if !fails { connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
        }
        let balancer = try BalancerProcess(before: upstream, keys: Self.eager, accessLog: true)
        for retries in 0...3 {
            failing.change { $0 = retries }
            #expect(try balancer.request("/\(retries)").text == "ok")
            let record = try balancer.record(of: "/\(retries)")
            #expect(record["attempts"] as? Int == retries + 1, "\(record)")
        }
        #expect(upstream.requests.count == 1 + 2 + 3 + 4)
        #expect(try balancer.metric("balancer_retries_total{upstream=\"core\"}") == 6)
    }

    @Test("A side of weight 0 is not another side: its only endpoint is tried again, and nobody else hears of it")
    func weightZero() throws {
        // Hangs up on the first try of each request, and answers the second.
        let core = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            let request = try reader.message(seconds: 60)
            let isKnown = upstream.requests.contains { $0.start == request.start }
            upstream.record(request)
            if isKnown { connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncore") }
        }
        let gateway = try ScriptedUpstream.plain("gateway")
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                routes: "{\"name\": \"api\", \"split\": {\"core\": 1, \"gateway\": 0}}", upstreamKeys: Self.eager))
        for number in 0..<5 { #expect(try balancer.request("/\(number)").text == "core") }
        #expect(gateway.requests.isEmpty)
        core.stop()
        let refused = try balancer.request("/refused")
        #expect(refused.status == 502 && refused.field("x-balancer-reason") == "connection-refused")
        #expect(gateway.connections == 0)
    }

    @Test("The only endpoint of a side has failed: the next try is the other side's")
    func otherSideFirst() throws {
        let core = try ScriptedUpstream.once { _ in }
        let gateway = try ScriptedUpstream.plain("gateway")
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                upstreamKeys: Self.unwatched + ", \"retry\": {\"attempts\": 1, \"budgetPercent\": 100}"))
        for number in 0..<20 { #expect(try balancer.request("/\(number)").text == "gateway", "request \(number)") }
        #expect(core.requests.count == 10)
    }

    @Test("An endpoint tried on one side is not excluded on the other")
    func triedPerSide() throws {
        let bad = try (0..<2).map { _ in try ScriptedUpstream.once { _ in } }
        let good = try (0..<2).map { _ in try ScriptedUpstream.plain("good") }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", bad.map(\.port)), ("gateway", good.map(\.port))], upstreamKeys: Self.eager))
        for number in 0..<20 { #expect(try balancer.request("/\(number)").text == "good", "request \(number)") }
        // Each of those that began at core tried both of its endpoints before it went over.
        #expect(bad[0].requests.count == 10 && bad[1].requests.count == 10)
    }

    /// How an upstream fails a request that it has read.
    enum Failure: String, CaseIterable {
        case closes, resets, endsInHead, resetsInHead, nonsense, closesAfterInterim, silent, staleConnection
    }

    @Test(
        "A request without a body that must not be repeated is sent once, whatever fails", arguments: Failure.allCases)
    func neverTwice(failure: Failure) throws {
        let seen = SeenRequests()
        func upstream() throws -> ScriptedUpstream {
            try ScriptedUpstream { connection, upstream in
                var reader = MessageReader(connection)
                var request = try reader.message(seconds: 60)
                while request.start.hasPrefix("GET ") {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    request = try reader.message(seconds: 60)
                }
                upstream.record(request)
                seen.add(request.start)
                switch failure {
                case .closes: break
                case .resets, .staleConnection: connection.resetOnClose()
                case .endsInHead: connection.send("HTTP/1.1 200 OK\r\nContent-Le")
                case .resetsInHead:
                    connection.send("HTTP/1.1 200 OK\r\nContent-Le")
                    connection.resetOnClose()
                case .nonsense: connection.send("NONSENSE\r\n\r\n")
                case .closesAfterInterim: connection.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
                case .silent: _ = connection.readAll(seconds: 30)
                }
            }
        }
        let (core, gateway) = (try [upstream(), upstream()], try [upstream(), upstream()])
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", core.map(\.port)), ("gateway", gateway.map(\.port))], upstreamKeys: Self.eager,
                top: "\"timeouts\": {\"responseHeader\": \"\(failure == .silent ? "200ms" : "10s")\"}"))
        var sent = 0
        for method in ["POST", "PATCH", "BREW"] {
            for length in ["", "Content-Length: 0\r\n"] {
                for _ in 0..<4 {
                    sent += 1
                    let connection = try balancer.connect()
                    var reader = MessageReader(connection)
                    if failure == .staleConnection {
                        connection.send("GET /warm HTTP/1.1\r\nHost: h\r\n\r\n")
                        #expect(try reader.message().status == 200)
                    }
                    connection.send("\(method) /\(sent) HTTP/1.1\r\nHost: h\r\n\(length)\r\n")
                    var response = try reader.message()
                    if failure == .closesAfterInterim, response.status == 103 { response = try reader.message() }
                    #expect(response.status == (failure == .silent ? 504 : 502), "\(method) \(response.start)")
                }
            }
        }
        #expect(seen.count == sent)
        #expect(seen.repeated.isEmpty, "\(seen.repeated)")
        #expect(try balancer.metric("balancer_retries_total{upstream=\"core\"}") == 0)
        #expect(try balancer.metric("balancer_retries_total{upstream=\"gateway\"}") == 0)
    }

    @Test("An endpoint declared down: a GET that waits there goes elsewhere, a POST that was sent waits for its answer")
    func declaredDown() throws {
        let release = Progress()
        let isWell = Locked(true)
        func upstream(_ name: String) throws -> ScriptedUpstream {
            try .answering { request, _ in
                if request.start.contains("/probe") {
                    return "HTTP/1.1 \(name == "b" || isWell.value ? "200 OK" : "500 No")\r\nContent-Length: 0\r\n\r\n"
                }
                if name == "a" { _ = eventually(seconds: 40) { release.value > 0 } }
                return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(name)"
            }
        }
        let (first, second) = (try upstream("a"), try upstream("b"))
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [first.port, second.port])],
                upstreamKeys: Self.eager
                    + ", \"balance\": \"round-robin\", \"health\": {\"path\": \"/probe\", \"interval\": \"100ms\", \"fall\": 1}"
            ))
        /// A request that waits at the first endpoint; in turn, one of any two reaches it.
        func waiting(_ method: String) throws -> RawConnection {
            for number in 0..<2 {
                let start = "\(method) /\(number) HTTP/1.1"
                let connection = try balancer.connect()
                connection.send("\(start)\r\nHost: h\r\nConnection: close\r\n\r\n")
                try #require(eventually { (first.requests + second.requests).contains { $0.start == start } })
                if first.requests.contains(where: { $0.start == start }) { return connection }
                var reader = MessageReader(connection)
                #expect(try reader.message().text == "b")
            }
            throw TestFailure("no \(method) reached the first endpoint")
        }
        let post = try waiting("POST")
        let posts = second.requests.filter { $0.start.hasPrefix("POST") }.count
        let get = try waiting("GET")
        isWell.change { $0 = false }
        var reader = MessageReader(get)
        #expect(try reader.message(seconds: 30).text == "b", "the verdict reaches what waits")
        #expect(post.staysOpen(seconds: 1.5), "the POST is answered by us")
        release.add(1)
        reader = MessageReader(post)
        #expect(try reader.message().text == "a")
        #expect(second.requests.filter { $0.start.hasPrefix("POST") }.count == posts, "it is sent nowhere else")
    }
}

extension BalancerProcess {
    /// The access log's record of the request for that target. Waits for it.
    func record(of target: String) throws -> [String: Any] {
        let line = try self.program.await { $0.contains("\"target\":\"\(target)\"") ? $0 : nil }
        guard let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            throw TestFailure("no record: \(line)")
        }
        return record
    }
}
