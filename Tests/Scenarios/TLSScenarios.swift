import Foundation
import Glibc
import TestSupport
import Testing

/// The balancer as the public endpoint itself: real clients, real files, and the bytes that the upstream sees.
@Suite("TLS toward clients", .serialized) struct TLSScenarios {
    private static let certificates = Result { try TestCertificates() }

    private func document(
        _ upstream: ScriptedUpstream, _ tls: String, top: String = "", routes: String? = nil, port: UInt16 = 0
    ) -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:\(port)", "tls": \(tls)}],
         "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": true},\(top)
         "upstreams": {"core": {"endpoints": ["127.0.0.1:\(upstream.port)"]}},
         "routes": [\(routes ?? #"{"name": "api", "split": {"core": 1}}"#)]}
        """
    }

    private func pair(_ made: (certificate: String, key: String)) -> String {
        #"{"certificate": "\#(made.certificate)", "key": "\#(made.key)"}"#
    }

    /// `curl` as a client that trusts the tests' authority, and asks for `name` at the balancer.
    private func curl(
        _ port: UInt16, _ path: String = "/", name: String = "localhost", _ words: [String] = []
    ) throws -> (status: Int32, output: String, errors: String) {
        let program = try Program(
            path: "/usr/bin/curl",
            [
                "-sS", "--max-time", "20", "--cacert", Self.certificates.get().authority, "--connect-to",
                "\(name):\(port):127.0.0.1:\(port)", "https://\(name):\(port)\(path)",
            ] + words)
        let status = try #require(program.awaitExit())
        return (status, program.output.joined(separator: "\n"), program.errors.joined(separator: "\n"))
    }

    /// `openssl s_client`, with what it is told to type.
    private func client(
        _ port: UInt16, _ words: String,
        typing text: String = "GET / HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n"
    ) throws -> (status: Int32, output: String) {
        let made = try Self.certificates.get()
        let program = try Program(
            path: "/bin/sh",
            [
                "-c",
                "cd '\(made.folder)' && printf '\(text)' | timeout 20 openssl s_client -connect 127.0.0.1:\(port) "
                    + "-CAfile ca.crt -ign_eof \(words) 2>&1",
            ])
        let status = try #require(program.awaitExit())
        return (status, program.output.joined(separator: "\n"))
    }

    @Test("A browser's and an old client's request reach the upstream, and it learns that they came by TLS")
    func serves() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get().make("serves", names: ["localhost"])
        let balancer = try BalancerProcess(self.document(upstream, "{\"certificates\": [\(self.pair(made))]}"))
        let answer = try self.curl(balancer.port, "/hello")
        #expect(answer.status == 0 && answer.output == "/hello", "\(answer)")
        let seen = try #require(upstream.requests.first)
        #expect(seen.field("x-forwarded-proto") == "https", "\(seen.start)")
        for version in ["-tls1_2", "-tls1_3"] {
            let old = try self.client(balancer.port, version)
            #expect(old.output.contains("HTTP/1.1 200"), "\(version): \(old.output.suffix(500))")
        }
        let refused = try self.client(balancer.port, "-tls1_1")
        #expect(refused.status != 0)
        let line = try balancer.program.await { $0.contains("\"target\":\"/hello\"") ? $0 : nil }
        #expect(
            line.contains("\"tlsVersion\":\"TLSv1.3\"") && line.contains("\"tlsCipher\":\"TLS_AES_128_GCM_SHA256\""))
        #expect(line.contains("\"serverName\":\"localhost\"") && line.contains("\"tlsResumed\":false"), "\(line)")
        let page = try balancer.admin("/metrics").text
        #expect(
            page.contains(#"balancer_tls_handshakes_total{listener="public",version="TLSv1.3",resumed="false"} 2"#),
            "\(page.split(separator: "\n").filter { $0.contains("tls") })")
        #expect(page.contains(#"balancer_tls_handshakes_total{listener="public",version="TLSv1.2",resumed="false"} 1"#))
        #expect(page.contains(#"balancer_tls_handshake_duration_seconds_count{listener="public"} 3"#))
        #expect(page.contains(#"balancer_tls_handshake_failures_total{listener="public",reason="no-shared-cipher"} 1"#))
        #expect(balancer.stop() == 0)
    }

    @Test("Large bodies come whole in both directions, and a slow reader is waited for")
    func bodies() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            let message = try reader.message(seconds: 60)
            upstream.record(message)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(message.body.count)\r\nConnection: close\r\n\r\n")
            connection.send(message.body)
        }
        let made = try Self.certificates.get()
        let balancer = try BalancerProcess(
            self.document(upstream, "{\"certificates\": [\(self.pair(made.make("bodies", names: ["localhost"])))]}"))
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
        try Data(body).write(to: URL(fileURLWithPath: made.folder + "/body"))
        for extra in [[], ["--limit-rate", "2M"]] {
            let answer = try self.curl(
                balancer.port, "/",
                ["--data-binary", "@\(made.folder)/body", "-o", "\(made.folder)/back", "-H", "Expect:"] + extra)
            #expect(answer.status == 0, "\(answer)")
            #expect(try Array(Data(contentsOf: URL(fileURLWithPath: made.folder + "/back"))) == body)
        }
        #expect(upstream.requests.map(\.body.count) == [3_000_000, 3_000_000])
    }

    @Test("A session is resumed, also by the next process that takes over, and never at another name")
    func resumes() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get()
        let certificates = try [
            self.pair(made.make("r1", names: ["localhost"])), self.pair(made.make("r2", names: ["other.example"])),
        ]
        let balancer = try BalancerProcess(
            self.document(upstream, "{\"certificates\": [\(certificates.joined(separator: ", "))]}"), workers: 2)
        for version in ["-tls1_2", "-tls1_3"] {
            let first = try self.client(balancer.port, "\(version) -servername localhost -sess_out session")
            #expect(first.output.contains("New, TLSv1."), "\(first.output.suffix(300))")
            for _ in 0..<8 {
                // Whichever worker has it.
                let again = try self.client(balancer.port, "\(version) -servername localhost -sess_in session")
                #expect(again.output.contains("Reused, TLSv1."), "\(version) \(again.output.suffix(300))")
            }
            let elsewhere = try self.client(balancer.port, "\(version) -servername other.example -sess_in session")
            #expect(elsewhere.output.contains("New, TLSv1."), "\(version)")
        }
    }

    @Test("A client that only shakes hands gets its ticket, although that goes with an answer where there is one")
    func ticketAlone() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get()
        let balancer = try BalancerProcess(
            self.document(upstream, "{\"certificates\": [\(self.pair(made.make("alone", names: ["localhost"])))]}"))
        let session = made.folder + "/alone.session"
        let client = try Program(
            path: "/usr/bin/openssl",
            ["s_client", "-connect", "127.0.0.1:\(balancer.port)", "-tls1_3", "-ign_eof", "-sess_out", session])
        defer { client.signal(SIGKILL) }
        #expect(eventually { FileManager.default.fileExists(atPath: session) })
    }

    @Test("Certificates are swapped under load without a failed handshake; what does not fit changes nothing")
    func swaps() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try TestCertificates()
        let first = try made.make("first", names: ["localhost"])
        let second = try made.make("second", names: ["localhost"])
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        func put(_ certificate: String, _ key: String) throws {
            for (from, to) in [(certificate, "tls.crt"), (key, "tls.key")] {
                try Data(contentsOf: URL(fileURLWithPath: from))
                    .write(to: URL(fileURLWithPath: folder + "/" + to), options: .atomic)
            }
        }
        try put(first.certificate, first.key)
        let balancer = try BalancerProcess(
            self.document(
                upstream, #"{"certificates": [{"certificate": "\#(folder)/tls.crt", "key": "\#(folder)/tls.key"}]}"#))
        func fingerprint() throws -> String {
            let program = try Program(
                path: "/bin/sh",
                [
                    "-c",
                    "openssl s_client -connect 127.0.0.1:\(balancer.port) </dev/null 2>/dev/null "
                        + "| openssl x509 -noout -fingerprint -sha256",
                ])
            _ = program.awaitExit()
            return program.output.joined()
        }
        func load() throws -> Program {
            try Program(
                path: "/bin/sh",
                [
                    "-c",
                    "n=0; while [ ! -e '\(folder)/stop' ]; do curl -sS --max-time 10 --cacert '\(made.authority)' "
                        + "--connect-to localhost:\(balancer.port):127.0.0.1:\(balancer.port) "
                        + "https://localhost:\(balancer.port)/ >/dev/null || exit 1; n=$((n + 1)); done; echo $n",
                ])
        }
        let clients = try (0..<2).map { _ in try load() }
        let before = try fingerprint()
        try put(second.certificate, second.key)
        #expect(try eventually { try fingerprint() != before })
        let after = try fingerprint()
        // The key of another certificate: told, and the pair in force stays.
        try Data(contentsOf: URL(fileURLWithPath: first.key))
            .write(to: URL(fileURLWithPath: folder + "/tls.key"), options: .atomic)
        #expect(
            eventually {
                balancer.program.errors.contains { $0.contains("is not the key of the certificate") }
            })
        #expect(try fingerprint() == after)
        let told = try balancer.command("certificates")
        #expect(told.status == 0 && told.output.contains("localhost"), "\(told)")
        #expect((told.output + told.errors).contains("is not the key of the certificate"), "\(told)")
        // The other half comes: good again.
        try put(first.certificate, first.key)
        #expect(try eventually { try fingerprint() == before })
        _ = FileManager.default.createFile(atPath: folder + "/stop", contents: nil)
        for client in clients {
            #expect(client.awaitExit() == 0, "\(client.errors)")
            #expect(Int(client.output.first ?? "") ?? 0 > 3, "\(client.output)")
        }
        #expect(!balancer.program.errors.joined().contains("PRIVATE KEY"))
    }

    @Test("A name chooses its certificate; an unknown one gets the first, or an alert")
    func names() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get()
        let certificates = try [
            self.pair(made.make("one", names: ["one.example"])), self.pair(made.make("two", names: ["*.two.example"])),
            self.pair(made.make("rsa", names: ["one.example"], kind: "rsa:2048")),
        ].joined(separator: ", ")
        let lenient = try BalancerProcess(self.document(upstream, "{\"certificates\": [\(certificates)]}"))
        #expect(try self.curl(lenient.port, "/a", name: "one.example").output == "/a")
        #expect(try self.curl(lenient.port, "/b", name: "x.two.example").output == "/b")
        #expect(try self.curl(lenient.port, name: "three.example").status == 60, "shown, and refused by the client")
        let rsa = try self.client(lenient.port, "-servername one.example -sigalgs RSA-PSS+SHA256 -tls1_3")
        #expect(rsa.output.contains("Server public key is 2048 bit"), "\(rsa.output.suffix(800))")
        let strict = try BalancerProcess(
            self.document(upstream, "{\"certificates\": [\(certificates)], \"unknownName\": \"reject\"}"))
        let refused = try self.client(strict.port, "-servername three.example")
        #expect(refused.output.contains("unrecognized name"), "\(refused.output.suffix(400))")
        #expect(try self.curl(strict.port, "/c", name: "one.example").output == "/c")
    }

    @Test("Clients without the right certificate stay outside, and a Host that the certificate lacks is sent away")
    func clients() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get()
        let server = try self.pair(made.make("mutual", names: ["localhost"]))
        let own = try made.make("own", names: ["someone"])
        let strangers = try TestCertificates()
        let strange = try strangers.make("strange", names: ["someone"])
        let balancer = try BalancerProcess(
            self.document(
                upstream,
                """
                {"certificates": [\(server)], "clientCertificates": {"ca": "\(made.authority)", "mode": "required"}}
                """))
        let shown = ["--cert", own.certificate, "--key", own.key]
        #expect(try self.curl(balancer.port, "/in", shown).output == "/in")
        #expect(try self.curl(balancer.port, "/in").status != 0)
        #expect(try self.curl(balancer.port, "/in", ["--cert", strange.certificate, "--key", strange.key]).status != 0)
        #expect(upstream.requests.count == 1)
        let explained = try balancer.command(
            "explain", "/in", "--server-name", "LOCALHOST", "--host", "other.example:1")
        #expect(
            explained.output.contains("public shows ") && explained.output.contains("certificate is demanded")
                && explained.output.contains("421 misdirected"), "\(explained)")
        let elsewhere = try self.curl(balancer.port, "/in", shown + ["-H", "Host: other.example", "-i"])
        #expect(elsewhere.output.hasPrefix("HTTP/2 421 ") && elsewhere.output.contains("misdirected"), "\(elsewhere)")
        #expect(upstream.requests.count == 1)
        let page = try balancer.admin("/metrics").text
        #expect(
            page.contains(#"balancer_tls_handshake_failures_total{listener="public",reason="client-certificate"} 2"#),
            "\(page.split(separator: "\n").filter { $0.contains("tls_handshake_f") })")
    }

    @Test("Upstreams are told of the client's certificate, by us alone; a list of revoked ones that has ended is told")
    func tellsOfCertificates() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get()
        let server = try self.pair(made.make("telling", names: ["localhost"]))
        let own = try made.make("shown", names: ["someone"])
        func document(_ more: String, top: String) -> String {
            self.document(
                upstream,
                #"{"certificates": [\#(server)], "clientCertificates": {"ca": "\#(made.authority)", "mode": "optional"\#(more)}}"#,
                top: top)
        }
        let lies = ["-H", "Client-Cert: :AAAA:", "-H", "client-cert-chain: :AAAA:", "-H", "Client_Cert: :AAAA:"]
        let shown = ["--cert", own.certificate, "--key", own.key]
        let balancer = try BalancerProcess(
            document("", top: #""forwarding": {"clientCertificate": true, "underscores": "keep"},"#))
        #expect(try self.curl(balancer.port, "/shown", shown + lies).status == 0)
        let leaf = try made.text("shown.leaf").split(separator: "\n").filter { !$0.hasPrefix("-") }.joined()
        let told = try #require(upstream.requests.last)
        #expect(told.fields.filter { $0.name.lowercased() == "client-cert" }.map(\.value) == [":\(leaf):"])
        // The path by which it was believed; what else a client sends along is no part of it.
        let authority = try made.text("ca.crt").split(separator: "\n").filter { !$0.hasPrefix("-") }.joined()
        #expect(told.field("client-cert-chain") == ":\(authority):")
        #expect(told.field("client_cert") == nil)
        let strangers = try TestCertificates()
        let stranger = try strangers.make("stranger", names: ["stranger"]).certificate
        for (name, sent) in [("alone", ""), ("more", try String(contentsOfFile: stranger, encoding: .utf8))] {
            let file = "\(made.folder)/\(name).crt"
            try (try made.text("shown.leaf") + sent).write(toFile: file, atomically: true, encoding: .utf8)
            let shown = ["--cert", file, "--key", own.key]
            #expect(try self.curl(balancer.port, "/" + name, shown).status == 0)
            #expect(upstream.requests.last?.field("client-cert-chain") == ":\(authority):", "\(name)")
        }
        #expect(try self.curl(balancer.port, "/none", lies).status == 0)
        let silent = try BalancerProcess(document("", top: ""))
        #expect(try self.curl(silent.port, "/silent", shown + lies).status == 0)
        for request in upstream.requests.dropFirst(3) {
            #expect(!request.fields.contains { $0.name.lowercased().hasPrefix("client") }, "\(request.fields)")
        }
        try "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\n".write(
            toFile: made.folder + "/crl.cnf", atomically: true, encoding: .utf8)
        try "".write(toFile: made.folder + "/index.txt", atomically: true, encoding: .utf8)
        try made.run(
            "ca -gencrl -config crl.cnf -keyfile ca.key -cert ca.crt -crl_lastupdate 20200101000000Z "
                + "-crl_nextupdate 20200102000000Z -out ended.crl")
        let ended = try BalancerProcess(document(#", "crl": "\#(made.folder)/ended.crl""#, top: ""))
        #expect(
            ended.program.errors.contains { $0.contains("clientCertificates.crl") && $0.contains("ended 2020-01-02") },
            "\(ended.program.errors)")
        #expect(try self.curl(ended.port, "/ended", shown).status != 0)
        #expect(try self.curl(ended.port, "/ended").status == 0)
    }

    @Test("One client has so many handshakes under way and no more; the bounds are followed")
    func handshakeLimits() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get().make("bounds", names: ["localhost"])
        let tls = "{\"certificates\": [\(self.pair(made))]}"
        let balancer = try BalancerProcess(
            self.document(upstream, tls, top: #""limits": {"tls": {"handshakesPerClient": 2}},"#))
        let silent = try (0..<2).map { _ in try balancer.connect() }
        #expect(try eventually { try balancer.admin("/metrics").text.contains("\nbalancer_tls_handshakes_active 2\n") })
        #expect(try balancer.connect().readAll(seconds: 10).end != .timeout)
        let page = try balancer.admin("/metrics").text
        #expect(page.contains(#"balancer_tls_handshake_failures_total{listener="public",reason="limit"} 1"#))
        #expect(page.contains("\nbalancer_tls_ticket_key_age_seconds "))
        for connection in silent { connection.hangUp() }
        #expect(try eventually { try self.curl(balancer.port, "/in").output == "/in" }, "a place is free again")
        try BalancerProcess.write(
            self.document(
                upstream, tls, top: #""limits": {"tls": {"handshakesPerClient": 0, "handshakesPerTurn": 1}},"#,
                port: balancer.port), to: balancer.file)
        #expect(try eventually { try balancer.json("/api/v1/status")["generation"] as? Int == 2 })
        let more = try (0..<4).map { _ in try balancer.connect() }
        #expect(try eventually { try balancer.admin("/metrics").text.contains("\nbalancer_tls_handshakes_active 4\n") })
        #expect(try self.curl(balancer.port, "/in").output == "/in")
        _ = more
    }

    @Test("A handshake that had begun when a drain begins is gone on with, and its request answered")
    func handshakeInDrain() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get().make("drain", names: ["localhost"])
        let balancer = try BalancerProcess(self.document(upstream, "{\"certificates\": [\(self.pair(made))]}"))
        let script = #"""
            import os, socket, ssl, sys, time
            context = ssl.create_default_context(cafile=sys.argv[2])
            into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = context.wrap_bio(into, out, server_hostname="localhost")
            peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            def step(work):
                while True:
                    try:
                        return work()
                    except ssl.SSLWantReadError:
                        peer.sendall(out.read())
                        into.write(peer.recv(65536))
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                hello = out.read()
            peer.sendall(hello[:100])
            print("half", flush=True)
            while not os.path.exists(sys.argv[3]): time.sleep(0.01)
            peer.sendall(hello[100:])
            step(session.do_handshake)
            session.write(b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
            print(step(lambda: session.read(65536)).decode().splitlines()[0], flush=True)
            """#
        let flag = try Self.certificates.get().folder + "/drain-has-begun"
        let client = try Program(
            path: "/usr/bin/env",
            ["python3", "-c", script, "\(balancer.port)", Self.certificates.get().authority, flag])
        _ = try client.await { $0 == "half" ? true : nil }
        #expect(try eventually { try balancer.metric("balancer_tls_handshakes_active") == 1 })
        balancer.program.signal(SIGTERM)
        #expect(eventually { (try? balancer.connect()) == nil })
        try BalancerProcess.write("", to: flag)
        #expect(try client.await { $0.hasPrefix("HTTP/1.1 ") ? $0 : nil } == "HTTP/1.1 200 OK")
        #expect(balancer.program.awaitExit() == 0)
        #expect(upstream.requests.map(\.start) == ["GET /late HTTP/1.1"])
    }

    @Test("Plain HTTP is told so; whoever says nothing, or half, is let go; others are served meanwhile")
    func strangers() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get().make("strangers", names: ["localhost"])
        let balancer = try BalancerProcess(
            self.document(
                upstream, "{\"certificates\": [\(self.pair(made))]}",
                top: #""timeouts": {"tlsHandshake": "500ms"},"#))
        let plain = try balancer.connect()
        plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        let answer = plain.readAll()
        #expect(answer.text.hasPrefix("HTTP/1.1 400 ") && answer.text.contains("TLS"), "\(answer.text)")
        let silent = try balancer.connect()
        let half = try balancer.connect()
        half.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
        #expect(try self.curl(balancer.port, "/meanwhile").output == "/meanwhile")
        #expect(silent.readAll(seconds: 10).text.isEmpty && half.readAll(seconds: 10).text.isEmpty)
        let noise = try balancer.connect()
        noise.send([UInt8](repeating: 0xFF, count: 400))
        _ = noise.readAll(seconds: 10)
        let isCounted = try eventually {
            let page = try balancer.admin("/metrics").text
            return [("plain-http", 1), ("timeout", 2), ("protocol", 1)].allSatisfy { reason, count in
                page.contains("failures_total{listener=\"public\",reason=\"\(reason)\"} \(count)\n")
                    || reason == "protocol" && page.contains("reason=\"no-shared-cipher\"} 1\n")
            }
        }
        #expect(isCounted)
        #expect(try balancer.admin("/metrics").text.contains("balancer_tls_handshakes_active 0\n"))
    }

    @Test("What a load finds wrong in the files is told with its place, and nothing changes")
    func faults() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get()
        let (one, two) = (try made.make("fault1", names: ["localhost"]), try made.make("fault2", names: ["localhost"]))
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let balancer = try BalancerProcess(
            self.document(upstream, "{\"certificates\": [\(self.pair(one))]}", port: reserved.number))
        let place = "$.listeners[0].tls"
        for (tls, path, word) in [
            (
                self.pair((one.certificate, two.key)), "\(place).certificates[0].key",
                "is not the key of the certificate"
            ),
            (self.pair((one.key, one.key)), "\(place).certificates[0].certificate", "is no PEM certificate"),
            (self.pair((one.certificate, "/nowhere")), "\(place).certificates[0].key", "cannot be read"),
        ] {
            try BalancerProcess.write(
                self.document(upstream, "{\"certificates\": [\(tls)]}", port: reserved.number), to: balancer.file)
            let isTold = eventually {
                balancer.program.errors.contains { $0.contains(path) && $0.contains(word) }
            }
            #expect(isTold, "\(path): \(word) \(balancer.program.errors.suffix(2))")
            let checked = try Program.run("balancer", ["check", balancer.file])
            #expect(checked.status == 1 && checked.errors.contains(path) && checked.errors.contains(word), "\(checked)")
        }
        try BalancerProcess.write(
            self.document(
                upstream, "{\"certificates\": [\(self.pair(one))], \"ciphers\": [\"NOTHING\"]}", port: reserved.number),
            to: balancer.file)
        #expect(eventually { balancer.program.errors.contains { $0.contains("\(place)") && $0.contains("ciphers") } })
        #expect(try self.curl(balancer.port, "/still").output == "/still")
    }

    @Test("A client that renews its keys without end is let go, and costs no one else")
    func keyUpdates() throws {
        let upstream = try ScriptedUpstream.echoing()
        let made = try Self.certificates.get().make("keys", names: ["localhost"])
        let balancer = try BalancerProcess(self.document(upstream, "{\"certificates\": [\(self.pair(made))]}"))
        // `K` alone on a line makes the client send one, and ask for one back.
        let typed = (0..<60).map { _ in "K" }.joined(separator: "\\n") + "\\n"
        let program = try Program(
            path: "/bin/sh",
            [
                "-c",
                "(printf '\(typed)' | while read line; do echo $line; sleep 0.02; done; sleep 2) "
                    + "| timeout 20 openssl s_client -connect 127.0.0.1:\(balancer.port) -tls1_3 2>&1",
            ])
        _ = program.awaitExit()
        #expect(
            try balancer.admin("/metrics").text.contains(
                #"failures_total{listener="public",reason="key-update"} 1"#))
        #expect(try self.curl(balancer.port, "/after").output == "/after")
    }

    @Test("Strict-Transport-Security is said once on every answer, the balancer's own too")
    func strictTransport() throws {
        let upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.message()
            connection.send(
                "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 2\r\n\r\nok")
        }
        let made = try Self.certificates.get().make("hsts", names: ["localhost"])
        let balancer = try BalancerProcess(
            self.document(
                upstream, "{\"certificates\": [\(self.pair(made))], \"hsts\": \"24h\"}",
                routes: #"""
                    {"name": "api", "split": {"core": 1}},
                    {"name": "gone", "match": {"path": "/gone"}, "respond": {"status": 404}}
                    """#))
        for (path, version) in [("/", "--http1.1"), ("/gone", "--http1.1"), ("/", "--http2"), ("/gone", "--http2")] {
            let answer = try self.curl(balancer.port, path, ["-i", version])
            let lines = answer.output.split(separator: "\r\n").map { $0.lowercased() }.filter {
                $0.hasPrefix("strict-transport-security:")
            }
            #expect(lines == ["strict-transport-security: max-age=86400"], "\(path): \(answer.output)")
        }
    }
}
