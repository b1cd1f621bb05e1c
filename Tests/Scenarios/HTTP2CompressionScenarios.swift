import HTTP2
import TestSupport
import Testing

/// Answers of HTTP/2 endpoints on a route with compression.
@Suite("Compression of HTTP/2 answers", .serialized) struct HTTP2CompressionScenarios {
    private static let routes =
        #"{"name": "plain", "match": {"path": "/plain"}, "split": {"core": 1}}, "#
        + #"{"name": "api", "split": {"core": 1}, "compression": {"algorithms": ["br", "gzip"], "level": 9}}"#

    @Test("Without a length, and not coded: chunks for HTTP/1.1, whose connection goes on")
    func framing() throws {
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event else { return }
            connection.answer(stream, fields: [("content-type", "text/plain")], body: Array("as it came".utf8))
        }
        let balancer = try BalancerProcess(before: upstream, routes: Self.routes)
        let client = try balancer.connect()
        var reader = MessageReader(client)
        for _ in 0..<2 {
            client.send("GET /api HTTP/1.1\r\nHost: h\r\n\r\n")
            let answer = try reader.message()
            #expect(answer.text == "as it came" && answer.field("content-encoding") == nil)
            #expect(answer.field("transfer-encoding") == "chunked" && answer.field("connection") == nil)
        }
        #expect(upstream.connections == 1)
    }

    @Test("Large ones are the same bytes, however they are cut for their turns", arguments: ["gzip", "br"])
    func whole(coding: String) throws {
        let lines = (0..<30_000).map { "line \($0) of \($0 % 7)" }
        let body = Array(lines.joined(separator: "\n").utf8)
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event else { return }
            connection.answer(
                stream, fields: [("content-type", "text/plain"), ("content-length", "\(body.count)")], body: body)
        }
        let balancer = try BalancerProcess(before: upstream, routes: Self.routes)
        let program = try Program(
            path: "/usr/bin/curl",
            [
                "-sS", "--compressed", "--max-time", "60", "-H", "Accept-Encoding: \(coding)",
                "http://127.0.0.1:\(balancer.port)/api",
            ])
        #expect(program.awaitExit() == 0)
        #expect(program.output == lines, "\(program.output.count) lines")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }
}
