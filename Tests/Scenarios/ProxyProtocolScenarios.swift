import Glibc
import TestSupport
import Testing

/// Proxies in front that say whom they connect for.
@Suite("PROXY protocol", .serialized) struct ProxyProtocolScenarios {
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    private static let line = Array("PROXY TCP4 192.0.2.1 198.51.100.2 49152 443\r\n".utf8)
    private static let request = Array("GET /a HTTP/1.1\r\nHost: h\r\n\r\n".utf8)

    /// Version 2.
    private static func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
        self.signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
    }

    private static let v4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xC0, 0x00, 0x01, 0xBB]

    private static func configuration(
        _ core: UInt16, from: String = "127.0.0.1", listener: String = "", top: String = "", log: Bool = false
    ) -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0", "proxyProtocol": {"from": ["\(from)"]\(listener)}}],
         "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": \(log)}, \(top)
         "upstreams": {"core": {"endpoints": ["127.0.0.1:\(core)"]}}, "routes": [{"name": "api", "split": {"core": 1}}]}
        """
    }

    private static func forwardedFor(_ core: ScriptedUpstream) -> String? {
        core.requests.last?.field("x-forwarded-for")
    }

    /// Samples of the metric by result.
    private static func count(_ balancer: BalancerProcess, _ result: String) throws -> Int {
        let wanted = "balancer_proxy_protocol_total{listener=\"public\",result=\"\(result)\"} "
        let line = try balancer.admin("/metrics").text.split(separator: "\n").first { $0.hasPrefix(wanted) }
        return line.flatMap { Int($0.dropFirst(wanted.count)) } ?? 0
    }

    @Test("However the bytes are cut, the upstream hears of the client that the header names")
    func everyCut() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port))
        for header in [Self.line, Self.binary(0x21, 0x11, Self.v4 + [0xE0, 0, 2, 1, 2])] {
            let bytes = header + Self.request
            for cut in 1..<bytes.count {
                let connection = try balancer.connect()
                connection.send(Array(bytes[..<cut]))
                usleep(200)
                connection.send(Array(bytes[cut...]))
                var reader = MessageReader(connection)
                #expect(try reader.message().text == "core", "cut at \(cut)")
                #expect(Self.forwardedFor(core) == "192.0.2.1")
            }
        }
        let slow = try balancer.connect()
        for byte in Self.line + Self.request {
            slow.send([byte])
            usleep(300)
        }
        var reader = MessageReader(slow)
        #expect(try reader.message().text == "core")
        #expect(Self.forwardedFor(core) == "192.0.2.1")
    }

    @Test("A connection goes on as any other: it is kept, pipelines, and every request is its client's")
    func keptAlive() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port, log: true))
        let connection = try balancer.connect()
        connection.send(Self.binary(0x21, 0x11, Self.v4) + Self.request + Self.request)
        var reader = MessageReader(connection)
        #expect(try reader.message().text == "core")
        #expect(try reader.message().text == "core")
        connection.send(Self.request)
        #expect(try reader.message().text == "core")
        #expect(core.requests.allSatisfy { $0.field("x-forwarded-for") == "192.0.2.1" })
        #expect(
            eventually {
                balancer.program.output.filter { $0.contains(#""client":"192.0.2.1","peer":"127.0.0.1""#) }.count == 3
            })
        #expect(try Self.count(balancer, "accepted") == 1)
    }

    @Test("LOCAL and connections that nobody can name are the proxy's own, whatever addresses they claim")
    func local() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let headers = [
            Self.binary(0x20, 0x00, []), Self.binary(0x20, 0x11, Self.v4), Self.binary(0x20, 0xFF, [1, 2, 3]),
            Self.binary(0x21, 0x00, []), Self.binary(0x21, 0x12, Self.v4), Array("PROXY UNKNOWN 1.1.1.1\r\n".utf8),
        ]
        for header in headers {
            let connection = try balancer.connect()
            connection.send(header + Self.request)
            var reader = MessageReader(connection)
            #expect(try reader.message().text == "core")
            #expect(Self.forwardedFor(core) == "127.0.0.1")
        }
        #expect(try Self.count(balancer, "local") == headers.count)
    }

    @Test("What is no header is closed without a byte, and no request in it is read")
    func malformed() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let bad = [
            [], Array("PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n".utf8), Array("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n".utf8),
            Self.binary(0x11, 0x11, Self.v4), Self.binary(0x21, 0x11, Array(Self.v4.prefix(11))),
            Self.binary(0x21, 0x11, Self.v4 + [3, 0, 4, 1, 2, 3, 4]), Self.binary(0x21, 0x11, Self.v4 + [1, 0xFF]),
            Self.signature + [0x21, 0x11, 0xFF, 0xFF], Array("PROXY \(String(repeating: "x", count: 200))".utf8),
        ]
        for header in bad {
            let connection = try balancer.connect()
            connection.send(header + Self.request)
            let (text, end) = connection.readAll(seconds: 10)
            #expect(text.isEmpty && end != .timeout, "\(header.count) \(text) \(end)")
        }
        #expect(core.requests.isEmpty)
        #expect(try Self.count(balancer, "malformed") == bad.count)
        let gone = try balancer.connect()
        gone.send(Array(Self.line.prefix(20)))
        gone.endOutput()
        #expect(gone.readAll(seconds: 10).end != .timeout)
        #expect(try Self.count(balancer, "closed") == 1)
        #expect(try eventually { try balancer.admin("/metrics").text.contains("balancer_connections_active 0\n") })
    }

    @Test("A header that does not come in time is not awaited: bytes that drip in move nothing")
    func late() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(
            Self.configuration(core.port, top: #""timeouts": {"proxyHeader": "300ms"},"#))
        let connection = try balancer.connect()
        let began = Deadline(seconds: 3)
        var sent = 0
        // One byte each 50 ms would take it two seconds.
        while sent < Self.line.count, connection.send([Self.line[sent]]), !began.hasPassed {
            sent += 1
            usleep(50_000)
        }
        #expect(sent < Self.line.count)
        #expect(connection.readAll(seconds: 10).end != .timeout)
        #expect(try Self.count(balancer, "timeout") == 1)
    }

    @Test("The peer's address decides: whoever is not named is an ordinary client, and its header no request")
    func untrusted() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port, from: "10.0.0.0/8"))
        #expect(try balancer.request().text == "core")
        #expect(Self.forwardedFor(core) == "127.0.0.1")
        let connection = try balancer.connect()
        connection.send(Self.line + Self.request)
        #expect(connection.readAll(seconds: 10).text.hasPrefix("HTTP/1.1 400 "))
        let other = try balancer.connect()
        other.send(Self.binary(0x21, 0x11, Self.v4) + Self.request)
        #expect(other.readAll(seconds: 10).text.hasPrefix("HTTP/1.1 400 "))
        #expect(core.requests.count == 1)
    }

    @Test("Only versions that are wanted are taken; a reload changes that for connections to come")
    func versions() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port, listener: #", "versions": [2]"#))
        func answer(_ header: [UInt8]) throws -> String {
            let connection = try balancer.connect()
            connection.send(header + Array("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".utf8))
            return connection.readAll(seconds: 10).text
        }
        #expect(try answer(Self.line).isEmpty)
        #expect(try answer(Self.binary(0x21, 0x11, Self.v4)).hasSuffix("core"))
        let kept = try balancer.connect()
        kept.send(Self.binary(0x21, 0x11, Self.v4) + Self.request)
        var reader = MessageReader(kept)
        #expect(try reader.message().text == "core")
        let inodes = try Listening.inodes(balancer.port)
        try BalancerProcess.write(Self.configuration(core.port, listener: #", "versions": [1]"#), to: balancer.file)
        #expect(try eventually { try answer(Self.line).hasSuffix("core") })
        #expect(try answer(Self.binary(0x21, 0x11, Self.v4)).isEmpty)
        #expect(try Listening.inodes(balancer.port) == inodes)
        kept.send(Self.request)
        #expect(try reader.message().text == "core", "what is open goes on")
    }

    @Test("Limits per client count the client, not the proxy; trust hangs on the client too")
    func perClient() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(
            Self.configuration(
                core.port, top: #""limits": {"connectionsPerClient": 1}, "trustedProxies": ["203.0.113.0/24"],"#))
        func open(_ client: String, fields: String = "") throws -> (RawConnection, answered: Bool) {
            let connection = try balancer.connect()
            connection.send("PROXY TCP4 \(client) 198.51.100.2 1 2\r\nGET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
            var reader = MessageReader(connection)
            return (connection, (try? reader.message())?.text == "core")
        }
        let (first, isFirst) = try open("192.0.2.1")
        let (second, isSecond) = try open("192.0.2.2", fields: "X-Forwarded-For: 9.9.9.9\r\n")
        #expect(isFirst && isSecond)
        #expect(Self.forwardedFor(core) == "192.0.2.2", "nobody trusts it")
        let (_, isThird) = try open("192.0.2.1")
        #expect(!isThird, "over its limit")
        first.hangUp()
        #expect(try eventually { try open("192.0.2.1").answered })
        let (_, isTrusted) = try open("203.0.113.9", fields: "X-Forwarded-For: 9.9.9.9\r\n")
        #expect(isTrusted)
        #expect(Self.forwardedFor(core) == "9.9.9.9, 203.0.113.9")
        withExtendedLifetime(second) {}
    }

    @Test("A stop lets a header that is under way come, and serves its request")
    func stopped() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let connection = try balancer.connect()
        connection.send(Array(Self.line.prefix(10)))
        #expect(try eventually { try balancer.admin("/metrics").text.contains("balancer_connections_active 1") })
        balancer.program.signal(SIGTERM)
        #expect(eventually { (try? balancer.connect()) == nil })
        connection.send(Array(Self.line.dropFirst(10)) + Self.request)
        var reader = MessageReader(connection)
        #expect(try reader.message().text == "core")
        #expect(balancer.program.awaitExit() == 0)
    }

    @Test("check warns of a listener that takes everybody's word")
    func everybody() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(Self.configuration(1, from: "0.0.0.0/0"), to: folder + "/routes.json")
        let result = try Program.run("balancer", ["check", folder + "/routes.json"])
        #expect(result.status == 0)
        #expect(result.errors.contains("$.listeners[0].proxyProtocol.from"), "\(result)")
    }

    @Test("curl says whom it connects for")
    func curl() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let result = try Program.run(
            path: "/usr/bin/curl",
            ["-sS", "--haproxy-protocol", "--interface", "127.0.0.1", "http://127.0.0.1:\(balancer.port)/a"])
        #expect(result.output == "core", "\(result)")
        #expect(try Self.count(balancer, "accepted") == 1)
    }

    @Test(
        "Behind HAProxy, by either version, the client is HAProxy's client",
        .enabled(if: access("/usr/sbin/haproxy", X_OK) == 0))
    func behindHAProxy() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port, log: true))
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        for version in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"] {
            let reserved = try ReservedPort()
            let text = """
                defaults
                    mode tcp
                    timeout connect 5s
                    timeout client 5s
                    timeout server 5s
                frontend front
                    bind 127.0.0.2:\(reserved.number)
                    unique-id-format %[uuid()]
                    default_backend back
                backend back
                    server balancer 127.0.0.1:\(balancer.port) \(version) check

                """
            try BalancerProcess.write(text, to: folder + "/haproxy.cfg")
            let haproxy = try Program(path: "/usr/sbin/haproxy", ["-db", "-f", folder + "/haproxy.cfg"])
            defer { haproxy.signal(SIGKILL) }
            let answered = try eventually {
                try Program.run(
                    path: "/usr/bin/curl",
                    ["-sS", "--interface", "127.0.0.3", "http://127.0.0.2:\(reserved.number)/"]
                ).output == "core"
            }
            #expect(answered, "\(version): \(haproxy.errors)")
            #expect(Self.forwardedFor(core) == "127.0.0.3", "\(version)")
        }
        let named = #""client":"127.0.0.3","peer":"127.0.0.1""#
        #expect(eventually { balancer.program.output.filter { $0.contains(named) }.count == 3 })
    }
}
