import TestSupport
import Testing

/// What weights mean (docs/decisions/0004): exact shares, sticky cohorts, fail-over, overrides.
@Suite("Weights", .serialized) struct WeightScenarios {
    /// A balancer with core at 90 and gateway at 10, and what stands behind it.
    private final class Pair {
        let core: ScriptedUpstream
        let gateway: ScriptedUpstream
        let balancer: BalancerProcess

        init(_ routeKeys: String = "", top: String = "", workers: Int = 1) throws {
            self.core = try .plain("core")
            self.gateway = try .plain("gateway")
            self.balancer = try BalancerProcess(
                Routes.configuration(
                    upstreams: [("core", [self.core.port]), ("gateway", [self.gateway.port])],
                    routes: """
                        {"name": "api", "match": {"path": "/"}, "split": {"core": 90, "gateway": 10}\(routeKeys)}
                        """, top: top), workers: workers)
        }
    }

    @Test("100,000 requests while weights change 50 times: no failure, and each step's share is exact")
    func exactShares() throws {
        let pair = try Pair(workers: 2)
        let balancer = pair.balancer
        var random = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0...UInt64.max, using: &random)
        var generator = SplitMix(seed)
        var before = (core: 0, gateway: 0)
        let load = LoadClient(port: balancer.port)
        for step in 0..<50 {
            // Sums that divide the 2,000 requests of a step: shares are then whole numbers.
            let sum = [2, 4, 5, 10, 20, 50, 100][Int(generator.next() % 7)]
            let weight = Int(generator.next() % UInt64(sum + 1))
            let result = try balancer.command("weight", "api", "core=\(sum - weight)", "gateway=\(weight)")
            #expect(result.status == 0, "\(result.errors)")
            load.start(connections: 8, limit: (step + 1) * 2_000)
            try load.finish(seconds: 120)
            let answers = load.answers
            let now = (core: answers["core"] ?? 0, gateway: answers["gateway"] ?? 0)
            let expected = 2_000 / sum * weight
            #expect(
                now.gateway - before.gateway == expected && now.core - before.core == 2_000 - expected,
                "step \(step), weights \(sum - weight) to \(weight), seed \(seed): \(now.core - before.core), \(now.gateway - before.gateway)"
            )
            before = now
        }
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
        #expect(load.total == 100_000)
    }

    @Test("Weights move under uninterrupted load without a failure, over two workers")
    func underLoad() throws {
        let first = try ScriptedUpstream.plain("core")
        let second = try ScriptedUpstream.plain("gateway")
        let balancer = try BalancerProcess(
            Routes.configuration(upstreams: [("core", [first.port]), ("gateway", [second.port])]), workers: 2)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 8)
        for step in 0..<50 {
            #expect(try balancer.setWeights("{\"core\": \(100 - step * 2), \"gateway\": \(step * 2)}").status == 200)
            try load.awaitAnswers(50)
        }
        #expect(try balancer.setWeights("{\"core\": 0, \"gateway\": 1}").status == 200)
        // Requests routed before the change may still be under way.
        try load.awaitRound()
        let core = load.answers["core"]
        try load.awaitAnswers(2_000)
        #expect(load.answers["core"] == core, "weight 0 is no share at all")
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
    }

    @Test(
        "Sticky clients move only to the side that grows, and land alike on two replicas",
        arguments: [
            "{\"by\": \"header\", \"name\": \"X-User\"}", "{\"by\": \"cookie\", \"name\": \"session\"}",
            "{\"by\": \"client-address\"}",
        ])
    func sticky(key: String) throws {
        let onePair = try Pair(", \"sticky\": \(key)", top: "\"trustedProxies\": [\"127.0.0.1\"]")
        let one = onePair.balancer
        let otherPair = try Pair(", \"sticky\": \(key)", top: "\"trustedProxies\": [\"127.0.0.1\"]")
        let other = otherPair.balancer
        func sides(_ balancer: BalancerProcess) throws -> [String] {
            let connection = try balancer.connect()
            var reader = MessageReader(connection)
            return try (0..<200).map { user in
                connection.send(
                    "GET / HTTP/1.1\r\nHost: h\r\nX-User: u\(user)\r\nCookie: a=b; session=s\(user); c=d\r\n"
                        + "X-Forwarded-For: 198.51.100.\(user)\r\n\r\n")
                return try reader.message().text
            }
        }
        var last: [String]?
        for gateway in [0, 5, 10, 25, 50, 90, 100] {
            let weights = "{\"core\": \(100 - gateway), \"gateway\": \(gateway)}"
            #expect(try one.setWeights(weights).status == 200)
            #expect(try other.setWeights(weights).status == 200)
            let now = try sides(one)
            #expect(try sides(other) == now, "replicas differ at \(gateway)")
            #expect(try sides(one) == now, "a client moved without a change")
            if let last {
                for user in now.indices where last[user] == "gateway" {
                    #expect(now[user] == "gateway", "client \(user) moved back at \(gateway)")
                }
            }
            let share = now.filter { $0 == "gateway" }.count
            #expect(abs(share - gateway * 2) <= 30, "\(share) of 200 at weight \(gateway)")
            last = now
        }
    }

    @Test("A side without an endpoint loses its share, and gets it back; without fail-over the answer is 503")
    func failover() throws {
        for failover in [true, false] {
            let core = try ScriptedUpstream.plain("core")
            let dead = try ScriptedUpstream.plain("gateway")
            let balancer = try BalancerProcess(
                Routes.configuration(
                    upstreams: [("core", [core.port]), ("gateway", [dead.port])],
                    routes: """
                        {"name": "api", "match": {"path": "/"}, "split": {"core": 1, "gateway": 1}, "failover": \(failover)}
                        """))
            #expect(try balancer.command("endpoint", "127.0.0.1:\(dead.port)", "maintenance").status == 0)
            let answers = try (0..<20).map { _ in try balancer.request() }
            #expect(answers.filter { $0.status == 200 }.count == (failover ? 20 : 10))
            for answer in answers where answer.status != 200 {
                #expect(answer.status == 503 && answer.field("retry-after") != nil)
            }
            #expect(try balancer.command("endpoint", "127.0.0.1:\(dead.port)", "ready").status == 0)
            let after = try (0..<20).map { _ in try balancer.request().text }
            #expect(after.filter { $0 == "gateway" }.count == 10)
        }
    }

    @Test("All sides at weight 0, or all gone: 503 with the reason")
    func nobody() throws {
        let pair = try Pair()
        let balancer = pair.balancer
        #expect(try balancer.setWeights("{\"core\": 0, \"gateway\": 0}").status == 409)
        #expect(try balancer.request().status == 200)
        let refused = try balancer.command("weight", "api", "core=0", "gateway=0")
        #expect(
            refused.status == 1 && refused.errors.contains("$.weights: leaves no upstream of route \"api\" a weight"))
        #expect(try balancer.command("weight", "api", "core=0", "gateway=0", "--force").status == 0)
        let response = try balancer.request()
        #expect(response.status == 503 && response.field("x-balancer-reason") != nil)
        #expect(response.field("retry-after") != nil)
    }

    @Test("An override picks the side only where the route allows it, and only from those it trusts")
    func overrides() throws {
        let fields = "X-Balancer-Upstream: gateway\r\n"
        let withoutPair = try Pair()
        let without = withoutPair.balancer
        #expect(try without.setWeights("{\"core\": 1, \"gateway\": 0}").status == 200)
        #expect(try without.request(fields: fields).text == "core")
        let allowedPair = try Pair(", \"override\": {}")
        let allowed = allowedPair.balancer
        #expect(try allowed.setWeights("{\"core\": 1, \"gateway\": 0}").status == 200)
        for _ in 0..<5 { #expect(try allowed.request(fields: fields).text == "gateway") }
        for name in ["nobody", "gateway2", "gatewa", "Gateway"] {
            #expect(try allowed.request(fields: "X-Balancer-Upstream: \(name)\r\n").text == "core", "\(name)")
        }
        let elsewherePair = try Pair(", \"override\": {\"from\": [\"192.0.2.0/24\"]}")
        let elsewhere = elsewherePair.balancer
        #expect(try elsewhere.setWeights("{\"core\": 1, \"gateway\": 0}").status == 200)
        #expect(try elsewhere.request(fields: fields).text == "core")
    }

    @Test("Routes: host before path before method and header, declared order last")
    func matching() throws {
        let upstream = try ScriptedUpstream.answering { request, _ in
            let name = request.field("x-route") ?? "-"
            return "HTTP/1.1 200 OK\r\nContent-Length: \(name.utf8.count)\r\n\r\n\(name)"
        }
        func route(_ name: String, _ match: String) -> String {
            "{\"name\": \"\(name)\", \"match\": \(match), \"split\": {\"core\": 1}, \"requestHeaders\": {\"set\": {\"X-Route\": \"\(name)\"}}}"
        }
        let balancer = try BalancerProcess(
            before: upstream,
            routes: [
                route("root", "{\"path\": \"/\"}"), route("a", "{\"path\": \"/a\"}"),
                route("again", "{\"path\": \"/a\"}"),
                route("exact", "{\"path\": {\"exact\": \"/a/b\"}}"),
                route("post", "{\"path\": \"/a\", \"method\": \"POST\"}"),
                route("beta", "{\"path\": \"/a\", \"headers\": {\"X-Beta\": \"1\"}}"),
                route("wild", "{\"host\": \"*.example.org\", \"path\": \"/\"}"),
                route("host", "{\"host\": \"www.example.org\", \"path\": \"/\"}"),
            ].joined(separator: ",\n"))
        func ask(_ target: String, host: String = "h", method: String = "GET", fields: String = "") throws -> String {
            let connection = try balancer.connect()
            connection.send("\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\(fields)Connection: close\r\n\r\n")
            var reader = MessageReader(connection)
            return try reader.message().text
        }
        #expect(try ask("/") == "root")
        #expect(try ask("/ab") == "root", "prefixes end on segment borders")
        #expect(try ask("/a") == "a")
        #expect(try ask("/a/x?y") == "a")
        #expect(try ask("/a/b") == "exact")
        #expect(try ask("/a", method: "POST") == "post")
        #expect(try ask("/a", fields: "X-Beta: 1\r\n") == "beta")
        #expect(try ask("/a", host: "WWW.example.org:8080") == "host")
        #expect(try ask("/a", host: "x.y.example.org") == "wild")
        #expect(try ask("/a", host: "example.org") == "a")
        let explained = try balancer.command("explain", "/a/b")
        #expect(explained.status == 0 && explained.output.contains("exact"))
    }

    @Test("Endpoints inside an upstream: round robin in turn, hash by key always alike")
    func endpoints() throws {
        let upstreams = try (0..<3).map { try ScriptedUpstream.plain("\($0)") }
        let ports = upstreams.map(\.port)
        let turns = try BalancerProcess(
            Routes.configuration(upstreams: [("core", ports)], upstreamKeys: "\"balance\": \"round-robin\""))
        var counts: [String: Int] = [:]
        for _ in 0..<30 { counts[try turns.request().text, default: 0] += 1 }
        #expect(counts == ["0": 10, "1": 10, "2": 10])
        let hashed = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", ports)],
                upstreamKeys: "\"balance\": {\"hash\": {\"by\": \"header\", \"name\": \"X-User\"}}"))
        var seen: Set<String> = []
        for user in 0..<20 {
            let first = try hashed.request(fields: "X-User: \(user)\r\n").text
            seen.insert(first)
            for _ in 0..<3 { #expect(try hashed.request(fields: "X-User: \(user)\r\n").text == first) }
        }
        #expect(seen.count == 3)
    }
}

extension BalancerProcess {
    func setWeights(_ weights: String, route: String = "api", query: String = "", fields: String = "") throws -> Message
    {
        try self.admin(
            "/api/v1/routes/\(route)/weights\(query)", method: "PUT", body: "{\"weights\": \(weights)}", fields: fields)
    }
}
