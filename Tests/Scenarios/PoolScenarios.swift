import TestSupport
import Testing

/// How long upstream connections are kept, and how an endpoint that comes back is eased in.
@Suite("Pool", .serialized) struct PoolScenarios {
    @Test("A pooled connection that is not used for upstreamIdle is closed, not before")
    func idle() throws {
        let waited = Locked<UInt64?>(nil)
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message())
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            let answered = Deadline.now()
            if connection.readAll(seconds: 20) == ("", .closed) {
                waited.change { $0 = (Deadline.now() - answered) / 1_000 }
            }
        }
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"upstreamIdle\": \"400ms\"}")
        let client = try balancer.connect()
        var reader = MessageReader(client)
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().text == "ok")
        #expect(eventually { waited.value != nil }, "the connection is not closed")
        let milliseconds = try #require(waited.value)
        #expect((350..<20_000).contains(milliseconds), "closed after \(milliseconds) ms")
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().text == "ok", "the client's own connection is not concerned")
        #expect(upstream.connections == 2)
    }

    @Test("A pooled connection is replaced once it has lived for upstreamLifetime, however busy it is")
    func lifetime() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"upstreamLifetime\": \"600ms\"}")
        let client = try balancer.connect()
        var reader = MessageReader(client)
        let began = Deadline.now()
        var requests = 0
        let deadline = Deadline(seconds: 30)
        while upstream.connections < 3, !deadline.hasPassed {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try reader.message().status == 200)
            requests += 1
        }
        let milliseconds = (Deadline.now() - began) / 1_000
        #expect(upstream.connections == 3)
        #expect((1_100..<30_000).contains(milliseconds), "the third connection came after \(milliseconds) ms")
        #expect(requests > 20, "\(requests) requests: the connections were not in use")
    }

    @Test("An endpoint that comes back gets a share that grows over slowStart")
    func slowStart() throws {
        let isWell = Locked(true)
        func upstream(_ name: String, _ isWell: Locked<Bool>?) throws -> ScriptedUpstream {
            try ScriptedUpstream.answering { request, _ in
                if let isWell, request.start.contains("/probe"), !isWell.value {
                    return "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"
                }
                return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(name)"
            }
        }
        let steady = try upstream("a", nil)
        let returning = try upstream("b", isWell)
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [steady.port, returning.port])],
                // Three answers in a row, none of them late, take it out; one brings it back.
                upstreamKeys: """
                    "balance": "round-robin", "slowStart": "6s",
                    "health": {"path": "/probe", "interval": "300ms", "timeout": "300ms", "rise": 1, "fall": 3}
                    """))
        func availability() throws -> String? {
            let upstreams = try balancer.json("/api/v1/upstreams")["upstreams"] as? [[String: Any]] ?? []
            return (upstreams.first?["endpoints"] as? [[String: Any]])?.last?["availability"] as? String
        }
        let load = LoadClient(port: balancer.port)
        load.start(connections: 4)
        #expect(try eventually { try availability() == "up" })
        isWell.change { $0 = false }
        #expect(try eventually { try availability() == "down" })
        try load.awaitRound()
        let before = load.answers
        try load.awaitAnswers(200)
        #expect(load.answers["b"] == before["b"], "it is down")
        isWell.change { $0 = true }
        #expect(try eventually { try availability() == "starting" })
        // A straight line from nothing to one half.
        let began = Deadline.now()
        func elapsed() -> Double { Double(Deadline.now() - began) / 1_000_000 }
        for _ in 0..<5 {
            let (answers, from) = (load.answers, elapsed())
            while elapsed() < from + 1 { try load.awaitAnswers(50) }
            let (now, to) = (load.answers, elapsed())
            let returned = Double((now["b"] ?? 0) - (answers["b"] ?? 0))
            let count = returned + Double((now["a"] ?? 0) - (answers["a"] ?? 0))
            let expected = min((from + to) / 2 / 6, 1) / 2
            // What chance spreads, and what the line may have begun before it was seen.
            let tolerance = 4 * (expected * (1 - expected) / count).squareRoot() + 0.05
            #expect(abs(returned / count - expected) < tolerance, "\(returned) of \(count) from \(from) to \(to) s")
        }
        #expect(try eventually { try availability() == "up" })
        try load.awaitRound()
        let start = load.answers
        try load.awaitAnswers(1_000)
        load.stop()
        try load.finish()
        let (a, b) = (
            load.answers["a", default: 0] - start["a", default: 0],
            load.answers["b", default: 0] - start["b", default: 0]
        )
        #expect(abs(a - b) <= 8, "\(a) to \(b): in turn, but for what was under way")
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
    }
}
