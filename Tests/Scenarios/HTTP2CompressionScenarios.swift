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
        #expect(try balancer.outstanding() == 0)
    }

    /// They all wait for a client that takes nothing, and then takes everything at once.
    @Test("Beside many that are coded at once the others have their turn")
    func turns() throws {
        var random = SplitMix(1)
        let body = (0..<60_000).map { _ in UInt8(truncatingIfNeeded: random.next() & 0x3F | 0x20) }
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event else { return }
            guard connection.requests[stream]?.path != "/plain" else {
                return connection.answer(stream, body: Array("plain".utf8))
            }
            connection.answer(stream, fields: [("content-type", "text/plain")], body: body)
        }
        let balancer = try BalancerProcess(before: upstream, routes: Self.routes)
        let client = try balancer.connect()
        var reader = MessageReader(client)
        let ask = {
            client.send("GET /plain HTTP/1.1\r\nHost: h\r\n\r\n")
            return try reader.message().text
        }
        #expect(try ask() == "plain")
        let peer = try HTTP2Peer(balancer, settings: [(4, 10)])
        // One after the other: a worker that is too busy codes nothing.
        let streams = (0..<50).map { number in
            defer { #expect(eventually { upstream.requests.count == number + 2 }) }
            return peer.request("/api", fields: [("accept-encoding", "br")])
        }
        // It comes over the same connection, behind all of them.
        #expect(try ask() == "plain")
        #expect(upstream.connections == 1)
        peer.windowUpdate(0, 1 << 24)
        peer.send(peer.frame(FrameType.settings, [0, 4] + HTTP2Peer.word(1 << 20)))
        // The first of them goes on; whoever asks now must not wait for all the others.
        #expect(peer.read(until: { peer in streams.contains { peer.answers[$0]?.body.count ?? 0 > 10 } }))
        #expect(try ask() == "plain")
        let whole = "balancer_compression_bytes_total{route=\"api\",direction=\"in\"}"
        let coded = try balancer.metric(whole)
        let answers = try balancer.metric("balancer_compression_responses_total{route=\"api\",encoding=\"br\"}")
        #expect(answers == Double(streams.count))
        #expect(coded < (answers - 5) * Double(body.count), "\(coded)")
        for stream in streams { #expect(try peer.answer(stream, seconds: 60).isEnded) }
        #expect(try eventually { try balancer.metric(whole) == Double(streams.count * body.count) })
        #expect(try balancer.outstanding() == 0)
    }
}
