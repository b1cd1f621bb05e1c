import RoutesFile
import Testing
import Traffic

@Suite("Accepted configurations")
struct AcceptedTests {
    @Test("The file in the repository has the routes of the main job, and defaults for all else")
    func example() throws {
        let configuration = try RoutesFile.parse(try Repository.bytes("routes.json"))
        var table = TableSpec()
        for (name, endpoints) in [("core", ["127.0.0.1:3300"]), ("gateway", ["127.0.0.1:3301", "127.0.0.1:3302"])] {
            var upstream = UpstreamSpec(name: name)
            upstream.endpoints = try endpoints.map { try address($0) }
            var probe = ProbeSpec()
            probe.path = "/healthcheck"
            upstream.health = probe
            table.upstreams.append(upstream)
        }
        var operations = RouteSpec(name: "operations", action: .split([SplitEntry(upstream: "core", weight: 1)]))
        operations.match.paths = [
            "/healthcheck", "/status", "/assets", "/docs", "/scorekeeper/jobs", "/nominators/status",
        ].map { .prefix($0) }
        var hidden = RouteSpec(name: "private", action: .respond(status: 404))
        hidden.match.paths = ["/metrics", "/livez", "/readyz"].map { .prefix($0) }
        hidden.match.ignoreCase = true
        hidden.match.normalise = true
        var api = RouteSpec(
            name: "api",
            action: .split([SplitEntry(upstream: "core", weight: 90), SplitEntry(upstream: "gateway", weight: 10)]))
        api.match.paths = [.prefix("/")]
        table.routes = [hidden, operations, api]
        let listener = ListenerSpec(name: "public", address: try address("127.0.0.1:8080"))
        #expect(configuration == BalancerConfiguration(listeners: [listener], table: table))
        #expect(configuration.admin?.address == (try address("127.0.0.1:9901")))
        #expect(configuration.accessLog == AccessLogSpec())
        #expect(configuration.workers == nil)
    }

    @Test("Listeners, upstreams and routes are enough")
    func minimal() throws {
        let configuration = try Document().parse()
        #expect(configuration.table.routes.map(\.name) == ["route-1"])
        #expect(configuration.table.routes.first?.match == MatchSpec())
        #expect(configuration.table.upstreams.first?.health == nil)
        #expect(configuration.admin == AdminSpec())
    }

    @Test("A cluster's fingerprint tells what traffic a file means, and nothing of the machine")
    func fingerprint() throws {
        func print(_ top: String, weight: Int = 1) throws -> String {
            try Document(
                top: #"\#(top) "cluster": { "name": "x", "kubernetes": { "namespace": "n" } },"#,
                routes: #"[{ "split": { "core": \#(weight) }, "name": "api" }]"#
            ).parse().fingerprint
        }
        let plain = try print("")
        #expect(plain.count == 16)
        #expect(try print(#""workers": 3, "state": { "path": "/x" },"#) == plain)
        #expect(try print("", weight: 2) != plain && print(#""timeouts": { "queue": "1s" },"#) != plain)
        #expect(try Document().parse().fingerprint.isEmpty)
    }

    @Test("Every key of the top level")
    func topLevel() throws {
        let configuration = try Document(
            top: """
                "$schema": "x", "admin": { "address": "[::1]:0", "observe": "0.0.0.0:0", "hosts": ["Balancer.Internal", "[::1]"], "tokens": false, "tls": { "certificate": "/a", "key": "/b" } }, "accessLog": { "path": "/var/log/access", "mirror": true },
                "operationalLog": { "level": "debug" }, "workers": 3,
                "tracing": { "endpoint": "https://[::1]:4318/v1/traces", "caFile": "/ca.pem", "sample": 1e-2, "service": "edge 1" },
                "batching": { "enabled": false }, "takeover": { "path": "/run/balancer.sock" },
                "state": { "path": "/var/lib/balancer/state.sqlite" }, "guard": { "minimum": 1, "headroom": 100 },
                "cluster": { "name": "otv", "etcd": { "endpoints": ["https://10.0.0.5:2379", "http://e:1"], "caFile": "/ca",
                    "user": "u", "passwordFile": "/p" } },
                "trustedProxies": ["10.0.0.0/8", "::1"], "errors": { "reason": false },
                "forwarding": { "via": "edge", "forwarded": true, "xForwarded": false, "requestID": false,
                    "underscores": "refuse", "maxPasses": 0, "clientCertificate": true },
                "timeouts": { "proxyHeader": "13ms", "requestHeader": "1ms", "requestBodyIdle": "2s", "connect": "3m", "responseHeader": "4h",
                    "responseBodyIdle": "1.5s", "keepAlive": "0.25m", "upstreamIdle": "7ms", "upstreamLifetime": "8ms",
                    "tunnelIdle": "9ms", "tunnelHalfClosed": "11ms", "linger": "12ms", "queue": "10ms",
                    "connectionLifetime": "13s", "http2Ping": "14s", "drain": "720h" },
                "limits": { "requestLine": "1KiB", "headerBytes": "2KB", "headerCount": 7, "body": "1.5GiB",
                    "requestBodyRate": "1KiB", "buffered": "1MiB",
                    "connections": 8, "connectionsPerClient": 9, "interimResponses": 0, "chunkExtensionBytes": "10B",
                    "trailerBytes": 11, "mirrorBody": "1MiB", "http2": { "concurrentStreams": 12, "resets": 13, "unsentControl": 14,
                        "streamWindow": "128KiB", "connectionWindow": "1MiB" },
                    "tls": { "handshakes": 12, "handshakesPerClient": 13, "handshakesPerTurn": 14 } },
                "buffering": { "request": "64KiB" },
                """
        ).parse()
        #expect(configuration.admin?.address == (try address("[::1]:0")))
        #expect(configuration.admin?.observe == (try address("0.0.0.0:0")))
        var etcd = EtcdSpec(endpoints: ["https://10.0.0.5:2379", "http://e:1"])
        etcd.caFile = "/ca"
        etcd.user = "u"
        etcd.passwordFile = "/p"
        #expect(configuration.cluster == ClusterSpec(name: "otv", engine: .etcd(etcd)))
        #expect(configuration.admin?.hosts == ["balancer.internal", "[::1]"])
        #expect(
            configuration.admin?.tls == AdminTLS(chain: NamedFile(path: "/a"), key: NamedFile(path: "/b")))
        #expect(configuration.accessLog == AccessLogSpec(.file(path: "/var/log/access"), mirror: true))
        #expect(configuration.operationalLog == .debug)
        var tracing = TracingSpec(endpoint: "https://[::1]:4318/v1/traces")
        tracing.sample = 0.01
        tracing.caFile = "/ca.pem"
        tracing.service = "edge 1"
        #expect(configuration.table.tracing == tracing)
        #expect(!configuration.batching)
        #expect(configuration.workers == 3)
        #expect(configuration.takeover == "/run/balancer.sock")
        #expect(configuration.state == "/var/lib/balancer/state.sqlite")
        let rules = configuration.guardSpec
        #expect(rules?.minimum == 1 && rules?.available == 50 && rules?.headroom == 100)
        let table = configuration.table
        #expect(table.explainErrors == false)
        var forwarding = ForwardingSpec()
        forwarding.trustedProxies = try ["10.0.0.0/8", "::1"].map { try #require(AddressBlock(parsing: $0)) }
        forwarding.via = "edge"
        forwarding.forwarded = true
        forwarding.xForwarded = false
        forwarding.requestID = false
        forwarding.underscores = .refuse
        forwarding.maxPasses = 0
        forwarding.clientCertificate = true
        #expect(table.forwarding == forwarding)
        var timeouts = Timeouts()
        timeouts.proxyHeader = 13
        timeouts.requestHeader = 1
        timeouts.requestBodyIdle = 2_000
        timeouts.connect = 180_000
        timeouts.responseHeader = 14_400_000
        timeouts.responseBodyIdle = 1_500
        timeouts.keepAlive = 15_000
        timeouts.upstreamIdle = 7
        timeouts.upstreamLifetime = 8
        timeouts.tunnelIdle = 9
        timeouts.tunnelHalfClosed = 11
        timeouts.linger = 12
        timeouts.queue = 10
        timeouts.connectionLifetime = 13_000
        timeouts.http2Ping = 14_000
        timeouts.drain = 2_592_000_000
        #expect(table.timeouts == timeouts)
        var limits = Limits()
        limits.requestLine = 1_024
        limits.headerBytes = 2_000
        limits.headerCount = 7
        limits.body = 1_610_612_736
        limits.requestBodyRate = 1_024
        limits.buffered = 1_048_576
        limits.connections = 8
        limits.connectionsPerClient = 9
        limits.http2.concurrentStreams = 12
        limits.http2.resets = 13
        limits.http2.unsentControl = 14
        limits.http2.streamWindow = 131_072
        limits.http2.connectionWindow = 1_048_576
        limits.interimResponses = 0
        limits.chunkExtensionBytes = 10
        limits.trailerBytes = 11
        limits.mirrorBody = 1_048_576
        limits.tls.handshakes = 12
        limits.tls.handshakesPerClient = 13
        limits.tls.handshakesPerTurn = 14
        #expect(table.limits == limits)
        #expect(table.routes.first?.timeouts == timeouts)
        #expect(table.routes.first?.limits == limits)
        #expect(table.buffering.request == 65_536)
        #expect(table.routes.first?.buffering == table.buffering)
    }

    @Test("Forms that switch something off")
    func switchedOff() throws {
        let configuration = try Document(
            top: #""admin": false, "accessLog": { "enabled": false, "path": "x" }, "forwarding": { "via": false },"#
        ).parse()
        #expect(configuration.admin == nil)
        #expect(configuration.accessLog == AccessLogSpec(.disabled))
        #expect(configuration.table.forwarding.via.isEmpty)
    }

    @Test("Every key of a listener")
    func listener() throws {
        let configuration = try Document(
            listeners: """
                [{ "name": "public", "address": "127.0.0.1:8080",
                   "proxyProtocol": { "from": ["10.0.0.0/8", "::1"], "versions": [2, 1] },
                   "allow": ["10.0.0.0/8"], "deny": ["::1"] }]
                """
        ).parse()
        var expected = ListenerSpec(name: "public", address: try address("127.0.0.1:8080"))
        expected.proxyProtocol = ProxyProtocolSpec(
            from: try ["10.0.0.0/8", "::1"].map { try #require(AddressBlock(parsing: $0)) })
        expected.access.allow = [try #require(AddressBlock(parsing: "10.0.0.0/8"))]
        expected.access.deny = [try #require(AddressBlock(parsing: "::1"))]
        #expect(configuration.listeners == [expected])
    }

    @Test("Every key of a route's policies, defaults included")
    func policies() throws {
        let configuration = try Document(
            route: """
                "split": { "core": 1 }, "allow": [], "deny": ["10.0.0.0/8"], "rateLimit": [
                    { "name": "a", "key": { "by": "client-address" }, "rate": "50/s" },
                    { "name": "b", "key": { "by": "header", "name": "X-User" }, "rate": "7/m", "burst": 3, "ipv4Prefix": 24,
                      "ipv6Prefix": 48, "entries": 8, "headers": false, "dryRun": true, "except": ["::1"] },
                    { "name": "c", "key": { "by": "all" }, "rate": "1000/h", "headers": "limited" },
                    { "name": "d", "key": { "by": "cookie", "name": "S" }, "rate": "1000000/s", "burst": 1000000 },
                    { "name": "e", "key": { "by": "user" }, "rate": "1/s", "headers": "always" }],
                "basicAuth": { "realm": "Ä b", "users": { "ü r": "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW" },
                    "usersFile": "/etc/users", "forward": true, "userHeader": "X-User" },
                "compression": { "algorithms": ["gzip", "br"], "minimum": "2KiB", "types": ["Text/HTML", "application/*+json"],
                    "credentials": false, "level": 9 }
                """
        ).parse()
        let route = try #require(configuration.table.routes.first)
        #expect(route.access.allow == [])
        #expect(route.access.deny == [try #require(AddressBlock(parsing: "10.0.0.0/8"))])
        let second: UInt64 = 1_000_000_000
        var header = RateLimitSpec(
            name: "b", key: .header("x-user"), rate: RateSpec(interval: 60 * second / 7, burst: 3))
        header.ipv4Prefix = 24
        header.ipv6Prefix = 48
        header.entries = 8
        header.telling = .never
        header.dryRun = true
        header.except = [try #require(AddressBlock(parsing: "::1"))]
        var user = RateLimitSpec(name: "e", key: .user, rate: RateSpec(interval: second, burst: 1))
        user.telling = .always
        var basicAuth = BasicAuthSpec(realm: "Ä b")
        basicAuth.users = [
            UserSpec(name: "ü r", hash: "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW")
        ]
        basicAuth.file = NamedFile(path: "/etc/users")
        basicAuth.forwards = true
        basicAuth.userHeader = "X-User"
        #expect(route.basicAuth == basicAuth)
        var compression = CompressionSpec()
        compression.algorithms = [.gzip, .brotli]
        compression.minimum = 2_048
        compression.types = ["text/html", "application/*+json"]
        compression.credentials = false
        compression.level = 9
        #expect(route.compression == compression)
        #expect(!"\(basicAuth)".contains("2r9OfJ"), "hashes are not printed")
        #expect(
            route.rateLimits == [
                RateLimitSpec(name: "a", key: .clientAddress, rate: RateSpec(interval: second / 50, burst: 50)), header,
                RateLimitSpec(name: "c", key: .all, rate: RateSpec(interval: 3_600 * second / 1_000, burst: 1_000)),
                RateLimitSpec(name: "d", key: .cookie("S"), rate: RateSpec(interval: 1_000, burst: 1_000_000)),
                user,
            ])
    }

    @Test("Every key of an upstream")
    func upstream() throws {
        let configuration = try Document(
            core: """
                "endpoints": ["10.0.0.9:1", "[::1]:2"], "balance": { "hash": { "by": "header", "name": "X-User" } },
                "health": { "method": "HEAD", "path": "/h?full=1", "host": "core.example:80", "interval": "500ms",
                    "timeout": "100ms", "rise": 4, "fall": 5, "expect": { "status": [204, "301-302", "5xx"] } },
                "passive": { "enabled": false, "consecutiveFailures": 6, "failureRate": 7, "minimumRequests": 8,
                    "window": "9s", "baseEjection": "10s", "maxEjection": "11s", "maxEjectedShare": 12 },
                "slowStart": "13s", "maxConnections": 14, "maxOutstanding": 15, "queue": { "length": 16 },
                "idleConnections": 17, "retry": { "attempts": 5, "budgetPercent": 18, "minimumPerSecond": 19 },
                "sendProxyProtocol": 2, "protocol": "http1"
                """
        ).parse()
        var expected = UpstreamSpec(name: "core")
        expected.endpoints = try ["10.0.0.9:1", "[::1]:2"].map { try address($0) }
        expected.balance = .consistentHash(.header("x-user"))
        var probe = ProbeSpec()
        probe.method = "HEAD"
        probe.path = "/h?full=1"
        probe.host = "core.example:80"
        probe.interval = 500
        probe.timeout = 100
        probe.rise = 4
        probe.fall = 5
        probe.expectedStatus = [204...204, 301...302, 500...599]
        expected.health = probe
        expected.passive.enabled = false
        expected.passive.consecutiveFailures = 6
        expected.passive.failureRate = 7
        expected.passive.minimumRequests = 8
        expected.passive.window = 9_000
        expected.passive.baseEjection = 10_000
        expected.passive.maxEjection = 11_000
        expected.passive.maxEjectedShare = 12
        expected.slowStart = 13_000
        expected.maxConnections = 14
        expected.maxOutstanding = 15
        expected.queueLength = 16
        expected.idleConnections = 17
        expected.retry.attempts = 5
        expected.retry.budgetPercent = 18
        expected.retry.minimumPerSecond = 19
        expected.sendProxyProtocol = 2
        #expect(configuration.table.upstreams == [expected])
    }

    @Test("Every key of a route that splits")
    func route() throws {
        let configuration = try Document(
            route: """
                "name": "a.b-c_1",
                "match": { "host": ["Example.org", "*.Example.org", "[::1]"],
                    "path": ["/a", { "exact": "/b" }, { "prefix": "/c/" }], "method": ["GET", "PURGE"],
                    "headers": { "X-Beta": "1", "X-Any": true }, "listener": "public", "ignoreCase": true, "normalise": true },
                "split": { "core": 0 }, "sticky": { "by": "cookie", "name": "Session" }, "failover": false, "reserve": ["core"],
                "override": { "header": "X-Pick", "trustedOnly": true, "from": ["127.0.0.1"] }, "upgrade": ["WebSocket"],
                "rewrite": { "replace": { "prefix": "/a", "with": "/z" } }, "host": { "literal": "in.example:81" },
                "requestHeaders": { "set": { "X-One": "a b", "X-Empty": "" }, "remove": ["Cookie"] },
                "responseHeaders": { "remove": ["Server"] },
                "timeouts": { "requestBodyIdle": "1ms", "connect": "2ms", "responseHeader": "3ms",
                    "responseBodyIdle": "4ms", "tunnelIdle": "5ms", "tunnelHalfClosed": "7ms", "queue": "6ms" },
                "limits": { "body": 0, "requestBodyRate": 0, "interimResponses": 1, "chunkExtensionBytes": 2,
                    "trailerBytes": 3 },
                "buffering": { "request": "1MiB" }
                """
        ).parse()
        var expected = RouteSpec(name: "a.b-c_1", action: .split([SplitEntry(upstream: "core", weight: 0)]))
        expected.match.hosts = [.exact("example.org"), .suffix(".example.org"), .exact("[::1]")]
        expected.match.paths = [.prefix("/a"), .exact("/b"), .prefix("/c/")]
        expected.match.methods = ["GET", "PURGE"]
        expected.match.headers = [HeaderMatch(name: "x-beta", value: "1"), HeaderMatch(name: "x-any", value: nil)]
        expected.match.listeners = ["public"]
        expected.match.ignoreCase = true
        expected.match.normalise = true
        expected.sticky = .cookie("Session")
        expected.failover = false
        expected.reserve = ["core"]
        var override = OverrideSpec(header: "x-pick")
        override.trustedOnly = true
        override.trusted = [try #require(AddressBlock(parsing: "127.0.0.1"))]
        expected.override = override
        expected.upgrade = ["websocket"]
        expected.pathRewrite = .replace(prefix: "/a", with: "/z")
        expected.hostRewrite = .literal("in.example:81")
        expected.requestHeaders.set = [
            HeaderSetting(name: "X-One", value: "a b"), HeaderSetting(name: "X-Empty", value: ""),
        ]
        expected.requestHeaders.remove = ["cookie"]
        expected.responseHeaders.remove = ["server"]
        expected.timeouts.requestBodyIdle = 1
        expected.timeouts.connect = 2
        expected.timeouts.responseHeader = 3
        expected.timeouts.responseBodyIdle = 4
        expected.timeouts.tunnelIdle = 5
        expected.timeouts.tunnelHalfClosed = 7
        expected.timeouts.queue = 6
        expected.limits.body = 0
        expected.limits.requestBodyRate = 0
        expected.buffering.request = 1_048_576
        expected.limits.interimResponses = 1
        expected.limits.chunkExtensionBytes = 2
        expected.limits.trailerBytes = 3
        #expect(configuration.table.routes == [expected])
    }

    @Test("Fields to set that fill the room there is for them, and not a byte more")
    func largestSet() throws {
        func document(_ last: Int) -> Document {
            let lengths = [8_187, 8_187, 8_187, last]
            let lines = lengths.enumerated().map { "\"\($0)\": \"\(String(repeating: "x", count: $1))\"" }
            return Document(
                route:
                    "\"split\": { \"core\": 1 }, \"responseHeaders\": { \"set\": { \(lines.joined(separator: ",")) } }")
        }
        #expect(try document(8_187).parse().table.routes.first?.responseHeaders.setBytes == HeaderEdits.largestSet)
        let problems = document(8_188).problems()
        #expect(problems.map(\.path) == ["$.routes[0].responseHeaders.set"])
        #expect(problems.first?.message.contains("32769 bytes together; at most 32768 fit") == true)
    }

    @Test("A redirect")
    func redirect() throws {
        let route = """
            "redirect": { "status": 301, "scheme": "https", "host": "new.example:8443", "path": "/x" },
            "limits": { "body": 1 }
            """
        let configuration = try Document(route: route).parse()
        var redirect = RedirectSpec()
        redirect.status = 301
        redirect.scheme = "https"
        redirect.host = "new.example:8443"
        redirect.path = "/x"
        #expect(configuration.table.routes.first?.action == .redirect(redirect))
    }

    @Test("An answer of the balancer's own")
    func respond() throws {
        #expect(try Document(route: #""respond": {}"#).parse().table.routes.first?.action == .respond(status: 404))
        let gone = try Document(route: #""respond": { "status": 410 }, "limits": { "body": 1 }"#).parse()
        #expect(gone.table.routes.first?.action == .respond(status: 410))
    }

    @Test("The defaults of what bounds slow and looping peers")
    func defaults() throws {
        let table = try Document().parse().table
        #expect(table.timeouts.linger == 30_000)
        #expect(table.timeouts.tunnelHalfClosed == 30_000)
        #expect(table.limits.requestBodyRate == 250)
        #expect(table.limits.buffered == 268_435_456)
        #expect(table.limits.interimResponses == 100)
        #expect(table.buffering.request == 0)
        #expect(table.forwarding.underscores == .drop)
        #expect(table.forwarding.maxPasses == 8)
    }

    @Test("A route's own buffering stands over that of the top level")
    func buffering() throws {
        let table = try Document(
            top: #""buffering": { "request": "64KiB" },"#,
            routes: """
                [{ "match": { "path": "/a" }, "split": { "core": 1 } },
                 { "match": { "path": "/b" }, "split": { "core": 1 }, "buffering": { "request": 0 } }]
                """
        ).parse().table
        #expect(table.routes.map(\.buffering.request) == [65_536, 0])
    }

    @Test(
        "What must not be public is matched in every spelling, unless the file says otherwise",
        arguments: [
            (#""match": { "path": "/m" }, "respond": {}"#, true),
            (#""match": { "path": "/m" }, "respond": { "status": 403 }"#, true),
            (#""match": { "path": "/m", "normalise": false }, "respond": {}"#, false),
            (#""match": { "path": "/m" }, "respond": { "status": 503 }"#, false),
            (#""match": { "path": "/m" }, "split": { "core": 1 }"#, false),
            (#""match": { "path": "/m" }, "redirect": { "path": "/" }"#, false),
        ])
    func normalise(route: String, expected: Bool) throws {
        let match = try #require(try Document(route: route).parse().table.routes.first).match
        #expect(match.normalise == expected)
        #expect(!match.ignoreCase)
    }

    @Test(
        "What a client may stick by",
        arguments: [
            (#"{ "by": "client-address" }"#, .clientAddress),
            (#"{ "by": "header", "name": "X-User" }"#, .header("x-user")),
            (#"{ "by": "cookie", "name": "Sid" }"#, .cookie("Sid")),
        ] as [(String, HashKey)])
    func sticky(text: String, expected: HashKey) throws {
        let configuration = try Document(route: "\"split\": { \"core\": 1 }, \"sticky\": \(text)").parse()
        #expect(configuration.table.routes.first?.sticky == expected)
    }

    @Test("Short forms of a route")
    func shortForms() throws {
        let configuration = try Document(
            route: """
                "match": { "host": "a.example", "path": { "exact": "/a" }, "method": "GET" }, "split": { "core": 1 },
                "override": {}, "upgrade": [], "rewrite": { "strip": "/a" }, "host": "endpoint"
                """
        ).parse()
        let route = try #require(configuration.table.routes.first)
        #expect(route.match.hosts == [.exact("a.example")])
        #expect(route.match.paths == [.exact("/a")])
        #expect(route.match.methods == ["GET"])
        #expect(route.override == OverrideSpec(header: "x-balancer-upstream"))
        #expect(route.upgrade.isEmpty)
        #expect(route.pathRewrite == .strip("/a"))
        #expect(route.hostRewrite == .endpoint)
    }

    @Test(
        "Ways to balance",
        arguments: [
            (#""round-robin""#, .roundRobin), (#""least-outstanding""#, .leastOutstanding),
            (#"{ "hash": { "by": "client-address" } }"#, .consistentHash(.clientAddress)),
        ] as [(String, Balance)])
    func balance(text: String, expected: Balance) throws {
        let configuration = try Document(core: "\"endpoints\": [\"127.0.0.1:1\"], \"balance\": \(text)").parse()
        #expect(configuration.table.upstreams.first?.balance == expected)
    }

    @Test(
        "Ways to say which status a probe expects",
        arguments: [
            ("200", [200...200]), (#""204""#, [204...204]), (#""2xx""#, [200...299]), (#""200-399""#, [200...399]),
            (#"[200, "3xx"]"#, [200...200, 300...399]),
        ] as [(String, [ClosedRange<UInt16>])])
    func expectedStatus(text: String, expected: [ClosedRange<UInt16>]) throws {
        let health = "\"health\": { \"expect\": { \"status\": \(text), \"body\": \"ok\" } }"
        let configuration = try Document(core: "\"endpoints\": [\"127.0.0.1:1\"], \(health)").parse()
        #expect(configuration.table.upstreams.first?.health?.expectedStatus == expected)
        #expect(configuration.table.upstreams.first?.health?.expectedBody == "ok")
    }

    @Test("A shorter interval shortens the default timeout, a longer ejection lengthens the default maximum")
    func dependentDefaults() throws {
        let configuration = try Document(
            core: """
                "endpoints": ["127.0.0.1:1"], "health": { "interval": "300ms" }, "passive": { "baseEjection": "10m" }
                """
        ).parse()
        #expect(configuration.table.upstreams.first?.health?.timeout == 300)
        #expect(configuration.table.upstreams.first?.passive.maxEjection == 600_000)
    }

    @Test("Upstreams and split members keep the order of the file")
    func order() throws {
        let names = (0..<20).map { "u\(($0 * 7) % 20)" }
        let upstreams = names.enumerated().map { "\"\($1)\": { \"endpoints\": [\"127.0.0.1:\($0 + 1)\"] }" }
        let split = names.map { "\"\($0)\": 1" }
        let configuration = try Document(
            upstreams: "{ \(upstreams.joined(separator: ",")) }",
            route: "\"split\": { \(split.joined(separator: ",")) }"
        ).parse()
        #expect(configuration.table.upstreams.map(\.name) == names)
        #expect(
            configuration.table.routes.first?.action == .split(names.map { SplitEntry(upstream: $0, weight: 1) }))
    }

    @Test("Host names stay names, beside the addresses")
    func hostNames() throws {
        let configuration = try Document(core: #""endpoints": ["Core:3300", "127.0.0.1:3300", "nowhere:3301"]"#).parse()
        let upstream = try #require(configuration.table.upstreams.first)
        #expect(upstream.endpoints == [try address("127.0.0.1:3300")])
        #expect(
            upstream.names == [
                EndpointName(host: "Core", port: 3300, position: 0),
                EndpointName(host: "nowhere", port: 3301, position: 2),
            ])
    }

    @Test("Several listeners may ask for any free port")
    func anyPort() throws {
        let configuration = try Document(
            top: #""admin": { "address": "127.0.0.1:0" },"#,
            listeners: #"[{ "name": "a", "address": "127.0.0.1:0" }, { "name": "b", "address": "127.0.0.1:0" }]"#
        ).parse()
        #expect(configuration.listeners.map(\.name) == ["a", "b"])
    }

    @Test("1,000 routes are read")
    func manyRoutes() throws {
        let routes = (0..<1_000).map { "{ \"match\": { \"path\": \"/r\($0)\" }, \"split\": { \"core\": 1 } }" }
        let configuration = try Document(routes: "[\(routes.joined(separator: ","))]").parse()
        #expect(configuration.table.routes.map(\.name) == (1...1_000).map { "route-\($0)" })
    }
}
