import TestSupport
import Testing

/// Upstreams that agree on their protocol within TLS.
@Suite("HTTP/2 upstreams by ALPN", .serialized) struct HTTP2UpstreamTLSScenarios {
    private static let certificates = Result { try TestCertificates() }

    private func started(
        _ setting: String, protocols: [String], health: String = ""
    ) throws -> (TLSTerminator, HTTP2Upstream, ScriptedUpstream, BalancerProcess) {
        let made = try Self.certificates.get()
        let http2 = try HTTP2Upstream.echoing()
        let http1 = try ScriptedUpstream.echoing()
        let terminator = try TLSTerminator(
            http1: http1.port, http2: http2.port, protocols: protocols, made.make("up", names: ["localhost"]))
        let balancer = try BalancerProcess(
            """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0", "http2": true}],
             "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": false},
             "upstreams": {"core": {"endpoints": ["localhost:\(terminator.port)"], "protocol": "\(setting)",
                                    "tls": {"ca": "\(made.authority)"}, "retry": {"attempts": 0}\(health)}},
             "routes": [{"name": "api", "split": {"core": 1}}]}
            """)
        return (terminator, http2, http1, balancer)
    }

    @Test(
        "What is asked for and what the endpoint agrees on",
        arguments: [
            ("http2", ["h2", "http/1.1"], "h2"), ("auto", ["h2", "http/1.1"], "h2"), ("auto", ["http/1.1"], "http/1.1"),
            ("auto", [], "None"), ("http1", ["h2", "http/1.1"], "None"),
        ])
    func agrees(_ setting: String, _ protocols: [String], _ agreed: String) throws {
        let (terminator, http2, http1, balancer) = try self.started(setting, protocols: protocols)
        let peer = try HTTP2Peer(balancer)
        let streams = (0..<12).map { ($0, peer.request("/\($0)")) }
        for (number, stream) in streams { #expect(try peer.answer(stream).text == "/\(number)") }
        #expect(eventually { Set(terminator.agreed) == [agreed] }, "\(terminator.agreed)")
        #expect(http2.requests.count == (agreed == "h2" ? 12 : 0))
        #expect(http1.requests.count == (agreed == "h2" ? 0 : 12))
        #expect(try balancer.command("upstreams").output.contains(agreed == "h2" ? "HTTP/2" : "HTTP/1.1"))
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("An endpoint that does not agree on what it must: 502, and no request reaches it")
    func refuses() throws {
        let (terminator, http2, http1, balancer) = try self.started("http2", protocols: ["http/1.1"])
        defer { withExtendedLifetime(terminator) {} }
        let answer = try balancer.request("/secret", method: "POST")
        #expect(
            answer.status == 502 && answer.field("x-balancer-reason") == "protocol-not-negotiated", "\(answer.start)")
        #expect(http2.requests.isEmpty && http1.requests.isEmpty)
        #expect(try balancer.admin("/metrics").text.contains("reason=\"alpn\"} 1\n"))
    }

    @Test("A WebSocket goes over a connection of its own where the endpoint may speak HTTP/1.1")
    func tunnel() throws {
        let (terminator, http2, http1, balancer) = try self.started("auto", protocols: ["h2", "http/1.1"])
        defer { withExtendedLifetime(http1) {} }
        #expect(try balancer.request("/a").text == "/a")
        let client = try balancer.connect()
        client.send(
            "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        // It echoes a path instead of switching, which is an answer too.
        #expect(client.read(until: "/chat")?.hasPrefix("HTTP/1.1 200 ") ?? false)
        #expect(eventually { terminator.agreed == ["h2", "http/1.1"] }, "\(terminator.agreed)")
        #expect(http2.connections == 1)
    }

    @Test("gRPC asks an endpoint again that chose HTTP/1.1: it may be another program since")
    func choosesAnew() throws {
        let (old, http2, http1, balancer) = try self.started("auto", protocols: ["http/1.1"])
        let peer = try HTTP2Peer(balancer)
        let call = {
            try peer.answer(
                peer.request(
                    "/a/b", method: "POST", fields: [("content-type", "application/grpc"), ("te", "trailers")]))
        }
        for _ in 0..<3 { #expect(try call().field("grpc-message") == "grpc-needs-http2") }
        #expect(http1.requests.isEmpty)
        old.stop()
        let new = try TLSTerminator(
            http1: http1.port, http2: http2.port, protocols: ["h2", "http/1.1"],
            Self.certificates.get().make("up", names: ["localhost"]), port: old.port)
        #expect(try eventually { try call().text == "/a/b" })
        #expect(new.agreed == ["h2"] && http1.requests.isEmpty, "\(new.agreed)")
        #expect(try balancer.request("/c").text == "/c")
        #expect(new.agreed == ["h2"])
    }

    @Test("Probes speak what the endpoint agrees on", arguments: ["http2", "auto", "http1"])
    func probes(_ setting: String) throws {
        let (terminator, http2, http1, balancer) = try self.started(
            setting, protocols: ["h2", "http/1.1"],
            health: #", "health": {"path": "/probe", "interval": "200ms", "timeout": "200ms", "rise": 1}"#)
        defer { withExtendedLifetime(terminator) {} }
        let counted = setting == "http1" ? { http1.requests.count } : { http2.requests.count }
        #expect(eventually { counted() >= 3 })
        #expect(try eventually { try balancer.command("upstreams").output.contains("ok ") })
        #expect(try balancer.request("/x").text == "/x")
    }
}
