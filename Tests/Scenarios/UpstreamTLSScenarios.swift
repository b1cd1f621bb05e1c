import Foundation
import Glibc
import TestSupport
import Testing

/// Endpoints that speak TLS: real ones (`openssl s_server`), and what the balancer makes of their certificates.
@Suite("TLS toward endpoints", .serialized) struct UpstreamTLSScenarios {
    private static let certificates = Result { try TestCertificates() }

    /// An endpoint that answers every request by TLS from a Python of the system, and says what it saw.
    private final class Endpoint: Sendable {
        let program: Program
        let port: UInt16

        /// `mode`: `keep` keeps connections, `cut` ends a body without saying so.
        init(_ made: (certificate: String, key: String), mode: String = "keep", clients: String = "") throws {
            let script = """
                import http.server, socket, ssl, sys
                count = 0
                class Server(http.server.ThreadingHTTPServer):
                    daemon_threads = True
                    def process_request(self, request, address):
                        global count
                        count += 1
                        print("connection", count, flush=True)
                        super().process_request(request, address)
                class Handler(http.server.BaseHTTPRequestHandler):
                    protocol_version = "HTTP/1.1"
                    def do_GET(self):
                        reused = getattr(self.connection, "session_reused", False)
                        print("request", self.path, "resumed" if reused else "new", flush=True)
                        body = (self.path + " " + str(self.connection.version())).encode()
                        self.send_response(200)
                        if "\(mode)" == "cut":
                            self.send_header("Connection", "close")
                            self.end_headers()
                            self.wfile.write(body)
                            self.wfile.flush()
                            self.connection.detach()
                            raise SystemExit
                        self.send_header("Content-Length", str(len(body)))
                        self.end_headers()
                        self.wfile.write(body)
                    def log_message(self, *words): pass
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain("\(made.certificate)", "\(made.key)")
                if "\(clients)":
                    context.load_verify_locations("\(clients)")
                    context.verify_mode = ssl.CERT_REQUIRED
                server = Server(("127.0.0.1", 0), Handler)
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
                print("port", server.server_address[1], flush=True)
                server.serve_forever()
                """
            self.program = try Program(path: "/usr/bin/env", ["python3", "-c", script])
            self.port = try self.program.await { line in
                line.hasPrefix("port ") ? UInt16(line.dropFirst(5)) : nil
            }
        }

        var connections: Int { self.program.output.filter { $0.hasPrefix("connection ") }.count }
    }

    private func document(_ endpoint: String, _ tls: String, keys: String = "") -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0"}], "admin": {"address": "127.0.0.1:0"},
         "accessLog": {"enabled": false},
         "upstreams": {"core": {"endpoints": ["\(endpoint)"], "tls": \(tls)\(keys)}},
         "routes": [{"name": "api", "split": {"core": 1}}]}
        """
    }

    @Test("Requests share a verified connection, although the endpoint sends tickets after the handshake")
    func reuses() throws {
        let made = try Self.certificates.get()
        let endpoint = try Endpoint(made.make("up", names: ["localhost", "127.0.0.1"]))
        for name in ["127.0.0.1", "localhost"] {
            let before = endpoint.connections
            let balancer = try BalancerProcess(
                self.document("\(name):\(endpoint.port)", "{\"ca\": \"\(made.authority)\"}"))
            let client = try balancer.connect()
            var reader = MessageReader(client)
            for number in 0..<30 {
                client.send("GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n")
                let answer = try reader.message()
                #expect(answer.status == 200 && answer.text == "/\(number) TLSv1.3", "\(answer.start) \(answer.text)")
            }
            #expect(endpoint.connections == before + 1, "\(name): one connection for thirty requests")
        }
    }

    @Test("Another table keeps connections whose TLS stays the same, and no others")
    func reload() throws {
        let made = try Self.certificates.get()
        let endpoint = try Endpoint(made.make("kept", names: ["127.0.0.1"]))
        let address = "127.0.0.1:\(endpoint.port)"
        let same = "{\"ca\": \"\(made.authority)\"}"
        let balancer = try BalancerProcess(self.document(address, same))
        /// With another route, whose status tells that the file is in force.
        func change(_ tls: String, _ status: Int) throws {
            let route = #"{"name": "new", "match": {"path": "/new"}, "respond": {"status": \#(status)}}, "#
            try BalancerProcess.write(
                self.document(address, tls).replacing(#""routes": ["#, with: #""routes": [\#(route)"#),
                to: balancer.file)
            #expect(try eventually { try balancer.request("/new").status == status })
        }
        #expect(try balancer.request("/1").text == "/1 TLSv1.3")
        try change(same, 404)
        #expect(try balancer.request("/2").text == "/2 TLSv1.3")
        #expect(endpoint.connections == 1)
        try change("{\"ca\": \"\(made.authority)\", \"minimumVersion\": \"1.3\"}", 410)
        #expect(try balancer.request("/3").text == "/3 TLSv1.3")
        #expect(endpoint.connections == 2)
        #expect(endpoint.program.output.contains("request /3 new"), "\(endpoint.program.output)")
    }

    @Test("An endpoint that is not who it should be gets no request: 502, counted, told by its probes")
    func refuses() throws {
        let made = try Self.certificates.get()
        let other = try Endpoint(made.make("other", names: ["other.example"]))
        let strangers = try TestCertificates()
        let stranger = try Endpoint(strangers.make("stranger", names: ["127.0.0.1"]))
        for (endpoint, tls) in [
            (other, "{\"ca\": \"\(made.authority)\"}"), (stranger, "{\"ca\": \"\(made.authority)\"}"),
            (other, "{\"ca\": \"\(made.authority)\", \"serverName\": \"wrong.example\"}"),
        ] {
            let balancer = try BalancerProcess(
                self.document("127.0.0.1:\(endpoint.port)", tls, keys: #", "retry": {"attempts": 0}"#))
            let answer = try balancer.request("/secret")
            #expect(
                answer.status == 502 && answer.field("x-balancer-reason") == "certificate-invalid", "\(answer.start)")
            #expect(
                try balancer.admin("/metrics").text.contains(
                    "balancer_endpoint_tls_failures_total{upstream=\"core\",endpoint=\"127.0.0.1:\(endpoint.port)\","
                        + "reason=\"certificate\"} 1\n"))
            let shown = try balancer.command("upstreams").output
            #expect(shown.contains("the last TLS handshake that failed") && shown.contains("certificate: "), "\(shown)")
        }
        #expect(!other.program.output.contains { $0.hasPrefix("request") })
        #expect(!stranger.program.output.contains { $0.hasPrefix("request") })
        let right = try BalancerProcess(
            self.document(
                "127.0.0.1:\(other.port)", "{\"ca\": \"\(made.authority)\", \"serverName\": \"other.example\"}"))
        #expect(try right.request("/in").text == "/in TLSv1.3")
        let careless = try BalancerProcess(self.document("127.0.0.1:\(stranger.port)", "{\"verify\": false}"))
        #expect(try careless.request("/in").text == "/in TLSv1.3")
        #expect(careless.program.errors.contains { $0.contains("tls.verify") && $0.contains("warning") })
    }

    @Test("Who is told whom a connection is for is told in front of TLS", arguments: [1, 2])
    func announces(version: Int) throws {
        let made = try Self.certificates.get()
        let pair = try made.make("announced-\(version)", names: ["127.0.0.1"])
        let script = """
            import socket, ssl, threading
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("\(pair.certificate)", "\(pair.key)")
            server = socket.create_server(("127.0.0.1", 0))
            print("port", server.getsockname()[1], flush=True)
            def serve(peer):
                header = b""
                # One byte at a time: what follows is TLS's.
                while not (header.endswith(b"\\r\\n") if header[:1] == b"P" else len(header) >= 16
                           and len(header) == 16 + header[14] * 256 + header[15]):
                    header += peer.recv(1)
                print("header", header[:40].hex(), flush=True)
                peer = context.wrap_socket(peer, server_side=True)
                while True:
                    head = b""
                    while not head.endswith(b"\\r\\n\\r\\n"):
                        byte = peer.recv(1)
                        if not byte: return
                        head += byte
                    peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ntold")
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
            """
        let endpoint = try Program(path: "/usr/bin/env", ["python3", "-c", script])
        let port = try endpoint.await { line in line.hasPrefix("port ") ? UInt16(line.dropFirst(5)) : nil }
        let balancer = try BalancerProcess(
            self.document(
                "127.0.0.1:\(port)", "{\"ca\": \"\(made.authority)\"}", keys: ", \"sendProxyProtocol\": \(version)"))
        let client = try balancer.connect()
        var reader = MessageReader(client)
        for _ in 0..<3 {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            let answer = try reader.message()
            #expect(answer.status == 200 && answer.text == "told", "\(answer.start)")
        }
        let other = try balancer.request()
        #expect(other.text == "told")
        let headers = endpoint.output.filter { $0.hasPrefix("header ") }
        let start = version == 1 ? "header 50524f58592054435034" : "header 0d0a0d0a000d0a515549540a2111"
        #expect(headers.count == 2 && headers.allSatisfy { $0.hasPrefix(start) }, "\(headers)")
        endpoint.signal(SIGKILL)
    }

    @Test("Probes speak TLS: an endpoint with the wrong certificate is down and says why, the right one is up")
    func probes() throws {
        let made = try Self.certificates.get()
        let good = try Endpoint(made.make("good", names: ["127.0.0.1"]))
        let strangers = try TestCertificates()
        let bad = try Endpoint(strangers.make("bad", names: ["127.0.0.1"]))
        for (endpoint, word) in [(good, "\"up\""), (bad, "certificate")] {
            let balancer = try BalancerProcess(
                self.document(
                    "127.0.0.1:\(endpoint.port)", "{\"ca\": \"\(made.authority)\"}",
                    keys: #", "health": {"path": "/probe", "interval": "100ms", "fall": 1, "rise": 1}"#))
            let isSeen = try eventually {
                try balancer.admin("/api/v1/upstreams").text.contains(word)
            }
            #expect(isSeen, "\(word)")
        }
        #expect(good.program.output.contains { $0.hasPrefix("request /probe") })
    }

    @Test("The balancer shows its own certificate to endpoints that demand one")
    func mutual() throws {
        let made = try Self.certificates.get()
        let own = try made.make("balancer", names: ["balancer"])
        let endpoint = try Endpoint(made.make("demanding", names: ["127.0.0.1"]), clients: made.authority)
        let tls = "{\"ca\": \"\(made.authority)\", \"certificate\": \"\(own.certificate)\", \"key\": \"\(own.key)\"}"
        let balancer = try BalancerProcess(self.document("127.0.0.1:\(endpoint.port)", tls))
        #expect(try balancer.request("/in").text == "/in TLSv1.3")
        let without = try BalancerProcess(
            self.document("127.0.0.1:\(endpoint.port)", "{\"ca\": \"\(made.authority)\"}"))
        #expect(try without.request("/in").status == 502)
    }

    @Test("A session that came to nothing is not gone on from again")
    func forgets() throws {
        let made = try Self.certificates.get()
        let pair = try made.make("forgetting", names: ["127.0.0.1"])
        // Never answers a hello that offers to go on from a session (pre_shared_key, 41); keeps no connection for long.
        let script = """
            import socket, ssl, threading
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("\(pair.certificate)", "\(pair.key)")
            server = socket.create_server(("127.0.0.1", 0))
            print("port", server.getsockname()[1], flush=True)
            def resumes(hello):
                at = 43
                at += 1 + hello[at]
                at += 2 + int.from_bytes(hello[at:at + 2], "big")
                at += 1 + hello[at] + 2
                while at + 4 <= len(hello):
                    if hello[at:at + 2] == b"\\0\\x29": return True
                    at += 4 + int.from_bytes(hello[at + 2:at + 4], "big")
                return False
            def serve(peer):
                hello = peer.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
                hello = peer.recv(5 + hello[3] * 256 + hello[4], socket.MSG_PEEK | socket.MSG_WAITALL)
                isResumed = resumes(hello)
                print("hello", "again" if isResumed else "new", flush=True)
                if isResumed:
                    while peer.recv(4096): pass
                    return
                peer = context.wrap_socket(peer, server_side=True)
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
                peer.settimeout(0.2)
                try: peer.recv(1)
                except OSError: pass
                peer.close()
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
            """
        let endpoint = try Program(path: "/usr/bin/env", ["python3", "-c", script])
        let port = try endpoint.await { line in line.hasPrefix("port ") ? UInt16(line.dropFirst(5)) : nil }
        let balancer = try BalancerProcess(
            self.document(
                "127.0.0.1:\(port)", "{\"ca\": \"\(made.authority)\"}",
                keys: #", "retry": {"attempts": 0}, "passive": {"enabled": false}"#
            ).replacing(#""accessLog""#, with: #""timeouts": {"connect": "400ms"}, "accessLog""#))
        #expect(try balancer.request("/1").text == "ok")
        let idle = "balancer_endpoint_connections_idle{upstream=\"core\",endpoint=\"127.0.0.1:\(port)\"}"
        #expect(try eventually { try balancer.metric(idle) == 0 })
        let unanswered = try balancer.request("/2")
        #expect(unanswered.status == 504, "\(unanswered.start)")
        #expect(try balancer.request("/3").text == "ok")
        #expect(endpoint.output.filter { $0.hasPrefix("hello") } == ["hello new", "hello again", "hello new"])
        endpoint.signal(SIGKILL)
    }

    @Test("A body that only the end delimits is cut toward the client where the endpoint did not say that it ends")
    func truncation() throws {
        let made = try Self.certificates.get()
        let endpoint = try Endpoint(made.make("cutting", names: ["127.0.0.1"]), mode: "cut")
        let balancer = try BalancerProcess(
            self.document("127.0.0.1:\(endpoint.port)", "{\"ca\": \"\(made.authority)\"}"))
        let answer = try balancer.exchange("GET /half HTTP/1.1\r\nHost: h\r\n\r\n", seconds: 10)
        #expect(!answer.text.hasSuffix("0\r\n\r\n"), "no last chunk: \(answer)")
        #expect(answer.text.isEmpty || answer.text.contains("/half") || answer.text.contains(" 502 "), "\(answer)")
    }
}
