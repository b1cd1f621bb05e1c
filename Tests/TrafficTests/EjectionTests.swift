import Testing
import Traffic

@Suite("Passive removal")
struct EjectionTests {
    private func upstream(_ endpoints: Int = 2, _ change: @escaping (inout PassiveSpec) -> Void = { _ in }) -> Upstream
    {
        Tables.one(endpoints: endpoints) { change(&$0.passive) }
    }

    @Test("A streak of failures ejects at once, a shorter one never", arguments: [1, 2, 3, 7] as [UInt32])
    func streak(limit: UInt32) {
        let upstream = self.upstream { $0.consecutiveFailures = limit }
        for turn in 1..<limit {
            #expect(!upstream.report(.failure, 0, now: UInt64(turn)))
        }
        #expect(upstream.endpoints[0].isSelectable(now: 100))
        #expect(upstream.report(.failure, 0, now: 100))
        #expect(!upstream.endpoints[0].isSelectable(now: 100))
        #expect(upstream.endpoints[0].ejections == 1)
        #expect(
            upstream.endpoints[0].ejection(now: 100) == .until(30_100, reason: .consecutiveFailures(limit), count: 1))
        #expect(upstream.record.ejected == 1)
    }

    @Test(
        "A success between failures clears the streak; nothing else does",
        arguments: [Outcome.success, .overload, .clientFault, .cancelled])
    func between(outcome: Outcome) {
        let upstream = self.upstream { $0.consecutiveFailures = 3 }
        for turn in 0..<3 as Range<UInt64> {
            _ = upstream.report(outcome, 0, now: turn)
            let ejected = upstream.report(.failure, 0, now: turn)
            #expect(ejected == (turn == 2 && outcome != .success))
        }
    }

    @Test("A rate of failures ejects only from the minimum sample on")
    func rate() {
        let upstream = self.upstream {
            $0.consecutiveFailures = 1_000
            $0.failureRate = 50
            $0.minimumRequests = 20
        }
        for turn in 0..<9 as Range<UInt64> {
            #expect(!upstream.report(.success, 0, now: 1_000 + turn))
            #expect(!upstream.report(.failure, 0, now: 1_000 + turn))
        }
        #expect(!upstream.report(.success, 0, now: 1_010))
        #expect(upstream.report(.failure, 0, now: 1_010))
        #expect(
            upstream.endpoints[0].ejection(now: 1_010)
                == .until(31_010, reason: .failureRate(failures: 10, requests: 20), count: 1))
    }

    @Test("One failure short of the rate does not eject")
    func belowRate() {
        let upstream = self.upstream {
            $0.consecutiveFailures = 1_000
            $0.failureRate = 50
            $0.minimumRequests = 10
        }
        for turn in 0..<300 as Range<UInt64> {
            _ = upstream.report(.success, 0, now: 1_000 + turn)
            _ = upstream.report(.success, 0, now: 1_000 + turn)
            #expect(!upstream.report(.failure, 0, now: 1_000 + turn))
        }
    }

    @Test("What left the window no longer counts")
    func window() {
        let upstream = self.upstream {
            $0.consecutiveFailures = 1_000
            $0.failureRate = 100
            $0.minimumRequests = 5
            $0.window = 10_000
        }
        for turn in 0..<4 as Range<UInt64> { #expect(!upstream.report(.failure, 0, now: 1_000 + turn)) }
        // The four are gone: this is the first of its window.
        for turn in 0..<4 as Range<UInt64> { #expect(!upstream.report(.failure, 0, now: 12_000 + turn)) }
        #expect(upstream.report(.failure, 0, now: 12_100))
        let other = self.upstream {
            $0.consecutiveFailures = 1_000
            $0.failureRate = 60
            $0.minimumRequests = 5
            $0.window = 10_000
        }
        for turn in 0..<100 as Range<UInt64> { #expect(!other.report(.success, 0, now: 1_000 + turn)) }
        // The successes are gone, too, and excuse nothing.
        for turn in 0..<4 as Range<UInt64> { #expect(!other.report(.failure, 0, now: 12_000 + turn)) }
        #expect(other.report(.failure, 0, now: 12_100))
    }

    @Test("Switched off, it ejects nobody, and what was out comes back with the reload that says so")
    func off() {
        let registry = EndpointRegistry()
        let on = Tables.one(endpoints: 2, registry: registry)
        #expect(on.eject(0, now: 5))
        let off = Tables.one(endpoints: 2, registry: registry) { $0.passive.enabled = false }
        #expect(off.endpoints[0].isSelectable(now: 6))
        #expect(off.record.ejected == 0)
        for _ in 0..<100 { #expect(!off.report(.failure, 0, now: 6)) }
    }

    @Test(
        "Never more than the configured share is out",
        arguments: [
            (1, 50, 0), (1, 100, 0), (2, 50, 1), (2, 1, 1), (2, 0, 0), (2, 100, 2), (3, 50, 1), (4, 50, 2), (10, 33, 3),
            (10, 100, 10), (3, 200, 3),
        ] as [(Int, UInt32, Int)])
    func bound(endpoints: Int, share: UInt32, allowed: Int) {
        let upstream = self.upstream(endpoints) { $0.maxEjectedShare = share }
        let ejected = (0..<endpoints).count { upstream.eject($0, now: 10) }
        #expect(ejected == allowed)
        #expect(upstream.record.ejected == allowed)
        #expect(upstream.endpoints.count { !$0.isSelectable(now: 10) } == allowed)
    }

    @Test("A reload that leaves fewer endpoints lets the surplus back in")
    func surplus() {
        let registry = EndpointRegistry()
        let before = Tables.one(endpoints: 6, registry: registry)
        for index in 0..<3 { #expect(before.eject(index, now: 10)) }
        let after = Tables.one(endpoints: 3, registry: registry)
        #expect(after.record.ejected == 1)
        #expect(after.endpoints.count { !$0.isSelectable(now: 11) } == 1)
        let again = Tables.one(endpoints: 6, registry: registry)
        #expect(again.record.ejected == 1, "ejections of endpoints that stay survive")
    }

    @Test("An endpoint of an old table is not ejected at the cost of the new one's bound")
    func oldTable() {
        let registry = EndpointRegistry()
        let old = Tables.one(endpoints: 4, registry: registry)
        let new = Tables.one(endpoints: 2, registry: registry)
        #expect(!old.eject(3, now: 10))
        #expect(new.eject(0, now: 10))
    }

    @Test("When the ejection ends, one trial goes out, and only one")
    func oneTrial() {
        let upstream = self.upstream()
        var random = SplitMix64(seed: 1)
        #expect(upstream.eject(0, now: 0))
        for _ in 0..<50 { #expect(upstream.choose(&random, now: 29_999) == .endpoint(index: 1, trial: false)) }
        #expect(upstream.endpoints[0].isSelectable(now: 30_000))
        #expect(upstream.choose(&random, now: 30_000) == .endpoint(index: 0, trial: true))
        #expect(!upstream.endpoints[0].isSelectable(now: 30_000))
        #expect(upstream.endpoints[0].ejection(now: 30_001) == .trialRunning(reason: .consecutiveFailures(5), count: 1))
        for _ in 0..<50 { #expect(upstream.choose(&random, now: 30_001) == .endpoint(index: 1, trial: false)) }
    }

    @Test("A retry is no trial while another endpoint can take it")
    func retryIsNoTrial() {
        let upstream = self.upstream(3)
        var random = SplitMix64(seed: 1)
        #expect(upstream.eject(0, now: 0))
        #expect(upstream.choose(&random, tried: 0b010, now: 30_000) == .endpoint(index: 2, trial: false))
        #expect(upstream.choose(&random, tried: 0b110, now: 30_000) == .endpoint(index: 0, trial: true))
    }

    @Test("Its success returns the endpoint, slowly; its failure ejects for longer; nothing else decides")
    func verdict() {
        let upstream = self.upstream()
        var random = SplitMix64(seed: 1)
        let endpoint = upstream.endpoints[0]
        #expect(upstream.eject(0, now: 0))
        for (attempt, outcome) in [Outcome.cancelled, .overload, .clientFault].enumerated() {
            #expect(upstream.choose(&random, now: 30_000 + UInt64(attempt)) == .endpoint(index: 0, trial: true))
            #expect(!upstream.report(outcome, 0, trial: true, now: 30_000))
            #expect(endpoint.ejection(now: 30_000) == .trialDue(reason: .consecutiveFailures(5), count: 1))
        }
        #expect(upstream.choose(&random, now: 31_000) == .endpoint(index: 0, trial: true))
        #expect(upstream.report(.failure, 0, trial: true, now: 31_000))
        #expect(endpoint.ejection(now: 31_000) == .until(91_000, reason: .failedTrial, count: 2))
        #expect(upstream.record.ejected == 1)
        #expect(upstream.choose(&random, now: 91_000) == .endpoint(index: 0, trial: true))
        #expect(!upstream.report(.success, 0, trial: true, now: 91_500))
        #expect(endpoint.ejection(now: 91_500) == .none)
        #expect(endpoint.isSelectable(now: 91_500))
        #expect(upstream.record.ejected == 0)
        #expect(endpoint.share(now: 91_500, slowStart: 1_000) == 1)
        #expect(endpoint.ejections == 2)
    }

    @Test("Successes of requests from before the ejection do not end it, failures do not lengthen it")
    func stragglers() {
        let upstream = self.upstream()
        #expect(upstream.eject(0, now: 0))
        let state = upstream.endpoints[0].ejection(now: 1)
        for _ in 0..<20 {
            #expect(!upstream.report(.success, 0, now: 1))
            #expect(!upstream.report(.failure, 0, now: 1))
        }
        #expect(upstream.endpoints[0].ejection(now: 1) == state)
    }

    @Test("Ejections grow by the base up to the maximum, and good times shrink them again")
    func growth() {
        let upstream = self.upstream {
            $0.baseEjection = 10_000
            $0.maxEjection = 35_000
        }
        let endpoint = upstream.endpoints[0]
        var random = SplitMix64(seed: 1)
        #expect(upstream.eject(0, now: 0))
        var now: UInt64 = 0
        for (count, length) in [(1, 10_000), (2, 20_000), (3, 30_000), (4, 35_000), (5, 35_000)] as [(UInt32, UInt64)] {
            guard case .until(let until, _, let counted) = endpoint.ejection(now: now) else {
                Issue.record("not ejected at \(now)")
                return
            }
            #expect(until - now == length)
            #expect(counted == count)
            now = until
            #expect(upstream.choose(&random, now: now) == .endpoint(index: 0, trial: true))
            #expect(upstream.report(count == 5 ? .success : .failure, 0, trial: true, now: now) == (count != 5))
        }
        // Three times the maximum in service takes three off the five.
        now += 3 * 35_000
        #expect(upstream.eject(0, now: now))
        #expect(endpoint.ejection(now: now) == .until(now + 30_000, reason: .consecutiveFailures(5), count: 3))
    }

    @Test("A trial that never ends makes room for another after a minute; only a verdict counts")
    func lostTrial() {
        let upstream = self.upstream()
        var random = SplitMix64(seed: 1)
        #expect(upstream.eject(0, now: 0))
        #expect(upstream.choose(&random, now: 30_000) == .endpoint(index: 0, trial: true))
        #expect(upstream.choose(&random, now: 89_999) == .endpoint(index: 1, trial: false))
        #expect(upstream.choose(&random, now: 90_000) == .endpoint(index: 0, trial: true))
        #expect(!upstream.report(.success, 0, trial: true, now: 90_001))
        #expect(upstream.endpoints[0].isSelectable(now: 90_001))
        // The lost one turns up: an ordinary failure by now.
        #expect(!upstream.report(.failure, 0, trial: true, now: 90_002))
        #expect(upstream.endpoints[0].isSelectable(now: 90_002))
    }

    @Test("A passing probe does not end an ejection")
    func probes() {
        let upstream = Tables.one(endpoints: 2) { $0.health = ProbeSpec() }
        for endpoint in upstream.endpoints { endpoint.setOperational(.up, now: 1) }
        #expect(upstream.eject(0, now: 10))
        upstream.endpoints[0].setOperational(.down, now: 11)
        upstream.endpoints[0].setOperational(.up, now: 12)
        #expect(!upstream.endpoints[0].isSelectable(now: 13))
    }
}
