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
        #expect((350..<5_000).contains(milliseconds), "closed after \(milliseconds) ms")
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
        let deadline = Deadline(seconds: 20)
        while upstream.connections < 3, !deadline.hasPassed {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try reader.message().status == 200)
            requests += 1
        }
        let milliseconds = (Deadline.now() - began) / 1_000
        #expect(upstream.connections == 3)
        #expect((1_100..<10_000).contains(milliseconds), "the third connection came after \(milliseconds) ms")
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
                upstreamKeys: """
                    "balance": "round-robin", "slowStart": "6s",
                    "health": {"path": "/probe", "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 1}
                    """))
        func availability() throws -> String? {
            let upstreams = try balancer.json("/api/v1/upstreams")["upstreams"] as? [[String: Any]] ?? []
            return (upstreams.first?["endpoints"] as? [[String: Any]])?.last?["availability"] as? String
        }
        let client = try balancer.connect()
        var reader = MessageReader(client)
        /// The share of the endpoint that comes back, over requests one after another for so long.
        func share(seconds: Double) throws -> Double {
            let deadline = Deadline(seconds: seconds)
            var all = 0
            var returned = 0
            while !deadline.hasPassed {
                client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                if try reader.message().text == "b" { returned += 1 }
                all += 1
            }
            // Below this, the shares that are expected lie closer together than chance spreads them.
            #expect(all > 200, "only \(all) requests")
            return Double(returned) / Double(all)
        }
        isWell.change { $0 = false }
        #expect(try eventually { try availability() == "down" })
        #expect(try share(seconds: 0.5) == 0)
        isWell.change { $0 = true }
        #expect(try eventually { try availability() == "starting" })
        let first = try share(seconds: 1.5)
        let second = try share(seconds: 1.5)
        let third = try share(seconds: 1.5)
        let fourth = try share(seconds: 1.5)
        let full = try share(seconds: 1)
        #expect(try availability() == "up")
        // A straight line from nothing to one half: an eighth of it in the first quarter, seven eighths in the last.
        let shares = "\([first, second, third, fourth, full])"
        #expect(first > 0 && first < 0.13, "\(shares)")
        #expect(first < second && second < third && third < fourth, "\(shares)")
        #expect((0.34..<0.5).contains(fourth), "\(shares)")
        #expect((0.49...0.51).contains(full), "\(shares)")
    }
}
