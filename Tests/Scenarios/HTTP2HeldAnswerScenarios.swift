import HTTP2
import TestSupport
import Testing

/// Answers of endpoints that came whole and wait for a slow client: what then becomes of the stream or the connection takes nothing
/// of them away.
@Suite("HTTP/2 answers that wait for their client") struct HTTP2HeldAnswerScenarios {
    private static let size = 60_000

    /// Answers `/plain` at once, and everything else with the begin of a long answer. The rest of that comes with the next `/plain` on
    /// the same connection, in front of its answer, and between them what the path says.
    private static func upstream() throws -> HTTP2Upstream {
        let begun = Locked<(stream: UInt32, path: String)?>(nil)
        return try HTTP2Upstream { event, connection in
            let stream: UInt32
            switch event {
            case .ended(let ended): stream = ended
            // Its body never ends.
            case .began(let began) where connection.requests[began]?.path == "/early": stream = began
            default: return
            }
            guard let path = connection.requests[stream]?.path else { return }
            guard path == "/plain" else {
                begun.change { $0 = (stream, path) }
                connection.headers(stream, [(":status", "200")])
                return connection.data(stream, [UInt8](repeating: 0x78, count: Self.begin))
            }
            if let (first, path) = begun.value {
                begun.change { $0 = nil }
                connection.data(
                    first, [UInt8](repeating: 0x79, count: Self.size - Self.begin), ends: path != "/part",
                    trailers: path == "/trailers" ? [("x-sum", "7")] : nil)
                switch path {
                case "/fault": connection.frame(FrameType.ping, 0, 0, [1])
                case "/end", "/part":
                    connection.isOver = true
                    return
                default: connection.reset(first, .noError)
                }
            }
            connection.answer(stream, body: Array("plain".utf8))
        }
    }

    private static let begin = 1_000

    /// A client that takes a hundred bytes of each answer until it says more.
    private static func slowPeer(_ balancer: BalancerProcess) throws -> HTTP2Peer {
        let peer = try HTTP2Peer(balancer, settings: [(4, 100)])
        peer.reads = false
        return peer
    }

    @Test(
        "A reset behind a whole answer, the end of its connection, or a fault of it: the client gets all of it",
        arguments: ["/reset", "/trailers", "/end", "/fault"])
    func whole(path: String) throws {
        let upstream = try Self.upstream()
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request("/plain").text == "plain")
        let peer = try Self.slowPeer(balancer)
        let stream = peer.request(path)
        #expect(peer.read(until: { $0.answers[stream]?.body.count == 100 }))
        // Its answer stands behind all of that; or it comes over a new connection, for the balancer knows of the first one's end.
        let connections = path == "/end" || path == "/fault" ? 2 : 1
        #expect(
            try eventually { try balancer.request("/plain").text == "plain" && upstream.connections == connections })
        peer.reads = true
        peer.windowUpdate(stream, 1 << 20)
        let answer = try peer.answer(stream)
        #expect(answer.isEnded && answer.reset == nil, "\(answer.reset as Any)")
        #expect(answer.body.count == Self.size)
        #expect(answer.trailers.map(\.name) == (path == "/trailers" ? ["x-sum"] : []))
        #expect(try eventually { try balancer.outstanding() == 0 })
        #expect(try balancer.sum("balancer_ejections_total") == 0)
    }

    @Test("A whole answer whose request still comes, and is not wanted any more")
    func early() throws {
        let upstream = try Self.upstream()
        let balancer = try BalancerProcess(before: upstream)
        let peer = try Self.slowPeer(balancer)
        let stream = peer.request("/early", method: "POST", isEnd: false)
        #expect(peer.read(until: { $0.answers[stream]?.body.count == 100 }))
        #expect(try balancer.request("/plain").text == "plain")
        peer.data(stream, "more")
        peer.reads = true
        peer.windowUpdate(stream, 1 << 20)
        #expect(peer.read(until: { $0.answers[stream]?.isEnded ?? false }), "\(peer.answers[stream]?.reset as Any)")
        #expect(peer.answers[stream]?.body.count == Self.size)
        #expect(try eventually { try balancer.outstanding() == 0 })
        #expect(upstream.connections == 1)
    }

    @Test("One that did not come whole is not made to look so")
    func part() throws {
        let upstream = try Self.upstream()
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request("/plain").text == "plain")
        let peer = try Self.slowPeer(balancer)
        let stream = peer.request("/part")
        #expect(peer.read(until: { $0.answers[stream]?.body.count == 100 }))
        #expect(try eventually { try balancer.request("/plain").text == "plain" && upstream.connections == 2 })
        peer.reads = true
        peer.windowUpdate(stream, 1 << 20)
        let answer = try peer.answer(stream)
        #expect(!answer.isEnded && answer.reset == 2, "\(answer.body.count)")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("A client that gives up while its answer waits behind a connection that has ended leaves nothing behind")
    func givesUp() throws {
        let upstream = try Self.upstream()
        let balancer = try BalancerProcess(before: upstream, keys: "\"maxConnections\": 1")
        #expect(try balancer.request("/plain").text == "plain")
        let peer = try Self.slowPeer(balancer)
        let stream = peer.request("/end")
        #expect(peer.read(until: { $0.answers[stream]?.body.count == 100 }))
        // Its place among the connections is free already.
        #expect(try eventually { try balancer.request("/plain").text == "plain" && upstream.connections == 2 })
        peer.reset(stream)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }
}

/// Connections to endpoints that take few streams, or none.
@Suite("HTTP/2 endpoints that take few streams") struct HTTP2FewStreamsScenarios {
    @Test("Of connections that have become idle as many are kept as idleConnections says")
    func idle() throws {
        let arrived = Progress()
        let upstream = try HTTP2Upstream(settings: [(3, 1)]) { event, connection in
            guard case .ended(let stream) = event else { return }
            if connection.requests[stream]?.path == "/hold" {
                arrived.add(1)
                guard eventually({ arrived.value >= 4 }) else { return }
            }
            connection.answer(stream, body: Array("ok".utf8))
        }
        let balancer = try BalancerProcess(before: upstream, keys: "\"idleConnections\": 1")
        let clients = try (0..<4).map { _ in try balancer.connect() }
        for (number, client) in clients.enumerated() {
            client.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
            // Each on a connection of its own.
            #expect(eventually { arrived.value == number + 1 })
        }
        for client in clients {
            var reader = MessageReader(client)
            #expect(try reader.message().text == "ok")
        }
        #expect(eventually { upstream.open == 1 }, "\(upstream.open)")
        #expect(try balancer.request("/after").text == "ok")
        #expect(upstream.connections == 4)
    }

    @Test("maxConnections bounds connections, and not the requests on them")
    func connections() throws {
        let upstream = try HTTP2Upstream(settings: [(3, 10)]) { event, connection in
            guard case .ended(let stream) = event, connection.requests[stream]?.path == "/go" else { return }
            for stream in connection.requests.keys.sorted() { connection.answer(stream, body: Array("ok".utf8)) }
        }
        let balancer = try BalancerProcess(before: upstream, keys: "\"maxConnections\": 1")
        let peer = try HTTP2Peer(balancer)
        let streams = (0..<9).map { _ in peer.request("/hold") }
        #expect(eventually { upstream.requests.count == 9 })
        let last = peer.request("/go")
        for stream in streams + [last] { #expect(try peer.answer(stream).text == "ok") }
        #expect(upstream.connections == 1)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("One that takes none is not kept, and neither a request nor a WebSocket asks it without end")
    func none() throws {
        let upstream = try HTTP2Upstream(settings: [(8, 1), (3, 0)]) { event, connection in
            guard case .began(let stream) = event else { return }
            connection.reset(stream, .refusedStream)
        }
        let balancer = try BalancerProcess(before: upstream)
        let answer = try balancer.request("/")
        #expect(answer.status == 502 && answer.field("x-balancer-reason") == "stream-reset", "\(answer.start)")
        let client = try balancer.connect()
        client.send(
            "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        let head = try #require(client.read(until: "\r\n\r\n"))
        #expect(head.hasPrefix("HTTP/1.1 502 ") && head.contains("stream-reset"), "\(head)")
        // Three attempts each.
        #expect(upstream.connections <= 6, "\(upstream.connections)")
        #expect(eventually { upstream.open == 0 })
        #expect(try eventually { try balancer.outstanding() == 0 })
    }
}

/// What counts against an endpoint over HTTP/2.
@Suite("HTTP/2 endpoints and blame") struct HTTP2BlameScenarios {
    @Test("A deadline that the client has chosen says nothing against an endpoint")
    func deadlines() throws {
        let upstreams = try (0..<2).map { _ in
            try HTTP2Upstream { event, connection in
                guard case .ended(let stream) = event, connection.requests[stream]?.path == "/plain" else { return }
                connection.answer(stream, body: Array("plain".utf8))
            }
        }
        let text = Routes.configuration(
            upstreams: [("core", upstreams.map(\.port))],
            upstreamKeys: "\"protocol\": \"http2\", \"passive\": {\"consecutiveFailures\": 1, \"maxEjectedShare\": 100}"
        )
        let balancer = try BalancerProcess(
            text.replacing(#""address": "127.0.0.1:0"}],"#, with: #""address": "127.0.0.1:0", "http2": true}],"#))
        let peer = try HTTP2Peer(balancer)
        for _ in 0..<6 {
            let stream = peer.request(
                "/a.B/Hang", method: "POST",
                fields: [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "20m")])
            let answer = try peer.answer(stream)
            #expect(answer.field("grpc-status") == "4", "\(answer.fields)")
        }
        #expect(try balancer.sum("balancer_ejections_total") == 0)
        #expect(try balancer.request("/plain").text == "plain")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("Clients that cancel again and again do not end the connection that others share")
    func cancels() throws {
        // It answers each request, also when it has been cancelled meanwhile: what it sends then comes late.
        let upstream = try HTTP2Upstream { event, connection in
            switch event {
            case .began(let stream) where connection.requests[stream]?.path == "/late": break
            case .reset(let stream, _):
                connection.frame(FrameType.headers, 4, stream, HTTP2Peer.literal(":status", "200"))
                connection.frame(FrameType.data, 1, stream, [UInt8](repeating: 0x78, count: 8_000))
            case .ended(let stream) where connection.requests[stream]?.path == "/plain":
                connection.answer(stream, body: Array("plain".utf8))
            default: break
            }
        }
        let balancer = try BalancerProcess(before: upstream, top: #""limits": {"http2": {"resets": 100000}}"#)
        #expect(try balancer.request("/plain").text == "plain")
        let peer = try HTTP2Peer(balancer)
        let rounds = 40
        for round in 0..<rounds {
            let streams = (0..<50).map { _ in peer.request("/late") }
            for stream in streams { peer.reset(stream) }
            try #require(eventually { upstream.resets.count == 50 * (round + 1) })
        }
        #expect(try balancer.request("/plain").text == "plain")
        #expect(upstream.connections == 1)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }
}
