import Glibc
import TestSupport
import Testing

/// What routes and listeners ask of requests before they go anywhere.
@Suite("Policies", .serialized) struct PolicyScenarios {
    private static func configuration(
        _ core: UInt16, route: String = "", listener: String = "", top: String = "", routes: String? = nil,
        log: Bool = false
    ) -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0"\(listener)}],
         "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": \(log)}, \(top)
         "upstreams": {"core": {"endpoints": ["127.0.0.1:\(core)"]}},
         "routes": [\(routes ?? #"{"name": "api", "split": {"core": 1}\#(route)}"#)]}
        """
    }

    private static func sample(_ balancer: BalancerProcess, _ series: String) throws -> Int {
        let line = try balancer.admin("/metrics").text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line.flatMap { Int($0.dropFirst(series.count + 1)) } ?? 0
    }

    // MARK: by address

    @Test("A listener's list closes without a byte, behind PROXY too; a reload opens it without a new socket")
    func listenerLists() throws {
        let core = try ScriptedUpstream.plain("core")
        let proxied = #", "proxyProtocol": {"from": ["127.0.0.1"]}, "deny": ["192.0.2.0/24"]"#
        let balancer = try BalancerProcess(Self.configuration(core.port, listener: proxied))
        func ask(_ client: String) throws -> String {
            let connection = try balancer.connect()
            connection.send(
                "PROXY TCP4 \(client) 1.1.1.1 1 2\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            return connection.readAll(seconds: 10).text
        }
        #expect(try ask("192.0.2.7").isEmpty)
        #expect(try ask("192.0.3.7").hasSuffix("core"))
        #expect(try Self.sample(balancer, #"balancer_connections_denied_total{listener="public"}"#) == 1)
        #expect(core.requests.count == 1)
        let sockets = try Listening.inodes(balancer.port)
        try BalancerProcess.write(
            Self.configuration(core.port, listener: #", "allow": ["10.0.0.0/8"]"#), to: balancer.file)
        #expect(
            try eventually {
                let connection = try balancer.connect()
                connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                let (text, end) = connection.readAll(seconds: 10)
                return text.isEmpty && end != .timeout
            })
        #expect(try Listening.inodes(balancer.port) == sockets)
        try BalancerProcess.write(
            Self.configuration(core.port, listener: #", "allow": ["127.0.0.0/8"]"#), to: balancer.file)
        #expect(eventually { (try? balancer.request().text) == "core" })
    }

    @Test("A route's lists are about the client, whom trusted proxies name; redirects and answers have them too")
    func routeLists() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(
            Self.configuration(
                core.port, top: #""trustedProxies": ["127.0.0.0/8"],"#,
                routes: """
                    {"name": "api", "split": {"core": 1}, "deny": ["192.0.2.0/24"]},
                    {"name": "inside", "match": {"path": "/inside"}, "split": {"core": 1}, "allow": ["10.0.0.0/8"]},
                    {"name": "moved", "match": {"path": "/moved"}, "redirect": {"path": "/"}, "deny": ["192.0.2.0/24"]}
                    """, log: true))
        func ask(_ path: String, _ client: String) throws -> Message {
            try balancer.request(path, fields: "X-Forwarded-For: \(client)\r\n")
        }
        let denied = try ask("/", "192.0.2.1")
        #expect(denied.status == 403 && denied.field("x-balancer-reason") == "address-denied")
        #expect(try ask("/", "192.0.3.1").status == 200)
        #expect(try ask("/inside", "192.0.3.1").status == 403)
        #expect(try ask("/inside", "10.1.1.1").status == 200)
        #expect(try ask("/moved", "192.0.2.1").status == 403)
        #expect(try ask("/moved", "10.1.1.1").status == 308)
        #expect(core.requests.count == 2)
        #expect(try Self.sample(balancer, #"balancer_access_denied_total{route="api",reason="denied"}"#) == 1)
        #expect(try Self.sample(balancer, #"balancer_access_denied_total{route="inside",reason="not-allowed"}"#) == 1)
        #expect(eventually { balancer.program.output.filter { $0.contains(#""reason":"address-denied""#) }.count == 3 })
        let explained = try balancer.command("explain", "/inside", "--client", "192.0.3.1").output
        #expect(explained.contains("in no block of allow"), "\(explained)")
        #expect(try balancer.command("explain", "/", "--client", "192.0.2.9").output.contains("denied by 192.0.2.0/24"))
    }

    @Test("http goes to https without a loop, and without the port of http")
    func toHTTPS() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(
            Self.configuration(
                core.port,
                routes: """
                    {"name": "to-https", "match": {"listener": "public"}, "redirect": {"scheme": "https"}},
                    {"name": "api", "split": {"core": 1}}
                    """))
        for (host, expected) in [
            ("example.org:8080", "https://example.org/a?b"), ("example.org", "https://example.org/a?b"),
            ("[::1]:80", "https://[::1]/a?b"), ("[::1]", "https://[::1]/a?b"),
        ] {
            let (text, _) = try balancer.exchange("GET /a?b HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
            #expect(text.contains("Location: \(expected)\r\n"), "\(text)")
        }
        // A client of HTTP/1.0 need not name a host: where there is none, there is no address on another scheme.
        let (old, _) = try balancer.exchange("GET /a?b HTTP/1.0\r\n\r\n")
        #expect(old.hasPrefix("HTTP/1.1 400 ") && !old.contains("Location:"), "\(old)")
    }

    @Test("A redirect of a request that names no host stays where it is")
    func withoutHost() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(
            Self.configuration(
                core.port,
                routes: """
                    {"name": "moved", "match": {"path": "/old"}, "redirect": {"path": "/new"}},
                    {"name": "elsewhere", "match": {"path": "/other"}, "redirect": {"host": "example.org"}},
                    {"name": "api", "split": {"core": 1}}
                    """))
        for (path, expected) in [("/old?b", "/new?b"), ("/other?b", "http://example.org/other?b")] {
            let (text, _) = try balancer.exchange("GET \(path) HTTP/1.0\r\n\r\n")
            #expect(text.contains("\r\nLocation: \(expected)\r\n"), "\(text)")
        }
    }

    // MARK: limits

    private static let slow =
        #", "rateLimit": [{"name": "per-client", "key": {"by": "client-address"}, "rate": "1/m", "burst": 2}]"#

    @Test("Beyond the limit the answer is 429 with when to come again, on a connection that stays")
    func limited() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port, route: Self.slow, log: true), workers: 2)
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        var answers: [Message] = []
        for _ in 0..<4 {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            answers.append(try reader.message())
        }
        #expect(answers.map(\.status) == [200, 200, 429, 429])
        let refused = answers[2]
        #expect(refused.field("x-balancer-reason") == "rate-limited")
        #expect(refused.field("ratelimit-policy") == #""per-client";q=2;w=120"#)
        let wait = refused.field("retry-after").flatMap(Int.init) ?? 0
        #expect((50...60).contains(wait), "\(refused.fields)")
        #expect(refused.field("ratelimit") == "\"per-client\";r=0;t=\(wait)")
        #expect(!refused.closes)
        #expect(answers[1].field("ratelimit") == nil)
        #expect(core.requests.count == 2)
        let series = #"balancer_rate_limited_total{route="api",rule="per-client",mode="refused"}"#
        #expect(try Self.sample(balancer, series) == 2)
        #expect(
            eventually {
                balancer.program.output.filter { $0.contains(#""reason":"rate-limited","rule":"per-client""#) }.count
                    == 2
            })
        let explained = try balancer.command("explain", "/", "--client", "127.0.0.1").output
        #expect(explained.contains("used up") && explained.contains("429"), "\(explained)")
        #expect(try balancer.command("explain", "/", "--client", "127.0.0.2").output.contains("2 of 2 requests"))
        let limits = "/api/v1/limits?route=api&rule=per-client"
        let state = try balancer.json("\(limits)&key=127.0.0.1")
        #expect(state["left"] as? Int == 0 && state["burst"] as? Int == 2, "\(state)")
        #expect((1...60_000).contains(state["waitMilliseconds"] as? Int ?? 0), "\(state)")
        #expect(try balancer.json("\(limits)&key=127.0.0.2")["left"] as? Int == 2)
        #expect(try balancer.admin("/api/v1/limits?route=api&rule=no&key=1.1.1.1").status == 404)
        #expect(try balancer.admin("\(limits)&key=x").status == 422)
        #expect(try balancer.admin("\(limits)&kee=127.0.0.1", method: "DELETE").status == 422)
        #expect(try balancer.admin("\(limits)&key=127.0.0.1", method: "DELETE").status == 200)
        #expect(try balancer.json("\(limits)&key=127.0.0.1")["left"] as? Int == 2)
        #expect(try balancer.admin("/api/v1/journal").text.contains("limit per-client: 127.0.0.1 forgiven"))
        for expected in [200, 200, 429] {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try reader.message().status == expected)
        }
        // A reload that leaves the rule as it is leaves what was used up; another rate counts on from there.
        try BalancerProcess.write(
            Self.configuration(
                core.port, route: Self.slow.replacing("1/m", with: "2/m") + #", "limits": {"body": "1MiB"}"#, log: true),
            to: balancer.file)
        #expect(try eventually { try balancer.json("/api/v1/status")["generation"] as? Int == 2 })
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().status == 429)
        // A body that is on its way is not read to its end.
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
        let last = try reader.message()
        #expect(last.status == 429 && last.closes)
    }

    @Test(
        "Clients are told apart by address, header or cookie, whatever they claim; who leaves the key out is counted too"
    )
    func keys() throws {
        let core = try ScriptedUpstream.plain("core")
        let route =
            #", "rateLimit": [{"name": "h", "key": {"by": "header", "name": "X-Key"}, "rate": "1/h", "burst": 1}]"#
        let balancer = try BalancerProcess(Self.configuration(core.port, route: route))
        #expect(try balancer.request(fields: "X-Key: a\r\n").status == 200)
        #expect(try balancer.request(fields: "X-Key: a\r\n").status == 429)
        #expect(try balancer.request(fields: "x-key: b\r\n").status == 200)
        #expect(try balancer.request().status == 200)
        #expect(try balancer.request(fields: "X-Key: \r\n").status == 429, "the same as none")
        let byAddress = #", "rateLimit": [{"name": "a", "key": {"by": "client-address"}, "rate": "1/h", "burst": 1}]"#
        try BalancerProcess.write(Self.configuration(core.port, route: byAddress), to: balancer.file)
        #expect(try eventually { try balancer.json("/api/v1/status")["generation"] as? Int == 2 })
        #expect(try balancer.request(fields: "X-Forwarded-For: 1.1.1.1\r\n").status == 200)
        #expect(try balancer.request(fields: "X-Forwarded-For: 1.1.1.2\r\n").status == 429, "nobody believes it")
        let cookie = #", "rateLimit": [{"name": "c", "key": {"by": "cookie", "name": "s"}, "rate": "1/h", "burst": 1}]"#
        try BalancerProcess.write(Self.configuration(core.port, route: cookie), to: balancer.file)
        #expect(try eventually { try balancer.json("/api/v1/status")["generation"] as? Int == 3 })
        #expect(try balancer.request(fields: "Cookie: x=1; s=1\r\n").status == 200)
        #expect(try balancer.request(fields: "Cookie: s=1\r\n").status == 429)
        #expect(try balancer.request(fields: "Cookie: s=2\r\n").status == 200)
    }

    @Test("A rule on trial refuses nobody and says whom it would have; exceptions are not counted")
    func trial() throws {
        let core = try ScriptedUpstream.plain("core")
        let route = #"""
            , "rateLimit": [
                {"name": "trial", "key": {"by": "all"}, "rate": "1/h", "burst": 1, "dryRun": true},
                {"name": "spared", "key": {"by": "all"}, "rate": "1/h", "burst": 1, "except": ["127.0.0.0/8"]}]
            """#
        let balancer = try BalancerProcess(Self.configuration(core.port, route: route, log: true))
        for _ in 0..<3 { #expect(try balancer.request().status == 200) }
        #expect(
            try Self.sample(balancer, #"balancer_rate_limited_total{route="api",rule="trial",mode="dry-run"}"#) == 2)
        #expect(
            try Self.sample(balancer, #"balancer_rate_limited_total{route="api",rule="trial",mode="refused"}"#) == 0)
        #expect(eventually { balancer.program.output.filter { $0.contains(#""rule":"trial""#) }.count == 2 })
        #expect(try balancer.command("explain", "/").output.contains("on trial"))
    }

    @Test("All workers share one rate: over many connections the long run is right to a few percent")
    func shared() throws {
        let core = try ScriptedUpstream.plain("core")
        let route = #", "rateLimit": [{"name": "all", "key": {"by": "all"}, "rate": "100/s", "burst": 20}]"#
        let balancer = try BalancerProcess(Self.configuration(core.port, route: route), workers: 2)
        let answered = Locked((allowed: 0, refused: 0, other: 0))
        let seconds = 3.0
        let done = Locked(0)
        var began = timespec()
        clock_gettime(CLOCK_MONOTONIC, &began)
        for _ in 0..<8 {
            startThread {
                defer { done.change { $0 += 1 } }
                let deadline = Deadline(seconds: seconds)
                while !deadline.hasPassed {
                    guard let connection = try? balancer.connect() else { continue }
                    var reader = MessageReader(connection)
                    for _ in 0..<20 where !deadline.hasPassed {
                        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                        let status = (try? reader.message())?.status
                        answered.change { counts in
                            switch status {
                            case 200: counts.allowed += 1
                            case 429: counts.refused += 1
                            default: counts.other += 1
                            }
                        }
                        usleep(2_000)
                    }
                }
            }
        }
        #expect(eventually { done.value == 8 })
        var ended = timespec()
        clock_gettime(CLOCK_MONOTONIC, &ended)
        let passed = Double(ended.tv_sec - began.tv_sec) + Double(ended.tv_nsec - began.tv_nsec) / 1e9
        let counts = answered.value
        #expect(counts.other == 0)
        #expect(counts.refused > 0, "the test must press")
        // What was earned up to the last request, which came at most some requests' time before the end.
        #expect(Double(counts.allowed) <= 20 + passed * 100 + 1, "\(counts) in \(passed) s")
        #expect(Double(counts.allowed) >= 20 + seconds * 100 * 0.95, "\(counts) in \(passed) s")
    }
}
