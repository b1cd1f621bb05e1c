import Foundation
import TestSupport
import Testing

/// WebSockets that HTTP/2 clients open (RFC 8441), which endpoints know as upgrades.
@Suite("WebSockets over HTTP/2") struct HTTP2WebSocketScenarios {
    /// What an endpoint answers to a key, by another's arithmetic.
    private static func answer(to key: String) -> String {
        let program = try? Program(
            path: "/bin/sh",
            [
                "-c",
                "printf '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' '\(key)' | openssl dgst -sha1 -binary | base64",
            ])
        _ = program?.awaitExit()
        return program?.output.first ?? ""
    }

    /// Opens a WebSocket, unless the path says otherwise, and echoes what comes until its end.
    private func upstream() throws -> ScriptedUpstream {
        try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            let request = try reader.head(seconds: 60)
            upstream.record(request)
            var key = request.field("sec-websocket-key") ?? ""
            if request.start.contains("/wrong") { key += "x" }
            if request.start.contains("/plain") {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
                return
            }
            if request.start.contains("/no") {
                connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                return
            }
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Accept: \(Self.answer(to: key))\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello ")
            let deadline = Deadline(seconds: 60)
            while case .data(let bytes) = connection.receive(by: deadline) { connection.send(bytes) }
            connection.send(" bye")
        }
    }

    private func ask(_ peer: HTTP2Peer, _ path: String, fields: [(String, String)] = []) -> UInt32 {
        let stream = peer.newStream()
        peer.send(
            peer.headers(
                stream,
                [
                    (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
                    (":authority", "test"), ("sec-websocket-version", "13"),
                ] + fields, isEnd: false))
        return stream
    }

    @Test("One is opened, carries bytes both ways, and ends on each side by itself", arguments: [false, true])
    func opens(trusting: Bool) throws {
        let upstream = try self.upstream()
        let balancer = try BalancerProcess(http2Before: upstream, accessLog: true)
        let peer = try HTTP2Peer(balancer)
        let stream = self.ask(peer, "/ws", fields: [("sec-websocket-protocol", "chat")])
        if trusting { peer.data(stream, "early ") }
        #expect(peer.read { $0.answers[stream]?.text.hasPrefix("hello ") ?? false })
        let head = try #require(peer.answers[stream])
        #expect(head.status == "200" && head.field("sec-websocket-protocol") == "chat")
        #expect(head.field("sec-websocket-accept") == nil && head.field("upgrade") == nil)
        // Other streams go on beside it.
        let other = peer.request("/no")
        #expect(try peer.answer(other).status == "403")
        let large = String(repeating: "w", count: 50_000)
        peer.data(stream, "a")
        for part in 0..<4 {
            _ = part
            peer.data(stream, String(large.prefix(12_500)))
        }
        let wanted = "hello " + (trusting ? "early " : "") + "a" + large
        #expect(peer.read { $0.answers[stream]?.body.count == wanted.utf8.count })
        peer.data(stream, "", isEnd: true)
        let answer = try peer.answer(stream)
        #expect(answer.text == wanted + " bye" && answer.isEnded && answer.reset == nil)
        let seen = try #require(upstream.requests.first)
        #expect(seen.start == "GET /ws HTTP/1.1" && seen.field("upgrade") == "websocket")
        #expect(seen.field("connection")?.lowercased() == "upgrade" && seen.field("sec-websocket-version") == "13")
        let line = try balancer.program.await { $0.contains("\"status\":101") ? $0 : nil }
        #expect(line.contains(#""protocol":"HTTP/2""#))
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("What is no opening is none for the client either")
    func refusals() throws {
        let upstream = try self.upstream()
        let balancer = try BalancerProcess(
            http2Before: upstream,
            routes: #"""
                {"name": "none", "match": {"path": "/off"}, "upgrade": [], "split": {"core": 1}},
                {"name": "api", "split": {"core": 1}}
                """#)
        let peer = try HTTP2Peer(balancer)
        for (path, status) in [
            ("/no", "403"), ("/plain", "502"), ("/wrong", "502"), ("/off", "405"),
        ] {
            let answer = try peer.answer(self.ask(peer, path))
            #expect(answer.status == status && answer.isEnded, "\(path): \(answer)")
        }
        let other = peer.newStream()
        peer.send(
            peer.headers(
                other,
                [
                    (":method", "CONNECT"), (":protocol", "other"), (":scheme", "http"), (":path", "/"),
                    (":authority", "test"),
                ], isEnd: false))
        #expect(try peer.answer(other).status == "405")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("A reset by the client reaches the endpoint, and the endpoint's the client")
    func resets() throws {
        let closed = Progress()
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            let request = try reader.head(seconds: 60)
            let answer = Self.answer(to: request.field("sec-websocket-key") ?? "")
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Accept: \(answer)\r\n\r\n")
            if request.start.contains("/die") {
                connection.resetOnClose()
                return connection.hangUp()
            }
            if case .reset = connection.receive(by: Deadline(seconds: 60)) { closed.add(1) }
        }
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let stream = self.ask(peer, "/ws")
        #expect(peer.read { $0.answers[stream]?.status == "200" })
        peer.reset(stream)
        #expect(eventually { closed.value == 1 })
        let dying = self.ask(peer, "/die")
        #expect(try peer.answer(dying).reset == 8)
    }
}
