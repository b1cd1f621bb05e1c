import TestSupport
import Testing

/// What is exactly at a limit passes, what is one beyond does not, and the counter says so.
@Suite("Exact limits", .serialized) struct ExactLimitScenarios {
    @Test("A body of exactly limits.body passes, by length and in chunks of any size; one byte more does not")
    func body() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"limits\": {\"body\": 12}")
        func answer(_ body: String) throws -> Int {
            let connection = try balancer.connect()
            connection.send("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\(body)")
            var reader = MessageReader(connection)
            return try reader.message().status
        }
        let chunked = "Transfer-Encoding: chunked\r\n\r\n"
        #expect(try answer("Content-Length: 12\r\n\r\nabcdefghijkl") == 200)
        #expect(try answer(chunked + "c\r\nabcdefghijkl\r\n0\r\n\r\n") == 200)
        #expect(try answer(chunked + "6\r\nabcdef\r\n6\r\nghijkl\r\n0\r\n\r\n") == 200)
        #expect(try answer(chunked + "1\r\na\r\nb\r\nbcdefghijkl\r\n0\r\n\r\n") == 200)
        #expect(upstream.requests.count == 4)
        #expect(upstream.requests.allSatisfy { $0.text == "abcdefghijkl" })
        #expect(try answer("Content-Length: 13\r\n\r\n") == 413)
        #expect(try answer(chunked + "c\r\nabcdefghijkl\r\n1\r\nm\r\n0\r\n\r\n") == 413)
        #expect(try answer(chunked + "d\r\nabcdefghijklm\r\n0\r\n\r\n") == 413)
        #expect(upstream.requests.count == 4)
    }

    @Test("Many chunks, each with a short extension, are a good upload and a good answer")
    func chunkExtensions() throws {
        let chunks = 2_000
        let body = String(repeating: "1;a=b;c\r\nx\r\n", count: chunks) + "0;a=b\r\n\r\n"
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        var reader = MessageReader(connection)
        let response = try reader.message()
        #expect(response.status == 200 && response.text == String(repeating: "x", count: chunks))
        #expect(upstream.requests.first?.text == String(repeating: "x", count: chunks))
    }

    @Test("A trusted X-Request-ID of 128 bytes is kept; a longer one is replaced")
    func requestID() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(before: upstream, top: "\"trustedProxies\": [\"127.0.0.1\"]")
        for (length, isKept) in [(1, true), (127, true), (128, true), (129, false), (300, false)] {
            let identifier = String(repeating: "i", count: length)
            #expect(try balancer.request("/\(length)", fields: "X-Request-ID: \(identifier)\r\n").status == 200)
            let fields = upstream.requests.last?.fields.filter { $0.name.lowercased() == "x-request-id" } ?? []
            #expect(fields.count == 1)
            #expect((fields.first?.value == identifier) == isKept, "\(length): \(fields)")
            if !isKept { #expect(fields.first?.value.count == 32) }
        }
    }

    @Test("connections_refused_total counts what a limit kept out", arguments: ["connections", "connectionsPerClient"])
    func refused(limit: String) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"limits\": {\"\(limit)\": 3}")
        let held = try (0..<3).map { number in
            let connection = try balancer.connect()
            connection.send("GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(connection.read(until: "/\(number)") != nil)
            return connection
        }
        #expect(try balancer.metric("balancer_connections_refused_total") == 0)
        for number in 1...4 {
            #expect(try balancer.connect().readAll().end != .timeout)
            #expect(
                try eventually { try balancer.metric("balancer_connections_refused_total") == Double(number) })
        }
        #expect(try balancer.metric("balancer_connections_active") == 3)
        #expect(held[0].staysOpen(seconds: 0.1))
    }
}
