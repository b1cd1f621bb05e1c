import Documents
import Testing

@testable import GatewayService

/// Which answers are given again: seen over HTTP, by what the database is asked.
@Suite("Keeping answers")
struct KeepingTests {
    /// A target of each route that has an answer in the small sample, by parameters found in the sample itself.
    private static func targets(_ server: RunningServer) async throws -> [Route: String] {
        func all(_ path: String, _ key: String) async throws -> [String] {
            try await server.send("GET", path).body.split(separator: "\"\(key)\":").dropFirst().map { rest in
                String(rest.prefix { $0 != "," && $0 != "}" && $0 != "]" }).replacing("\"", with: "")
            }
        }
        func first(_ path: String, _ key: String) async throws -> String {
            try #require(try await all(path, key).first)
        }
        // A candidate of whom every collection knows something.
        let validators = Set(try await all("/validators", "address"))
        var known: [String] = []
        for stash in try await all("/candidates", "stash") where validators.contains(stash) {
            var isWhole = true
            for path in ["nominatorstake", "location/validator", "validators/activeeras", "score"] {
                let answer = try await server.send("GET", "/\(path)/\(stash)")
                isWhole = isWhole && answer.status == "HTTP/1.1 200 OK" && answer.body != "0"
            }
            if isWhole { known.append(stash) }
        }
        let stash = try #require(known.first)
        let nominator = try await first("/nominators", "stash")
        let values = [
            "era": try await first("/nominatorstake/\(stash)", "era"), "limit": "2", "last": "2",
            "session": try await first("/scoremetadata", "session"),
        ]
        var targets: [Route: String] = [:]
        for route in Route.allCases {
            let segments = route.template.split(separator: "/").map { segment -> String in
                guard segment.hasPrefix(":") else { return String(segment) }
                if let value = values[String(segment.dropFirst())] { return value }
                switch route {
                case .nominator, .nominationsOfAddress, .nominatorRewards, .nominatorRewardsTotal: return nominator
                default: return stash
                }
            }
            targets[route] = "/" + segments.joined(separator: "/")
        }
        return targets
    }

    private func withServer(_ body: @escaping @Sendable (RunningServer, SlowStore) async throws -> Void) async throws {
        let inner = try EmbeddedStore(reading: .memory)
        try inner.insert(SampleData(shape: .small).documents())
        let store = SlowStore(inner, isOpen: true)
        try await RunningServer.run(store: store) { server async throws in try await body(server, store) }
    }

    /// Every route twice. Only what the contract names is made again.
    @Test func everyRouteButThoseOfTheContractIsKept() async throws {
        try await withServer { server, store async throws in
            let targets = try await Self.targets(server)
            var made: Set<Route> = []
            for (route, target) in targets {
                let first = try await server.send("GET", target + "?x")
                let before = store.count.calls
                let second = try await server.send("GET", target + "?x")
                #expect(second.body == first.body)
                #expect(
                    first.status == "HTTP/1.1 \(route == .nominationsOfAddress ? "204 No Content" : "200 OK")",
                    "\(target)")
                if store.count.calls > before { made.insert(route) }
            }
            // `/stats/…` are constants: the database is never asked.
            #expect(made == [.release, .nominationsOfAddress])
            let metrics = try await server.send("GET", "/metrics").body
            let others: [Route] = [.release, .nominationsOfAddress, .totalRequests, .endpointCounts]
            for route in Route.allCases {
                let isHit = metrics.contains("gateway_cache_hits_total{route=\"\(route.template)\"}")
                #expect(isHit == !others.contains(route), "\(route)")
            }
        }
    }

    @Test(arguments: ["/candidate/nobody", "/locationstats/424242", "/validators/activeeras/nobody", "/score/x/1"])
    func absencesFailuresAndZeroAreNotKept(target: String) async throws {
        try await withServer { server, store async throws in
            for _ in 0..<2 {
                let before = store.count.calls
                let answer = try await server.send("GET", target)
                #expect(!answer.status.contains("200") || answer.body == "0")
                #expect(store.count.calls > before)
            }
        }
    }

    /// HEAD fills the entry for GET and takes it from there; the query, the case and the escapes split it; no other method
    /// comes near it.
    @Test func whatSharesAnEntry() async throws {
        try await withServer { server, store async throws in
            func asks(_ method: String, _ target: String) async throws -> Bool {
                let before = store.count.calls
                _ = try await server.send(method, target)
                return store.count.calls > before
            }
            #expect(try await asks("HEAD", "/blockindex"))
            #expect(try await !asks("GET", "/blockindex"))
            #expect(try await !asks("HEAD", "/blockindex"))
            for other in ["/blockindex?", "/blockindex?a=1&b=2", "/blockindex?b=2&a=1", "/BlockIndex"] {
                #expect(try await asks("GET", other))
                #expect(try await !asks("GET", other))
            }
            let stash = try #require(try await Self.targets(server)[.candidate])
            let escaped = try #require(
                stash.last.map { String(stash.dropLast()) + "%" + String($0.asciiValue ?? 0, radix: 16) })
            #expect(try await asks("GET", stash))
            #expect(try await asks("GET", escaped))
            #expect(try await !asks("GET", escaped))
            for method in ["POST", "OPTIONS", "DELETE"] {
                #expect(try await !asks(method, "/proxytxs"))
            }
            #expect(try await asks("GET", "/proxytxs"))
        }
    }

    /// Answers that are as good as the one before, made by whoever adds a number to a target: what is kept has its bound.
    @Test func theQueryFillsNoMemory() async throws {
        let inner = try EmbeddedStore(reading: .memory)
        try inner.insert(SampleData(shape: .small).documents())
        let store = SlowStore(inner, isOpen: true)
        try await RunningServer.run({ $0.cacheBytes = 100_000 }, store: store) { server async throws in
            func asks(_ number: Int) async throws -> Bool {
                let before = store.count.calls
                _ = try await server.send("GET", "/blockindex?" + String(repeating: "a", count: 4000) + "\(number)")
                return store.count.calls > before
            }
            for number in 0..<40 { #expect(try await asks(number)) }
            // Some 4.4 kB each: the last twenty-three are kept.
            #expect(try await !asks(39))
            #expect(try await !asks(25))
            #expect(try await asks(10))
        }
    }
}
