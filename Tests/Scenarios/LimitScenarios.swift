import TestSupport
import Testing

/// Each limit and each deadline, with the status it promises.
@Suite("Limits and deadlines", .serialized) struct LimitScenarios {
    private func balancer(_ upstream: ScriptedUpstream, _ top: String) throws -> BalancerProcess {
        try BalancerProcess(before: upstream, top: top)
    }

    @Test(
        "Sizes of a request",
        arguments: [
            (414, "GET /\(String(repeating: "a", count: 9_000)) HTTP/1.1\r\nHost: h\r\n\r\n"),
            (431, "GET / HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "a", count: 40_000))\r\n\r\n"),
            (431, "GET / HTTP/1.1\r\nHost: h\r\n\(String(repeating: "a: b\r\n", count: 101))\r\n"),
            (413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"),
            (505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
        ])
    func sizes(status: Int, request: String) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(upstream, "\"limits\": {\"body\": 1000}")
        let (text, end) = try balancer.exchange(request)
        #expect(text.hasPrefix("HTTP/1.1 \(status) ") && text.contains("X-Balancer-Reason: "), "\(text.prefix(200))")
        #expect(end != .timeout)
        #expect(upstream.requests.isEmpty)
    }

    @Test("A chunked body that grows beyond its limit is cut off before the upstream has a whole request")
    func chunkedBody() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(upstream, "\"limits\": {\"body\": 10}")
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabcdefgh\r\n")
        connection.send("8\r\nabcdefgh\r\n0\r\n\r\n")
        let (text, end) = connection.readAll()
        #expect(text.hasPrefix("HTTP/1.1 413 ") && end != .timeout)
        #expect(upstream.requests.isEmpty)
    }

    @Test("A request head that does not come in time: 408, one byte a second or none")
    func slowHead() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(
            upstream, "\"timeouts\": {\"requestHeader\": \"500ms\", \"keepAlive\": \"400ms\"}")
        let connection = try balancer.connect()
        var end: (text: String, end: RawConnection.End)?
        // One byte at a time; the deadline is for the whole head, so progress does not help.
        for byte in "GET / HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "a", count: 100))" {
            connection.send(String(byte))
            let got = connection.readAll(seconds: 0.1)
            if got.end != .timeout || !got.text.isEmpty {
                end = got
                break
            }
        }
        #expect(end?.text.hasPrefix("HTTP/1.1 408 ") == true)
        let silent = try balancer.connect()
        #expect(silent.readAll(seconds: 5) == ("", .closed), "an idle connection is closed without a word")
    }

    @Test("A request body that stops: 408")
    func slowBody() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(upstream, "\"timeouts\": {\"requestBodyIdle\": \"300ms\"}")
        let (text, end) = try balancer.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
        #expect(text.hasPrefix("HTTP/1.1 408 ") && end != .timeout)
        #expect(upstream.requests.isEmpty)
    }

    @Test("Connections in all and per client")
    func connections() throws {
        for limits in ["\"connections\": 3", "\"connectionsPerClient\": 3, \"connections\": 8"] {
            let upstream = try ScriptedUpstream.echoing()
            let balancer = try self.balancer(upstream, "\"limits\": {\(limits)}")
            var held: [RawConnection] = []
            for number in 0..<3 {
                let connection = try balancer.connect()
                connection.send("GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n")
                #expect(connection.read(until: "/\(number)") != nil)
                held.append(connection)
            }
            // However many: what was refused counts no more.
            for _ in 0..<10 {
                let refused = try balancer.connect().readAll()
                #expect(refused.text.isEmpty && refused.end != .timeout)
            }
            held.removeLast()
            #expect(eventually { (try? balancer.request("/again").text) == "/again" })
        }
    }

    @Test("What one client is refused counts against no other")
    func refusedCountsNoMore() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(upstream, "\"limits\": {\"connectionsPerClient\": 1, \"connections\": 3}")
        let held = try balancer.connect()
        held.send("GET /held HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(held.read(until: "/held") != nil)
        for _ in 0..<5 {
            let refused = try balancer.connect().readAll()
            #expect(refused.text.isEmpty && refused.end != .timeout)
        }
        let other = try RawConnection(host: "127.0.0.1", port: balancer.port, from: "127.0.0.2")
        other.send("GET /other HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(other.read(until: "/other", seconds: 10) != nil)
        withExtendedLifetime(held) {}
    }

    @Test("A cap on requests at an endpoint: those beyond wait, are answered in turn, and 503 when the wait is over")
    func queue() throws {
        let release = Progress()
        let upstream = try ScriptedUpstream.answering { request, _ in
            if request.start.contains(" /hold ") { _ = eventually(seconds: 60) { release.value > 0 } }
            return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        }
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"maxOutstanding\": 1, \"queue\": {\"length\": 2}",
            routes: """
                {"name": "late", "match": {"path": "/late"}, "split": {"core": 1}, "timeouts": {"queue": "400ms"}},
                {"name": "api", "split": {"core": 1}, "timeouts": {"queue": "1m"}}
                """)
        let holder = try balancer.connect()
        holder.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(eventually { upstream.requests.count == 1 })
        let began = Deadline.now()
        let late = try balancer.request("/late")
        #expect(late.status == 503 && late.field("retry-after") != nil)
        #expect(late.field("x-balancer-reason") == "queue-timeout" && Deadline.now() - began >= 390_000)
        let waiting = try (0..<2).map { number in
            let connection = try balancer.connect()
            connection.send("GET /\(number) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(try eventually { try balancer.metric("balancer_exchanges_active") == Double(number + 2) })
            return connection
        }
        let beyond = try balancer.request("/beyond")
        #expect(beyond.status == 503 && beyond.field("x-balancer-reason") == "queue-full")
        #expect(beyond.field("retry-after") != nil)
        #expect(upstream.requests.count == 1)
        release.add(1)
        for connection in [holder] + waiting {
            var reader = MessageReader(connection)
            #expect(try reader.message().status == 200)
        }
        #expect(upstream.requests.map(\.start) == ["/hold", "/0", "/1"].map { "GET \($0) HTTP/1.1" })
        #expect(try balancer.request("/after").status == 200)
    }
}
