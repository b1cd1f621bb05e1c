import Glibc
import TestSupport
import Testing

/// Endpoints that are told whom a connection is for.
@Suite("PROXY protocol toward endpoints", .serialized) struct ProxyProtocolOutScenarios {
    /// Answers requests behind a header, and keeps the header of each request's connection.
    private final class Told: Sendable {
        private let state = Locked<[(header: [UInt8], connection: Int)]>([])
        private let count = Locked(0)

        var requests: [(header: [UInt8], connection: Int)] { self.state.value }
        var connections: Int { self.count.value }

        func upstream() throws -> ScriptedUpstream {
            try ScriptedUpstream { [state, count] connection, upstream in
                var number = 0
                count.change {
                    $0 += 1
                    number = $0
                }
                let header = try Self.header(connection)
                var reader = MessageReader(connection)
                while true {
                    upstream.record(try reader.message(seconds: 60))
                    state.change { $0.append((header, number)) }
                    guard connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntold") else { return }
                }
            }
        }

        /// Reads exactly the header's bytes: whatever came behind them would break the request.
        private static func header(_ connection: RawConnection) throws -> [UInt8] {
            var bytes: [UInt8] = []
            let deadline = Deadline(seconds: 20)
            func isWhole() -> Bool {
                guard let first = bytes.first else { return false }
                if first == 0x50 { return bytes.suffix(2) == [0x0D, 0x0A] }
                return bytes.count >= 16 && bytes.count == 16 + Int(bytes[14]) << 8 + Int(bytes[15])
            }
            while !isWhole() {
                guard case .data(let more) = connection.receive(atMost: 1, by: deadline) else {
                    throw TestFailure("\(bytes) is no header")
                }
                bytes += more
            }
            return bytes
        }
    }

    private static func configuration(_ port: UInt16, _ version: Int, listener: String = "", keys: String = "")
        -> String
    {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0"\(listener)}], "admin": {"address": "127.0.0.1:0"},
         "accessLog": {"enabled": false},
         "upstreams": {"core": {"endpoints": ["127.0.0.1:\(port)"], "sendProxyProtocol": \(version)\(keys)}},
         "routes": [{"name": "api", "split": {"core": 1}}]}
        """
    }

    private static func port(of connection: RawConnection) -> UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(connection.descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xFF)] }
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    @Test("Both versions, byte for byte; a client keeps its connection and shares it with no other", arguments: [1, 2])
    func told(version: Int) throws {
        let told = Told()
        let core = try told.upstream()
        let balancer = try BalancerProcess(Self.configuration(core.port, version))
        var clients: [(RawConnection, MessageReader)] = []
        for _ in 0..<3 {
            let connection = try balancer.connect()
            clients.append((connection, MessageReader(connection)))
        }
        for _ in 0..<4 {
            for index in clients.indices {
                clients[index].0.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
                #expect(try clients[index].1.message().text == "told")
                let from = Self.port(of: clients[index].0)
                let expected =
                    version == 1
                    ? Array("PROXY TCP4 127.0.0.1 127.0.0.1 \(from) \(balancer.port)\r\n".utf8)
                    : Self.signature + [0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1] + Self.bytes(from)
                        + Self.bytes(balancer.port)
                #expect(told.requests.last?.header == expected)
            }
        }
        #expect(told.connections == 3, "one for each client, however many requests")
        let idle = #"balancer_endpoint_connections_idle{upstream="core",endpoint="127.0.0.1:\#(core.port)"}"#
        #expect(try balancer.admin("/metrics").text.contains("\(idle) 3"))
        clients.removeAll()
        #expect(
            try eventually { try balancer.admin("/metrics").text.contains("\(idle) 0") },
            "what was kept for a client goes with it")
    }

    @Test("What a proxy in front said is passed on, and LOCAL is the proxy's own address")
    func passedOn() throws {
        let told = Told()
        let core = try told.upstream()
        let balancer = try BalancerProcess(
            Self.configuration(core.port, 1, listener: #", "proxyProtocol": {"from": ["127.0.0.1"]}"#))
        for (header, expected) in [
            ("PROXY TCP6 2001:db8::1 2001:db8::2 7 8\r\n", "PROXY TCP6 2001:db8::1 2001:db8::2 7 8\r\n"),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 7 8\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 7 8\r\n"),
        ] {
            let connection = try balancer.connect()
            connection.send(header + "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            var reader = MessageReader(connection)
            #expect(try reader.message().text == "told")
            #expect(told.requests.last.map { String(decoding: $0.header, as: UTF8.self) } == expected)
        }
        let connection = try balancer.connect()
        connection.send("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
        var reader = MessageReader(connection)
        #expect(try reader.message().text == "told")
        #expect(
            told.requests.last?.header
                == Array("PROXY TCP4 127.0.0.1 127.0.0.1 \(Self.port(of: connection)) \(balancer.port)\r\n".utf8))
    }

    @Test("A connection that the endpoint has closed is opened anew, with its header; probes say LOCAL")
    func reopenedAndProbed() throws {
        let lines = Locked<[String]>([])
        // One request a connection, with the line in front of it.
        let core = try ScriptedUpstream { connection, _ in
            guard let text = connection.read(until: "\r\n\r\n") else { return }
            let seen = text.split(separator: "\r\n").prefix(2).map(String.init)
            lines.change { $0.append(seen.joined(separator: "|")) }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        let balancer = try BalancerProcess(
            Self.configuration(core.port, 1, keys: #", "health": {"path": "/probe", "interval": "50ms"}"#))
        #expect(eventually { lines.value.contains("PROXY UNKNOWN|GET /probe HTTP/1.1") })
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        let expected = "PROXY TCP4 127.0.0.1 127.0.0.1 \(Self.port(of: connection)) \(balancer.port)|GET / HTTP/1.1"
        for round in 1...3 {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try reader.message().text == "ok")
            #expect(lines.value.filter { $0 == expected }.count == round)
        }
    }

    @Test("A reload that switches the header on or off leaves no connection of the other kind in the pool")
    func reloaded() throws {
        let told = Told()
        let core = try told.upstream()
        let plain = try ScriptedUpstream.plain("plain")
        let file = Self.configuration(core.port, 2)
        let balancer = try BalancerProcess(file)
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        func ask() throws -> String {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            return try reader.message().text
        }
        #expect(try ask() == "told")
        try BalancerProcess.write(Self.configuration(core.port, 1), to: balancer.file)
        #expect(try eventually { try ask() == "told" && told.requests.last?.header.first == 0x50 })
        try BalancerProcess.write(
            file.replacing("\(core.port)", with: "\(plain.port)").replacing(#", "sendProxyProtocol": 2"#, with: ""),
            to: balancer.file)
        #expect(try eventually { try ask() == "plain" })
        for _ in 0..<3 { #expect(try ask() == "plain") }
    }

    @Test(
        "HAProxy behind takes both versions", .enabled(if: access("/usr/sbin/haproxy", X_OK) == 0), arguments: [1, 2])
    func beforeHAProxy(version: Int) throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try ReservedPort()
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let text = """
            defaults
                mode http
                timeout connect 5s
                timeout client 5s
                timeout server 5s
            frontend front
                bind 127.0.0.1:\(reserved.number) accept-proxy
                http-request set-header X-Seen %[src]:%[src_port]
                default_backend back
            backend back
                server core 127.0.0.1:\(core.port)

            """
        try BalancerProcess.write(text, to: folder + "/haproxy.cfg")
        let haproxy = try Program(path: "/usr/sbin/haproxy", ["-db", "-f", folder + "/haproxy.cfg"])
        defer { haproxy.signal(SIGKILL) }
        let balancer = try BalancerProcess(Self.configuration(reserved.number, version))
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        let answered = try eventually {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            return try reader.message().text == "core"
        }
        #expect(answered, "\(haproxy.errors)")
        #expect(core.requests.last?.field("x-seen") == "127.0.0.1:\(Self.port(of: connection))")
    }
}
