@testable import Control
import Comparison
import Migration
import Testing
import Traffic

/// What several processes have counted, summed.
@Suite("Sums of replicas") struct SampleBookTests {
    private static func sample(
        _ replica: String, _ instance: String = "1", sequence: UInt64 = 1, new: (bad: UInt64, of: UInt64) = (0, 0),
        old: (bad: UInt64, of: UInt64) = (0, 0), fingerprint: String = "p"
    ) -> PlanSample {
        var counts = StageCounts(route: "api", epoch: 3)
        counts.new.samples = new.of
        counts.new.errors = new.bad
        counts.old.samples = old.of
        counts.old.errors = old.bad
        var sample = PlanSample(replica: replica, instance: instance, fingerprint: fingerprint)
        sample.sequence = sequence
        sample.set([counts], nil)
        return sample
    }

    private static func sums(_ book: SampleBook) -> StageCounts? {
        SampleSums.counts([], book.others(than: ("me", "1"), fingerprint: "p"), epoch: 3).first
    }

    @Test("Three replicas are one with all the traffic: the worked example of the contract, to the digit")
    func asOne() throws {
        var book = SampleBook()
        for (name, new) in [("a", (bad: 8, of: 700)), ("b", (bad: 9, of: 650)), ("c", (bad: 5, of: 650))]
            as [(
                String, (bad: UInt64, of: UInt64)
            )]
        {
            book.heard(Self.sample(name, new: new, old: name == "a" ? (38, 38_000) : (0, 0)), at: 1)
        }
        let sums = try #require(Self.sums(book))
        #expect(sums.new.samples == 2_000 && sums.new.errors == 22 && sums.old.samples == 38_000)
        let evidence = Evidence.worse(
            new: Arm(bad: sums.new.errors, count: sums.new.samples),
            old: Arm(bad: sums.old.errors, count: sums.old.samples), tolerance: 0.001)
        #expect(abs(evidence.value - 12.9572) < 0.001)
    }

    @Test("A process that begins anew counts beside what was counted before it, and what is late takes nothing away")
    func incarnations() {
        var book = SampleBook()
        book.heard(Self.sample("a", "1", sequence: 5, new: (3, 100)), at: 1)
        // Late, twice, and with less.
        book.heard(Self.sample("a", "1", sequence: 4, new: (2, 90)), at: 2)
        book.heard(Self.sample("a", "1", sequence: 5, new: (3, 100)), at: 3)
        book.heard(Self.sample("a", "1", sequence: 6, new: (0, 1)), at: 4)
        #expect(Self.sums(book)?.new.samples == 100 && Self.sums(book)?.new.errors == 3)
        var forgetful = Self.sample("a", "1", sequence: 7)
        forgetful.needs = 1
        forgetful.lastNeed = 5
        forgetful.retirement = RetirementSample()
        book.heard(forgetful, at: 4)
        #expect(Self.sums(book)?.new.samples == 100 && book.lastNeed == 5 && book.needed == 1)
        #expect(book.others(than: ("me", "1"), fingerprint: "p").map { $0.retirement != nil } == [true])
        // Anew, under the same name.
        book.heard(Self.sample("a", "2", sequence: 1, new: (1, 10)), at: 5)
        #expect(Self.sums(book)?.new.samples == 110 && Self.sums(book)?.new.errors == 4)
        book.heard(Self.sample("a", "2", sequence: 2, new: (1, 40)), at: 6)
        #expect(Self.sums(book)?.new.samples == 140)
        // This process's own are at hand.
        book.heard(Self.sample("me", "1", new: (9, 9)), at: 7)
        #expect(Self.sums(book)?.new.samples == 140)
        // What an earlier process of this name has counted is not.
        book.heard(Self.sample("me", "0", new: (1, 60)), at: 7)
        #expect(Self.sums(book)?.new.samples == 200)
    }

    @Test("Another plan's samples are left out; who is silent, or never told, is named")
    func remarks() {
        var book = SampleBook()
        book.heard(Self.sample("a", new: (0, 10)), at: 1_000)
        book.heard(Self.sample("b", new: (0, 10), fingerprint: "q"), at: 1_000)
        #expect(Self.sums(book)?.new.samples == 10)
        func remarks(_ now: UInt64) -> [String] {
            book.remarks(present: ["c", "b", "a"], fingerprint: "p", began: 1_000, at: now)
        }
        #expect(remarks(2_000) == ["b has another plan: what it counts is left out"])
        let late = remarks(13_000)
        #expect(late.count == 3 && late[0].hasPrefix("a has told nothing") && late[2].hasPrefix("c has told nothing"))
        // Gone, it is missed no more, and what it counted stays.
        #expect(book.remarks(present: [], fingerprint: "p", began: 1_000, at: 13_000).isEmpty)
        #expect(Self.sums(book)?.new.samples == 10)
        #expect(book.ages(at: 4_000) == ["a": 3_000, "b": 3_000])
    }

    @Test("How long a stage was held is told by the last who led; that somebody needs the old side, when it is more")
    func lead() {
        var book = SampleBook()
        func tell(_ name: String, _ sequence: UInt64, lead: PlanSample.Lead?, needs: UInt64) {
            var sample = Self.sample(name, sequence: sequence)
            sample.lead = lead
            sample.needs = needs
            book.heard(sample, at: sequence)
        }
        tell("a", 1, lead: .init(term: 3, held: 9_000), needs: 100)
        tell("b", 1, lead: .init(term: 4, held: 2_000), needs: 5)
        #expect(book.lead == PlanSample.Lead(term: 4, held: 2_000))
        // Late, of a term that is over.
        tell("a", 2, lead: .init(term: 3, held: 60_000), needs: 100)
        #expect(book.lead?.held == 2_000 && book.needed == 0)
        tell("b", 2, lead: .init(term: 4, held: 0), needs: 6)
        #expect(book.lead?.held == 0 && book.needed == 1)
    }

    @Test("A class of differences is real when all rechecks together say so, and accepted when one replica was told so")
    func classes() throws {
        let alpha = 1.0 / 3_600
        let parts = [
            Self.part("a", rechecks: 10, confirmed: 10), Self.part("b", rechecks: 11, confirmed: 11),
        ]
        let alone = try #require(SampleSums.mirror(nil, of: "me", [parts[0]], alpha: alpha))
        #expect(alone.comparisons.real.isEmpty)
        let sums = try #require(SampleSums.mirror(nil, of: "me", parts, alpha: alpha))
        #expect(sums.comparisons.real.map(\.number) == ["d-00000001"] && sums.comparisons.real[0].confirmed == 21)
        #expect(sums.comparisons.count == 200 && sums.comparisons.standing == 21)
        #expect(sums.routes.map(\.copies.errors) == [4] && sums.routes.map(\.live.samples) == [200])
        let accepted = parts + [Self.part("c", rechecks: 9, confirmed: 9, accepted: true)]
        #expect(try #require(SampleSums.mirror(nil, of: "me", accepted, alpha: alpha)).comparisons.real.isEmpty)
    }

    private static func part(
        _ name: String, _ instance: String = "1", rechecks: UInt64, repeated: UInt64 = 0, confirmed: UInt64,
        accepted: Bool = false
    ) -> PlanSample {
        var sample = Self.sample(name, instance)
        var mirror = MirrorSums()
        mirror.routes = [.init(name: "api", live: .init(samples: 100), copies: .init(samples: 100, errors: 2))]
        mirror.comparisons.count = 100
        mirror.comparisons.standing = confirmed
        mirror.classes = [
            .init(
                number: "d-00000001", position: 1, confirmed: confirmed, rechecks: rechecks, repeated: repeated,
                isReal: false, isAccepted: accepted)
        ]
        sample.set([], mirror)
        return sample
    }

    /// What each process confirmed in this run happened and is added; what it was told by the ledger of those before it is not.
    @Test("Rechecks that a process has from the one before it are not counted twice; what the dead confirmed counts on")
    func heirs() throws {
        let alpha = 1.0 / 3_600
        func real(_ parts: [PlanSample], own: MirrorSums? = nil, said: [String: String] = [:]) throws
            -> [StageSums.Comparisons.RealClass]
        {
            try #require(SampleSums.mirror(own, of: "me", parts, alpha: alpha, said: said)).comparisons.real
        }
        // Ten of its own and three more: far from enough, and twice ten would be.
        let heirs = [
            Self.part("a", "1", rechecks: 10, confirmed: 10), Self.part("a", "2", rechecks: 13, confirmed: 3),
        ]
        #expect(try real(heirs).isEmpty)
        var own = MirrorSums()
        own.classes = [
            .init(
                number: "d-00000001", position: 1, confirmed: 3, rechecks: 13, repeated: 0, isReal: false,
                isAccepted: false)
        ]
        #expect(try real([Self.part("me", "0", rechecks: 10, confirmed: 10)], own: own).isEmpty)
        let two = heirs + [Self.part("b", rechecks: 8, confirmed: 8)]
        #expect(try real(two).map(\.confirmed) == [21])
        // That it repeats by itself elsewhere says something of it here.
        let noise = two + [Self.part("c", rechecks: 30, repeated: 20, confirmed: 0)]
        #expect(try real(noise).isEmpty)
        // What all have agreed on goes before what any of them was told, also of those who cannot take it back any more.
        #expect(try real(two, said: ["d-00000001": "it may stay"]).isEmpty)
        let accepted = two + [Self.part("d", rechecks: 0, confirmed: 0, accepted: true)]
        #expect(try real(accepted).isEmpty)
        #expect(try real(accepted, said: ["d-00000001": ""]).count == 1)
    }

    @Test("A process that begins anew and has needed the old side before it told for the first time is heard of it")
    func neededBefore() {
        func tell(_ book: inout SampleBook, _ instance: String, last: UInt64, at now: UInt64) {
            var sample = Self.sample("a", instance)
            sample.needs = 3
            sample.lastNeed = last
            book.heard(sample, at: now)
        }
        var book = SampleBook()
        tell(&book, "1", last: 5, at: 1)
        tell(&book, "2", last: 5, at: 2)
        #expect(book.needed == 0)
        tell(&book, "3", last: 6, at: 3)
        #expect(book.needed == 1)
        // Whoever hears of both at once hears of what is over.
        var later = SampleBook()
        tell(&later, "1", last: 5, at: 9)
        tell(&later, "3", last: 6, at: 9)
        #expect(later.needed == 0)
    }

    @Test("A sample is read again as it was told; what cannot be summed is none")
    func texts() throws {
        var sample = Self.sample("a", sequence: 7, new: (1, 10), old: (2, 20))
        sample.latency.to = [[310, 5]]
        sample.lead = .init(term: 2, held: 500)
        #expect(PlanSample(sample.text) == sample)
        #expect(sample.counts(epoch: 3)[0].newDurations.counts[310] == 5)
        for (part, other) in [
            ("\"format\":1", "\"format\":2"), ("\"errors\":1", "\"errors\":11"), ("[310,5]", "[705,5]"),
            ("[310,5]", "[310]"), ("\"held\":500", "\"held\":-1"), ("\"replica\":\"a\"", "\"replica\":\"\""),
            ("\"n\":10", "\"n\":18446744073709551615"), ("{", "["),
        ] {
            let text = String(decoding: sample.text, as: UTF8.self)
            #expect(text.contains(part))
            #expect(PlanSample(Array(text.replacing(part, with: other, maxReplacements: 1).utf8)) == nil, "\(other)")
        }
        let padding = [UInt8](repeating: 0x20, count: PlanSample.sizeLimit)
        #expect(PlanSample(sample.text + padding) == nil)
    }
}
