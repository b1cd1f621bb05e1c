import HTTP2
import TestSupport
import Testing

/// Upstreams that speak HTTP/2, by prior knowledge.
@Suite("HTTP/2 upstreams") struct HTTP2UpstreamScenarios {
    @Test("A request and its answer, from a client of either version")
    func plain() throws {
        let upstream = try HTTP2Upstream.echoing()
        let balancer = try BalancerProcess(before: upstream, accessLog: true)
        let answer = try balancer.request(
            "/a?b", fields: "Cookie: x=1\r\nConnection: x-hop\r\nX-Hop: 1\r\nTE: trailers\r\n")
        #expect(answer.status == 200 && answer.text == "/a?b", "\(answer.start) \(answer.text)")
        #expect(answer.field("content-length") == "4")
        let peer = try HTTP2Peer(balancer)
        let other = try peer.answer(peer.request("/c"))
        #expect(other.status == "200" && other.text == "/c")
        let request = try #require(upstream.requests.first)
        #expect(request.method == "GET" && request.path == "/a?b")
        #expect(request.field(":scheme") == "http" && request.field(":authority") == "test")
        #expect(request.field("cookie") == "x=1" && request.field("x-forwarded-for") == "127.0.0.1")
        for name in ["host", "connection", "x-hop", "transfer-encoding"] {
            #expect(request.field(name) == nil, "\(name)")
        }
        #expect(request.field("te") == "trailers")
        #expect(upstream.connections == 1)
        #expect(try eventually { try balancer.outstanding() == 0 })
        #expect(upstream.resets.isEmpty)
    }

    @Test("Requests share a connection up to what the endpoint takes, then the next one")
    func shares() throws {
        let upstream = try HTTP2Upstream(settings: [(3, 10)]) { event, connection in
            guard case .ended(let stream) = event, connection.requests[stream]?.path != "/go" else {
                if case .ended(let stream) = event { connection.answer(stream) }
                return
            }
            // All are held until a last one comes.
            if connection.requests[stream]?.path == "/last" {
                for stream in connection.requests.keys.sorted() where connection.requests[stream]?.path != "/go" {
                    connection.answer(stream, body: Array("\(stream)".utf8))
                }
            }
        }
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request("/go").status == 200)
        let peer = try HTTP2Peer(balancer)
        let streams = (0..<9).map { peer.request("/\($0)") }
        #expect(eventually { upstream.requests.count == 10 })
        #expect(upstream.connections == 1)
        let last = peer.request("/last")
        for stream in streams + [last] { #expect(try peer.answer(stream).status == "200") }
        #expect(upstream.mostStreams == 10)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("Bodies both ways, with trailers, interim answers, and none at all")
    func bodies() throws {
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event, let request = connection.requests[stream] else { return }
            switch request.path {
            case "/interim":
                connection.headers(stream, [(":status", "103"), ("link", "</a>")])
                connection.answer(stream, body: Array("late".utf8))
            case "/trailers":
                connection.answer(stream, body: Array("abc".utf8), trailers: [("x-sum", "7")])
            case "/none": connection.answer(stream, status: "204", fields: [("x-a", "b")])
            case "/head": connection.answer(stream, fields: [("content-length", "5")])
            case "/empty": connection.answer(stream, fields: [("x-a", "b")])
            case "/big": connection.answer(stream, body: [UInt8](repeating: 0x78, count: 3_000_000))
            default:
                connection.answer(stream, body: Array("\(request.body.count) \(request.trailers.map(\.name))".utf8))
            }
        }
        let balancer = try BalancerProcess(before: upstream)
        let interim = try balancer.exchange("GET /interim HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").text
        #expect(interim.hasPrefix("HTTP/1.1 103 ") && interim.contains("HTTP/1.1 200 OK\r\n"), "\(interim)")
        let trailed = try balancer.request("/trailers")
        #expect(trailed.text == "abc" && trailed.trailers == ["x-sum: 7"])
        let none = try balancer.request("/none")
        #expect(none.status == 204 && none.field("x-a") == "b" && none.field("content-length") == nil)
        let client = try balancer.connect()
        var reader = MessageReader(client)
        for _ in 0..<2 {
            client.send("GET /empty HTTP/1.1\r\nHost: h\r\n\r\n")
            let empty = try reader.message()
            #expect(empty.status == 200 && empty.body.isEmpty && empty.field("content-length") == "0")
        }
        #expect(try balancer.request("/big").body.count == 3_000_000)
        let long = String(repeating: "y", count: 2_000_000)
        #expect(try balancer.request("/up", method: "POST", body: long).text == "2000000 []")
        let chunks = try balancer.exchange(
            "POST /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n"
                + "Connection: close, te\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-t: 1\r\n\r\n")
        #expect(chunks.text.contains("5 [\"x-t\"]"), "\(chunks)")
        let head = try balancer.request("/head", method: "HEAD")
        #expect(head.status == 200 && head.field("content-length") == "5")
        let request = try #require(upstream.requests.first { $0.path == "/up" })
        #expect(request.field("content-length") == "2000000")
        #expect(upstream.connections == 1 && upstream.resets.isEmpty, "\(upstream.resets)")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("A request larger than the endpoint has said that it takes is refused here: its connection is shared")
    func tooLarge() throws {
        let upstream = try HTTP2Upstream.echoing(settings: [(6, 2_000)])
        let balancer = try BalancerProcess(before: upstream)
        // Its SETTINGS are known with its first answer.
        #expect(try balancer.request("/a").text == "/a")
        let long = String(repeating: "x", count: 2_000)
        let refused = try balancer.request("/b", fields: "X-Long: \(long)\r\n")
        #expect(
            refused.status == 431 && refused.field("x-balancer-reason") == "too-large-for-endpoint", "\(refused.start)")
        let peer = try HTTP2Peer(balancer)
        #expect(try peer.answer(peer.request("/c", fields: [("x-long", long)])).status == "431")
        // Small ones count 32 bytes more each.
        let many = (0..<60).map { ("x\($0)", "") }
        #expect(try peer.answer(peer.request("/d", fields: many)).status == "431")
        let fitting = [("x-fits", String(repeating: "x", count: 1_000))]
        #expect(try peer.answer(peer.request("/e", fields: fitting)).text == "/e")
        #expect(upstream.requests.map(\.path) == ["/a", "/e"])
        #expect(upstream.connections == 1 && upstream.resets.isEmpty)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }
}

/// What goes wrong with them, and how they end.
@Suite("HTTP/2 upstreams that end") struct HTTP2UpstreamEndScenarios {
    @Test("What an endpoint refuses unseen goes again, whatever its method; what it resets does not")
    func refuses() throws {
        let seen = Locked<[String]>([])
        let upstream = try HTTP2Upstream { event, connection in
            guard case .began(let stream) = event, let request = connection.requests[stream] else { return }
            seen.change { $0.append(request.path) }
            switch request.path {
            case "/refused" where seen.value.count { $0 == "/refused" } == 1: connection.reset(stream, .refusedStream)
            case "/reset": connection.reset(stream, .internalError)
            case "/always": connection.reset(stream, .refusedStream)
            default: connection.answer(stream, body: Array(request.path.utf8))
            }
        }
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request("/refused", method: "POST").text == "/refused")
        let reset = try balancer.request("/reset", method: "POST")
        #expect(reset.status == 502 && reset.field("x-balancer-reason") == "stream-reset")
        let always = try balancer.request("/always", method: "DELETE")
        #expect(always.status == 502 && always.field("x-balancer-reason") == "stream-reset")
        #expect(seen.value.count { $0 == "/refused" } == 2)
        #expect(seen.value.count { $0 == "/reset" } == 1)
        // The first and two further attempts.
        #expect(seen.value.count { $0 == "/always" } == 3)
        #expect(upstream.connections == 1)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("A gRPC message that an endpoint refuses unseen goes again with its body")
    func refusesMessages() throws {
        let refusals = Progress()
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event, let request = connection.requests[stream] else { return }
            guard refusals.value > 0 else {
                refusals.add(1)
                return connection.reset(stream, .refusedStream)
            }
            connection.headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
            connection.data(stream, request.body, ends: true, trailers: [("grpc-status", "0")])
        }
        let balancer = try BalancerProcess(before: upstream)
        let peer = try HTTP2Peer(balancer)
        let stream = peer.newStream()
        let head = [
            (":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), (":authority", "test"),
            ("content-type", "application/grpc+proto"), ("te", "trailers"),
        ]
        peer.send(
            peer.headers(stream, head, isEnd: false)
                + peer.frame(FrameType.data, flags: FrameFlag.endStream, stream: stream, [0, 0, 0, 0, 2, 8, 1]))
        let answer = try peer.answer(stream)
        #expect(answer.body == [0, 0, 0, 0, 2, 8, 1] && answer.trailers.map(\.name) == ["grpc-status"], "\(answer)")
        #expect(upstream.requests.map(\.body) == [[0, 0, 0, 0, 2, 8, 1], [0, 0, 0, 0, 2, 8, 1]])
        #expect(
            try eventually {
                try balancer.metric(
                    "balancer_grpc_requests_total{route=\"api\",upstream=\"core\",grpc_status=\"0\"}") == 1
            })
    }

    @Test("GOAWAY: what is below it ends there, what is above goes over a new connection")
    func goesAway() throws {
        let upstream = try HTTP2Upstream { event, connection in
            switch event {
            case .began(let stream) where connection.number == 1:
                guard stream == 3 else { return }
                connection.goAway(last: 1)
                connection.answer(1, body: Array("below".utf8))
            case .ended(let stream) where connection.number > 1:
                connection.answer(stream, body: Array("above".utf8))
            default: break
            }
        }
        let balancer = try BalancerProcess(before: upstream)
        let peer = try HTTP2Peer(balancer)
        let below = peer.request("/1")
        #expect(eventually { upstream.requests.count == 1 })
        let above = peer.request("/2", method: "POST")
        #expect(try peer.answer(below).text == "below")
        #expect(try peer.answer(above).text == "above")
        #expect(upstream.connections == 2)
        // It leaves, and says so, behind its last stream.
        #expect(eventually { upstream.goAways == 1 && upstream.open == 1 })
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("A client that gives up resets its stream, not the connection that others share")
    func cancels() throws {
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event, let path = connection.requests[stream]?.path, path != "/hold" else {
                return
            }
            connection.answer(stream, body: Array(path.utf8))
        }
        let balancer = try BalancerProcess(before: upstream)
        let peer = try HTTP2Peer(balancer)
        let held = peer.request("/hold")
        #expect(eventually { upstream.requests.count == 1 })
        peer.reset(held)
        #expect(eventually { upstream.resets.count == 1 })
        #expect(upstream.resets.first?.code == 8)
        #expect(try peer.answer(peer.request("/next")).text == "/next")
        #expect(upstream.connections == 1)
    }

    @Test("A connection that ends fails each of its streams once; idle ones that ended cost nobody anything")
    func breaks() throws {
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event, let path = connection.requests[stream]?.path else { return }
            switch path {
            case "/last":
                connection.raw.resetOnClose()
                connection.isOver = true
            case "/bye":
                connection.answer(stream, body: Array("bye".utf8))
                connection.isOver = true
            case "/hold": break
            default: connection.answer(stream, body: Array(path.utf8))
            }
        }
        let balancer = try BalancerProcess(before: upstream, keys: "\"retry\": {\"attempts\": 0}")
        let peer = try HTTP2Peer(balancer)
        let held = (0..<3).map { _ in peer.request("/hold", method: "POST") }
        #expect(eventually { upstream.requests.count == 3 })
        let last = peer.request("/last", method: "POST")
        for stream in held + [last] { #expect(try peer.answer(stream).status == "502") }
        for number in 0..<5 {
            #expect(try balancer.request("/bye").text == "bye")
            #expect(eventually { upstream.open == 0 })
            #expect(try balancer.request("/post-\(number)", method: "POST").status == 200)
        }
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("Frames that break the protocol end the connection, or the stream alone: 502")
    func malformed() throws {
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event, let path = connection.requests[stream]?.path else { return }
            switch path {
            case "/length": connection.answer(stream, fields: [("content-length", "5")], body: [1, 2])
            case "/upper": connection.headers(stream, [(":status", "200"), ("X-Upper", "1")], ends: true)
            case "/hop": connection.headers(stream, [(":status", "200"), ("connection", "close")], ends: true)
            case "/no-status": connection.headers(stream, [("x", "1")], ends: true)
            case "/body-first": connection.data(stream, [1], ends: true)
            case "/frame": connection.frame(FrameType.ping, 0, 0, [1])
            default: connection.answer(stream, body: Array(path.utf8))
            }
        }
        let balancer = try BalancerProcess(before: upstream, keys: "\"passive\": {\"enabled\": false}")
        for path in ["/upper", "/hop", "/no-status", "/body-first"] {
            let answer = try balancer.request(path)
            let reason = answer.field("x-balancer-reason")
            #expect(answer.status == 502 && reason == "bad-response", "\(path) \(answer.start)")
        }
        #expect(upstream.connections == 1)
        let length = try balancer.exchange("GET /length HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(!length.text.hasPrefix("HTTP/1.1 200") || length.end == .reset || length.text.count < 400, "\(length)")
        #expect(try balancer.request("/frame").status == 502)
        #expect(try balancer.request("/fine").text == "/fine")
        #expect(eventually { upstream.connections == 2 && upstream.goAways == 1 })
    }

    @Test("A head that is too large fails its stream alone, however large it is")
    func largeHeads() throws {
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event, let path = connection.requests[stream]?.path else { return }
            let size = Int(path.dropFirst()) ?? 0
            guard size > 0 else { return connection.answer(stream, body: Array(path.utf8)) }
            let line = String(repeating: "v", count: size < 1_000 ? 1 : 1_000)
            connection.longHeaders(
                stream,
                [(":status", "200")] + (0..<max(size / 1_000, 1)).map { ("x-\($0)", line) }
                    + (0..<(size < 1_000 ? 4_000 : 0)).map { ("y-\($0)", line) })
        }
        let balancer = try BalancerProcess(before: upstream, keys: "\"passive\": {\"enabled\": false}")
        let peer = try HTTP2Peer(balancer)
        // In bytes less than one piece, more, and far more; and 4,000 fields of a few bytes.
        for size in [100_000, 200_000, 700_000, 1] {
            let large = peer.request("/\(size)")
            let fine = peer.request("/fine")
            let answer = try peer.answer(large)
            #expect(answer.status == "502", "\(size) \(answer)")
            #expect(try peer.answer(fine).text == "/fine")
        }
        #expect(upstream.connections == 1)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("An endpoint that connects and says nothing is held to the time for connecting, and counts once")
    func silent() throws {
        let upstream = try HTTP2Upstream(settings: nil) { _, _ in }
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"retry\": {\"attempts\": 0}", top: "\"timeouts\": {\"connect\": \"300ms\"}")
        let peer = try HTTP2Peer(balancer)
        let streams = (0..<8).map { peer.request("/", method: $0 < 4 ? "GET" : "POST") }
        for stream in streams {
            // Not the ten seconds that SETTINGS have elsewhere.
            let answer = try peer.answer(stream, seconds: 5)
            #expect(answer.status == "504", "\(answer)")
        }
        #expect(upstream.connections == 1)
        let line =
            "balancer_endpoint_connect_failures_total{upstream=\"core\",endpoint=\"127.0.0.1:\(upstream.port)\"} 1"
        #expect(try balancer.admin("/metrics").text.contains(line + "\n"))
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("An endpoint that stops reading holds its own uploads only, and windows bound what is held")
    func windows() throws {
        let upstream = try HTTP2Upstream(reads: false) { event, connection in
            guard case .ended(let stream) = event, let path = connection.requests[stream]?.path else { return }
            connection.answer(stream, body: Array("\(connection.requests[stream]?.body.count ?? 0)\(path)".utf8))
        }
        let balancer = try BalancerProcess(
            before: upstream, top: "\"timeouts\": {\"requestBodyIdle\": \"2s\"}")
        let stuck = try balancer.connect()
        stuck.send("PUT /stuck HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
        startThread { for _ in 0..<100 { stuck.send([UInt8](repeating: 0x61, count: 100_000)) } }
        // 64 KiB of the stream's window, and the connection's with it.
        #expect(try balancer.request("/other").text == "0/other")
        let answer = stuck.readAll(seconds: 60).text
        #expect(answer.hasPrefix("HTTP/1.1 504 ") && answer.contains("upload-stalled"), "\(answer)")
        #expect(try balancer.request("/after").text == "0/after")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("An endpoint that cannot be reached: every request that waited for the connection is answered")
    func unreachable() throws {
        let refused = try ReservedPort()
        let balancer = try BalancerProcess(
            """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0", "http2": true}],
             "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": false},
             "upstreams": {"core": {"endpoints": ["127.0.0.1:\(refused.number)"], "protocol": "http2"}},
             "routes": [{"name": "api", "split": {"core": 1}}]}
            """)
        let peer = try HTTP2Peer(balancer)
        let streams = (0..<20).map { _ in peer.request("/") }
        for stream in streams { #expect(try peer.answer(stream).status == "502") }
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("Idle connections leave by GOAWAY after their time, in a drain, and when their endpoint goes")
    func leaves() throws {
        let upstream = try HTTP2Upstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"upstreamIdle\": \"300ms\"}")
        #expect(try balancer.request("/a").text == "/a")
        #expect(eventually { upstream.goAways == 1 && upstream.open == 0 })
        #expect(try balancer.request("/b").text == "/b")
        #expect(balancer.stop() == 0)
        #expect(eventually { upstream.goAways == 2 && upstream.open == 0 })
    }
}

/// WebSockets toward upstreams that speak HTTP/2 (RFC 8441).
@Suite("WebSockets over HTTP/2 upstreams") struct HTTP2UpstreamTunnelScenarios {
    private static let wish =
        "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    private static func echoing(_ settings: [(UInt16, UInt32)]) throws -> HTTP2Upstream {
        try HTTP2Upstream(settings: settings) { event, connection in
            switch event {
            case .began(let stream):
                guard let request = connection.requests[stream], request.method == "CONNECT" else { return }
                let isRefused = request.path == "/no"
                connection.headers(stream, [(":status", isRefused ? "403" : "200")], ends: isRefused)
            case .data(let stream, let count):
                guard let request = connection.requests[stream], request.method == "CONNECT" else { return }
                connection.data(stream, Array(request.body.suffix(count)))
            case .ended(let stream):
                guard let request = connection.requests[stream] else { return }
                if request.method == "CONNECT" {
                    connection.data(stream, Array("bye".utf8), ends: true)
                } else {
                    connection.answer(stream, body: Array(request.path.utf8))
                }
            default: break
            }
        }
    }

    @Test("A client of HTTP/1.1: 101 with its key answered, bytes both ways, each end passed on")
    func plain() throws {
        let upstream = try Self.echoing([(8, 1)])
        let balancer = try BalancerProcess(before: upstream)
        let client = try balancer.connect()
        client.send(Self.wish)
        let head = try #require(client.read(until: "\r\n\r\n"))
        #expect(head.hasPrefix("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "\(head)")
        client.send("hello")
        #expect(client.read(until: "hello") == "hello")
        #expect(try balancer.request("/beside").text == "/beside")
        client.endOutput()
        #expect(client.readAll().text == "bye")
        let request = try #require(upstream.requests.first { $0.method == "CONNECT" })
        #expect(request.field(":protocol") == "websocket" && request.path == "/chat")
        for name in ["sec-websocket-key", "upgrade", "connection"] { #expect(request.field(name) == nil) }
        #expect(request.field("sec-websocket-version") == "13")
        #expect(upstream.connections == 1)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("A client of HTTP/2; and one that is refused by the endpoint")
    func streams() throws {
        let upstream = try Self.echoing([(8, 1)])
        let balancer = try BalancerProcess(before: upstream)
        let peer = try HTTP2Peer(balancer)
        let stream = peer.newStream()
        let fields = { (path: String) in
            [
                (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
                (":authority", "test"), ("sec-websocket-version", "13"),
            ]
        }
        peer.send(peer.headers(stream, fields("/chat"), isEnd: false))
        #expect(peer.read(until: { $0.answers[stream]?.status != nil }))
        #expect(peer.answers[stream]?.status == "200")
        peer.data(stream, "abc")
        #expect(peer.read(until: { $0.answers[stream]?.text == "abc" }))
        peer.data(stream, "", isEnd: true)
        #expect(try peer.answer(stream).text == "abcbye")
        let refused = peer.newStream()
        peer.send(peer.headers(refused, fields("/no"), isEnd: false))
        #expect(try peer.answer(refused).status == "403")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("Of protocols HTTP/2 has a form for WebSockets alone: no other wish opens one, nor one without its key")
    func others() throws {
        let upstream = try Self.echoing([(8, 1)])
        let balancer = try BalancerProcess(
            before: upstream, routes: #"{"name": "api", "upgrade": ["websocket", "other"], "split": {"core": 1}}"#)
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        for wish in [
            Self.wish.replacing("Upgrade: websocket", with: "Upgrade: other"), Self.wish.replacing(key, with: ""),
            Self.wish.replacing(key, with: key + key),
            Self.wish.replacing("Connection: Upgrade", with: "Connection: Upgrade, Sec-WebSocket-Key"),
        ] {
            let client = try balancer.connect()
            client.send(wish)
            let head = try #require(client.read(until: "\r\n\r\n"))
            #expect(head.hasPrefix("HTTP/1.1 502 ") && head.contains("protocol-not-negotiated"), "\(wish): \(head)")
        }
        let client = try balancer.connect()
        client.send(Self.wish.replacing("Upgrade: websocket", with: "Upgrade: other, websocket"))
        #expect(client.read(until: "\r\n\r\n")?.contains("\r\nUpgrade: websocket\r\n") ?? false)
        client.endOutput()
        #expect(client.readAll().text == "bye")
        #expect(upstream.requests.count == 1 && upstream.resets.isEmpty && upstream.connections == 1)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("An endpoint that does not open them: 502, and other requests go on")
    func refused() throws {
        let upstream = try Self.echoing([])
        let balancer = try BalancerProcess(before: upstream)
        let client = try balancer.connect()
        client.send(Self.wish)
        let head = try #require(client.read(until: "\r\n\r\n"))
        #expect(head.hasPrefix("HTTP/1.1 502 ") && head.contains("protocol-not-negotiated"), "\(head)")
        #expect(try balancer.request("/beside").text == "/beside")
        #expect(upstream.connections == 1)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }
}
