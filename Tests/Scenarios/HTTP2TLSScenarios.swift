import Foundation
import Glibc
import HTTP2
import TestSupport
import Testing

/// HTTP/2 that clients agree on within TLS.
@Suite("HTTP/2 over TLS", .serialized) struct HTTP2TLSScenarios {
    private static let certificates = Result { try TestCertificates() }

    private func balancer(
        _ upstream: ScriptedUpstream, _ names: [String] = ["localhost"], tls: String = "", listener: String = "",
        top: String = ""
    ) throws -> BalancerProcess {
        let made = try Self.certificates.get().make("h2-\(names[0])", names: names)
        return try BalancerProcess(
            """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0", "tls": {"certificates":
              [{"certificate": "\(made.certificate)", "key": "\(made.key)"}]\(tls)}\(listener)}],
             "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": true},\(top)
             "upstreams": {"core": {"endpoints": ["127.0.0.1:\(upstream.port)"]}},
             "routes": [{"name": "api", "split": {"core": 1}}]}
            """)
    }

    /// `curl` as a client that trusts the tests' authority.
    private func curl(_ port: UInt16, _ path: String, _ words: [String]) throws -> (status: Int32, output: String) {
        let program = try Program(
            path: "/usr/bin/curl",
            [
                "-sS", "--max-time", "60", "--cacert", Self.certificates.get().authority, "--connect-to",
                "localhost:\(port):127.0.0.1:\(port)", "https://localhost:\(port)\(path)",
            ] + words)
        let status = try #require(program.awaitExit())
        return (status, (program.output + program.errors).joined(separator: "\n"))
    }

    /// What `openssl s_client` sees when it offers `protocols` and sends a request of HTTP/1.1.
    private func client(_ port: UInt16, _ protocols: String) throws -> String {
        let program = try Program(
            path: "/bin/sh",
            [
                "-c",
                "printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' "
                    + "| timeout 20 openssl s_client -connect 127.0.0.1:\(port) -ign_eof \(protocols) 2>&1",
            ])
        _ = program.awaitExit()
        return program.output.joined(separator: "\n")
    }

    private func relay(_ balancer: BalancerProcess) throws -> TLSRelay {
        try TLSRelay(to: balancer.port, trusting: Self.certificates.get().authority)
    }

    @Test("ALPN decides: HTTP/2 for those that offer it, HTTP/1.1 for all others")
    func agrees() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(upstream)
        let version = ["-w", "%{http_version}"]
        #expect(try self.curl(balancer.port, "/two", version + ["--http2"]).output == "/two2")
        #expect(try self.curl(balancer.port, "/one", version + ["--http1.1"]).output == "/one1.1")
        #expect(try self.curl(balancer.port, "/none", version + ["--no-alpn"]).output == "/none1.1")
        #expect(upstream.requests.allSatisfy { $0.field("x-forwarded-proto") == "https" })
        let line = try balancer.program.await { $0.contains(#""target":"/two""#) ? $0 : nil }
        for part in [#""protocol":"HTTP/2","#, #""stream":1,"#, #""tlsVersion":"TLSv1.3""#] {
            #expect(line.contains(part), "\(line)")
        }
        #expect(try self.client(balancer.port, "-alpn spdy").contains("no application protocol"))
        // What was agreed on is not what comes.
        let strange = try self.client(balancer.port, "-alpn h2")
        #expect(strange.contains("ALPN protocol: h2") && !strange.contains("HTTP/1.1 "), "\(strange.suffix(400))")
        let off = try self.balancer(upstream, listener: #", "http2": false"#)
        #expect(try self.curl(off.port, "/off", version + ["--http2"]).output == "/off1.1")
        #expect(try self.client(off.port, "-alpn h2").contains("no application protocol"))
    }

    @Test("One that agreed on HTTP/1.1 and sends the preface of HTTP/2 is refused")
    func preface() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(upstream)
        let relay = try TLSRelay(
            to: balancer.port, trusting: Self.certificates.get().authority, protocols: ["http/1.1"])
        let connection = try relay.connect()
        connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        #expect(connection.readAll().text.hasPrefix("HTTP/1.1 "))
        #expect(try relay.agreed() == "http/1.1")
        withExtendedLifetime(upstream) {}
    }

    @Test("The scheme is the connection's, whatever a request says; every record may end anywhere")
    func frames() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(upstream, top: #""limits": {"headerBytes": "64KiB"},"#)
        let peer = try HTTP2Peer(through: self.relay(balancer), greets: false)
        var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + peer.frame(FrameType.settings, [])
        let stream = peer.newStream()
        bytes += peer.headers(
            stream, [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "localhost")],
            isEnd: false)
        bytes += peer.frame(FrameType.data, flags: 1, stream: stream, Array("body".utf8))
        for byte in bytes { peer.send([byte]) }
        #expect(try peer.answer(stream).text == "body")
        #expect(upstream.requests.first?.field("x-forwarded-proto") == "https")
        // A head of nearly a record.
        let long = String(repeating: "v", count: 15_000)
        #expect(try peer.answer(peer.request("/long", fields: [("x-long", long)])).text == "/long")
        #expect(upstream.requests.last?.field("x-long") == long)
    }

    @Test("A name that the certificate lacks is sent away, on a connection that serves others")
    func misdirected() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(
            upstream, ["localhost", "also.example"], tls: #", "strictHost": true"#)
        let peer = try HTTP2Peer(through: self.relay(balancer))
        func ask(_ authority: String, host: String? = nil) throws -> String? {
            let stream = peer.newStream()
            peer.send(
                peer.headers(
                    stream,
                    [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", authority)]
                        + (host.map { [("host", $0)] } ?? []), isEnd: true))
            return try peer.answer(stream).status
        }
        #expect(try ask("localhost") == "200")
        #expect(try ask("ALSO.example:443") == "200")
        #expect(try ask("other.example") == "421")
        #expect(try ask("localhost") == "200")
        #expect(upstream.requests.count == 3)
    }

    @Test("Large bodies come whole in both directions, beside a reader that is slow")
    func bodies() throws {
        let upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            let message = try reader.message(seconds: 60)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(message.body.count)\r\nConnection: close\r\n\r\n")
            connection.send(message.body)
        }
        let balancer = try self.balancer(upstream)
        let folder = try Self.certificates.get().folder
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
        try Data(body).write(to: URL(fileURLWithPath: folder + "/body"))
        for extra in [[], ["--limit-rate", "2M"]] {
            let answer = try self.curl(
                balancer.port, "/", ["--http2", "--data-binary", "@\(folder)/body", "-o", "\(folder)/back"] + extra)
            #expect(answer.status == 0, "\(answer)")
            #expect(try Array(Data(contentsOf: URL(fileURLWithPath: folder + "/back"))) == body)
        }
    }

    @Test("A drain ends connections behind their streams")
    func drain() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message(seconds: 60))
            usleep(500_000)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        let balancer = try self.balancer(upstream)
        let peer = try HTTP2Peer(through: self.relay(balancer))
        let stream = peer.request()
        #expect(eventually { upstream.requests.count == 1 })
        balancer.program.signal(SIGTERM)
        #expect(try peer.answer(stream).text == "ok")
        #expect(peer.read { $0.goAways.count == 2 })
        peer.read(until: { _ in false })
        #expect(peer.end == .closed)
        #expect(balancer.program.awaitExit() == 0)
    }

    @Test("Strict-Transport-Security is on each answer, the balancer's own too")
    func strictTransport() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(
            upstream, tls: #", "hsts": "24h""#, top: #""limits": {"headerCount": 20},"#)
        let peer = try HTTP2Peer(through: self.relay(balancer))
        let served = try peer.answer(peer.request())
        let own = try peer.answer(peer.request(fields: (0..<30).map { ("x-\($0)", "y") }))
        #expect(served.status == "200" && own.status == "431")
        for answer in [served, own] {
            #expect(answer.field("strict-transport-security") == "max-age=86400", "\(answer)")
        }
    }

    @Test("h2load and nghttp are served")
    func programs() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try self.balancer(upstream)
        let url = "https://127.0.0.1:\(balancer.port)/hello"
        for (path, arguments, mark) in [
            ("/usr/bin/nghttp", ["--no-verify-peer", url], "/hello"),
            ("/usr/bin/h2load", ["-n", "2000", "-c", "4", "-m", "20", url], "2000 succeeded"),
        ] {
            let program = try Program(path: path, arguments)
            #expect(program.awaitExit() == 0, "\(path) \(program.errors)")
            #expect(program.output.contains { $0.contains(mark) }, "\(path) \(program.output)")
        }
    }
}
