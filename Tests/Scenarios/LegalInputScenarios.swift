import TestSupport
import Testing

/// What is legal and rare: served, not refused.
@Suite("Legal and rare", .serialized) struct LegalInputScenarios {
    @Test(
        "As many interim responses as interimResponses pass, those beyond are dropped, and the answer comes",
        arguments: [9, 100, 101, 300])
    func interimResponses(count: Int) throws {
        let upstream = try ScriptedUpstream.answering { _, _ in
            String(repeating: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", count: count)
                + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        }
        let balancer = try BalancerProcess(before: upstream)
        let (text, _) = try balancer.exchange("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(text.components(of: "HTTP/1.1 103 ") == min(count, 100))
        #expect(text.components(of: "HTTP/1.1 200 ") == 1 && text.hasSuffix("ok"))
        #expect(upstream.requests.count == 1)
        #expect(try balancer.metric("balancer_interim_responses_dropped_total") == Double(max(count, 100) - 100))
    }

    @Test("A route may have fewer interim responses, or none", arguments: [0, 5])
    func fewerInterimResponses(limit: Int) throws {
        let upstream = try ScriptedUpstream.answering { _, _ in
            String(repeating: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", count: 8)
                + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        }
        let balancer = try BalancerProcess(
            before: upstream,
            routes: "{\"name\": \"api\", \"split\": {\"core\": 1}, \"limits\": {\"interimResponses\": \(limit)}}")
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        for _ in 0..<2 {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            for _ in 0..<limit { #expect(try reader.message().status == 103) }
            #expect(try reader.message().text == "ok")
        }
        #expect(upstream.connections == 1)
    }

    @Test("White space before a chunk extension (RFC 9112 7.1.1), in both directions")
    func chunkExtensions() throws {
        let body = "2 ;a=b\r\nab\r\n2\t;\ta = \"b\" ; c\r\ncd\r\n0 ;d\r\n\r\n"
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        var reader = MessageReader(connection)
        let response = try reader.message()
        #expect(response.status == 200 && response.text == "abcd")
        #expect(upstream.requests.first?.text == "abcd")
    }

    @Test("Expect in its other forms", arguments: ["", "100-continue, 100-continue", "100-Continue", ", 100-continue"])
    func expect(value: String) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        let response = try balancer.request(method: "POST", fields: "Expect: \(value)\r\n", body: "body")
        #expect(response.status == 200 && response.text == "body")
    }

    @Test("A response without Date gets one, one that has it keeps it (RFC 9110 6.6.1)")
    func date() throws {
        let upstream = try ScriptedUpstream.answering { request, _ in
            let date = request.start.contains("/with") ? "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" : ""
            return "HTTP/1.1 200 OK\r\n\(date)Content-Length: 2\r\n\r\nok"
        }
        let balancer = try BalancerProcess(before: upstream)
        let with = try balancer.request("/with")
        #expect(with.fields.filter { $0.name.lowercased() == "date" }.map(\.value) == ["Sun, 06 Nov 1994 08:49:37 GMT"])
        let without = try balancer.request("/without")
        let dates = without.fields.filter { $0.name.lowercased() == "date" }.map(\.value)
        #expect(dates.count == 1 && dates[0].count == 29 && dates[0].hasSuffix(" GMT"), "\(dates)")
    }

    @Test("Max-Forwards counts down for OPTIONS, ends there at 0, and means nothing elsewhere (RFC 9110 7.6.2)")
    func maxForwards() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request("/a", method: "OPTIONS", fields: "Max-Forwards: 3\r\n").status == 200)
        #expect(upstream.requests.last?.field("max-forwards") == "2")
        #expect(try balancer.request("/a", fields: "Max-Forwards: 0\r\n").status == 200)
        #expect(upstream.requests.last?.field("max-forwards") == "0")
        #expect(upstream.requests.count == 2)
        let final = try balancer.request("/a", method: "OPTIONS", fields: "Max-Forwards: 0\r\n")
        #expect(final.status == 200 || final.status == 204)
        #expect(upstream.requests.count == 2, "the upstream hears of it")
    }

    @Test("The Upgrade field of a 426 says what to change to: it is kept (RFC 9110 15.5.22)")
    func upgradeRequired() throws {
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno"
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        let response = try reader.message()
        #expect(response.status == 426 && response.field("upgrade") == "websocket")
        #expect(
            response.fields.contains {
                $0.name.lowercased() == "connection" && $0.value.lowercased().contains("upgrade")
            })
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().status == 426, "the connection goes on")
    }

    @Test("A 101 with fields beyond all measure goes out whole or not at all")
    func largeUpgrade() throws {
        let fields = (0..<90).map { "X-\($0): \(String(repeating: "a", count: 8_000))" }
        let upstream = try ScriptedUpstream.once { connection in
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
            _ = connection.readAll()
        }
        let added = fields.map { field in
            let parts = field.split(separator: ": ")
            return "\"\(parts[0])\": \"\(parts[1])\""
        }
        let configuration = Routes.configuration(
            upstreams: [("core", [upstream.port])],
            routes: """
                {"name": "api", "split": {"core": 1}, "responseHeaders": {"set": {\(added.joined(separator: ", "))}}}
                """)
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(configuration, to: folder + "/routes.json")
        let checked = try Program.run("balancer", ["check", folder + "/routes.json"])
        if checked.status != 0 {
            #expect(checked.errors.contains("$.routes[0].responseHeaders"), "\(checked.errors)")
            return
        }
        let balancer = try BalancerProcess(configuration)
        let connection = try balancer.connect()
        connection.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        var reader = MessageReader(connection)
        let head = try reader.head()
        #expect(
            head.status == 502
                || (head.status == 101
                    && fields.allSatisfy { field in
                        head.fields.contains { "\($0.name): \($0.value)" == field }
                    })
        )
    }
}
