@testable import Control
import RoutesFile
import Synchronization
import Testing
import Traffic

/// What is answered of a limit, and what the journal says when a key is forgiven.
@Suite("Answers about limits") struct LimitAnswerTests {
    private static func bench(_ key: RateKey, dryRun: Bool = false) async throws -> (bench: Bench, limit: RateLimit) {
        let bench = Bench()
        var configuration = Sample.configuration()
        var spec = RateLimitSpec(name: "each", key: key, rate: RateSpec(interval: 1_500_000_000, burst: 2))
        spec.dryRun = dryRun
        configuration.table.routes[0].rateLimits = [spec]
        _ = try await bench.load(configuration)
        let route = try #require(await bench.publisher.current.table.routes.first)
        return (bench, try #require(route.rateLimits.first))
    }

    private static func answer(_ bench: Bench, key: String?) async throws -> LimitBody {
        try LimitQuestion(route: "api", rule: "each", key: key).answer(
            await bench.publisher.current.table, now: bench.time.clock.monotonic())
    }

    private static func body(left: UInt64, wait: UInt64, reset: UInt64, dryRun: Bool = false) -> LimitBody {
        LimitBody(
            route: "api", rule: "each", burst: 2, left: left, waitMilliseconds: wait, resetMilliseconds: reset,
            dryRun: dryRun)
    }

    @Test("What is left, and until when, as requests come", arguments: [false, true])
    func left(dryRun: Bool) async throws {
        let (bench, limit) = try await Self.bench(.all, dryRun: dryRun)
        let expected = [(2, 0, 0), (1, 0, 1_500), (0, 1_500, 3_000)] as [(UInt64, UInt64, UInt64)]
        for (left, wait, reset) in expected {
            #expect(
                try await Self.answer(bench, key: nil)
                    == Self.body(left: left, wait: wait, reset: reset, dryRun: dryRun))
            _ = limit.table.take(limit.hashOfAll, limit.rate, now: bench.time.clock.monotonic() * 1_000_000)
        }
        bench.time.advance(1)
        #expect(
            try await Self.answer(bench, key: nil) == Self.body(left: 0, wait: 1_499, reset: 2_999, dryRun: dryRun))
    }

    @Test("A key that is forgiven has all again, and the journal says whose it was, unless it may be a secret")
    func forgiven() async throws {
        for (key, text, words) in [
            (RateKey.clientAddress, "192.0.2.1", "192.0.2.1"), (.all, nil, "all requests"),
            (.header("x-key"), "Secret", "one header"), (.cookie("key"), "Secret", "one cookie"),
            (.user, "Ann", "one user"),
        ] as [(RateKey, String?, String)] {
            let (bench, limit) = try await Self.bench(key)
            let question = try LimitQuestion(route: "api", rule: "each", key: text)
            let hash = try question.find(in: await bench.publisher.current.table).hash
            if let text, key != .clientAddress {
                #expect(hash == limit.hash(Array(text.utf8).span), "as the workers count")
            }
            _ = limit.table.take(hash, limit.rate, now: bench.time.clock.monotonic() * 1_000_000)
            #expect(try await Self.answer(bench, key: text).left == 1)
            let body = try await bench.publisher.forgive(question, origin: ChangeOrigin(.api, who: "ann"))
            #expect(body == Self.body(left: 2, wait: 0, reset: 0))
            let entry = try #require(await bench.publisher.entries.last)
            #expect(entry.what == .limit && entry.subject == "api" && entry.who == "ann" && entry.origin == .api)
            #expect(entry.detail == "limit each: \(words) forgiven" && entry.reason.isEmpty)
        }
    }

    @Test("What is wrong with a question") func wrong() async throws {
        func refusal(_ route: String?, _ rule: String?, _ key: String?, _ bench: Bench) async -> ChangeRefused? {
            let table = await bench.publisher.current.table
            do throws(ChangeRefused) {
                _ = try LimitQuestion(route: route, rule: rule, key: key).find(in: table)
                return nil
            } catch {
                return error
            }
        }
        let (bench, _) = try await Self.bench(.clientAddress)
        let route = ControlProblem(path: "?route", message: "is missing")
        let rule = ControlProblem(path: "?rule", message: "is missing")
        #expect(await refusal(nil, nil, nil, bench) == .invalid([route, rule]))
        #expect(await refusal("api", nil, nil, bench) == .invalid([rule]))
        #expect(await refusal("x", "each", nil, bench) == .notFound("no route \"x\""))
        #expect(await refusal("api", "x", nil, bench) == .notFound("route \"api\" has no limit \"x\""))
        for key in [nil, ""] as [String?] {
            #expect(
                await refusal("api", "each", key, bench)
                    == .invalid([ControlProblem(path: "?key", message: "is missing: the limit counts by address")]))
        }
        #expect(
            await refusal("api", "each", "x", bench)
                == .invalid([ControlProblem(path: "?key", message: "\"x\" is not an IP address")]))
        #expect(await refusal("api", "each", "192.0.2.1", bench) == nil)
    }
}
