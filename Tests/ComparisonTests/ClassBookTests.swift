import Migration
import TestSupport
import Testing

@testable import Comparison

@Suite("Classes of differences")
struct ClassBookTests {
    private func example(_ difference: Difference) -> Example {
        Example(method: "GET", target: "/", difference: difference)
    }

    private func value(_ path: String, _ old: String = "1", _ new: String = "2") -> Difference {
        Difference(kind: .value, path: path, place: path, old: old, new: new)
    }

    @Test("15 rechecks of which none repeated make a class real, 14 do not")
    func threshold() {
        var account = NoiseAccount(position: 1, falseAlarm: 1.0 / 3_600)
        for _ in 0..<14 { account.record(repeats: false) }
        #expect(abs(account.evidence - 8.2947) < 0.001)
        #expect(account.verdict == .open)
        account.record(repeats: false)
        #expect(abs(account.evidence - 8.9679) < 0.001)
        #expect(account.verdict == .real)
        // Once is for good.
        for _ in 0..<50 { account.record(repeats: true) }
        #expect(account.verdict == .real)
    }

    @Test("Two that repeated, and at least a quarter, make it noise; with fewer it is open again")
    func noise() {
        var account = NoiseAccount(position: 1, falseAlarm: 1e-9)
        account.record(repeats: true)
        #expect(account.verdict == .open)
        account.record(repeats: true)
        #expect(account.verdict == .noise)
        for _ in 0..<6 { account.record(repeats: false) }
        #expect(account.verdict == .noise)
        account.record(repeats: false)
        #expect(account.verdict == .open)
    }

    @Test("What an earlier process knew is added to what was found meanwhile, and no verdict of it is lost")
    func restored() throws {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        let (a, b) = (self.value("$.a"), self.value("$.b"))
        book.record(route: "", template: "/", found: [a], recheck: ([], [a]), example: self.example)
        for (path, isReal, reason) in [("$.a", false, "agreed" as String?), ("$.b", true, nil)] {
            book.restore(
                ClassKey(route: "", template: "/", kind: .value, path: path), seen: 10, confirmed: 4, cleared: 3,
                rechecks: 7, repeated: 3, isReal: isReal, acceptedFor: reason, examples: [])
        }
        let found = try #require(book.records.first)
        #expect(found.seen == 11 && found.confirmed == 5 && found.cleared == 3)
        #expect(book.state(of: found) == .accepted && book.account(of: found).rechecks == 8)
        let number = book.number(of: b, route: "", template: "/")
        let other = try #require(book.record(number: number))
        #expect(other.seen == 10 && book.state(of: other) == .real)
    }

    @Test("Of two classes with one account what was known of that is added once")
    func restoredPair() throws {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        for kind in [Difference.Kind.missing, .extra] {
            book.restore(
                ClassKey(route: "", template: "/", kind: kind, path: "$.a"), seen: 5, confirmed: 1, cleared: 4,
                rechecks: 9, repeated: 4, isReal: false, acceptedFor: nil, examples: [])
        }
        #expect(book.records.count == 2 && book.account(of: book.records[1]).rechecks == 9)
    }

    @Test("What is beyond the classes that are kept apart has one number")
    func numbersBeyond() {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        let differences = (0...ClassBook.limit).map { self.value("$.a\($0)") }
        book.record(route: "api", template: "/", found: differences, recheck: nil, example: self.example)
        let numbers = Set(differences.map { book.number(of: $0, route: "api", template: "/") })
        #expect(numbers.count == ClassBook.limit + 1 && numbers.contains(ClassKey.other(route: "api").number))
        let more = book.number(of: self.value("$.unheard"), route: "api", template: "/")
        #expect(more == ClassKey.other(route: "api").number)
    }

    @Test("What the old side's second answer makes of a comparison")
    func results() throws {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        func record(_ found: [Difference], itself: [Difference], new: [Difference]) -> ClassBook.Result {
            book.record(route: "", template: "/", found: found, recheck: (itself, new), example: self.example)
        }
        let (a, b) = (self.value("$.a"), self.value("$.b"))
        let results = [
            record([], itself: [], new: []), record([a], itself: [], new: [a]), record([a], itself: [a], new: []),
            record([a], itself: [a], new: [a]), record([a, b], itself: [a], new: [a, b]),
            // `a` is noise by now: that it agreed with itself this time is chance.
            record([a], itself: [], new: [a]),
        ]
        #expect(results == [.equal, .mismatch, .drift, .noise, .mismatch, .noise])
        let unasked = book.record(route: "", template: "/", found: [b], recheck: nil, example: self.example)
        #expect(unasked == .unconfirmed)
        let record = try #require(book.records.first)
        #expect(record.seen == 5 && record.confirmed == 2 && record.cleared == 3 && record.standing == 2)
        #expect(book.state(of: record) == .noise)
        #expect(book.compared == 7 && book.results[.mismatch] == 2)
    }

    @Test(
        "What is said elsewhere counts for classes that were found, that are found later, and that an earlier process knew"
    )
    func agreed() {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        let (a, b) = (self.value("$.a"), self.value("$.b"))
        let keys = [a, b].map { ClassKey(route: "", template: "/", kind: .value, path: $0.path) }
        book.record(route: "", template: "/", found: [a], recheck: ([], [a]), example: self.example)
        #expect(book.standing == 1)
        let changed = book.agree(on: [keys[0].number: "well", keys[1].number: "well"])
        #expect(changed == [keys[0].number] && book.standing == 0)
        let result = book.record(route: "", template: "/", found: [b], recheck: ([], [b]), example: self.example)
        #expect(result == .noise && book.standing == 0)
        let opened = book.agree(on: [keys[0].number: "", keys[1].number: "well"])
        #expect(opened == [keys[0].number] && book.standing == 1)
        book.restore(
            keys[0], seen: 1, confirmed: 1, cleared: 0, rechecks: 1, repeated: 0, isReal: false,
            acceptedFor: "before it was opened again", examples: [])
        #expect(book.record(number: keys[0].number)?.acceptedFor == nil)
    }

    @Test("What an operator accepts counts on, and is no mismatch until it is opened again")
    func accepted() throws {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        let a = self.value("$.a")
        func record() -> ClassBook.Result {
            book.record(route: "", template: "/", found: [a], recheck: ([], [a]), example: self.example)
        }
        let before = record()
        #expect(before == .mismatch)
        let number = try #require(book.records.first).key.number
        let (isKnown, isUnknown) = (book.accept(number, reason: "as ordered"), book.accept("d-00000000", reason: ""))
        #expect(isKnown && !isUnknown)
        let accepted = record()
        #expect(accepted == .noise)
        #expect(book.records[0].seen == 2 && book.state(of: book.records[0]) == .accepted)
        let isOpened = book.reopen(number)
        let after = record()
        #expect(isOpened && after == .mismatch)
    }

    @Test("Where the second answer is another one altogether, nothing is told of what lies inside")
    func hidden() {
        let inner = self.value("$.list[*].a")
        func outcome(_ itself: Difference...) -> ClassBook.Outcome {
            RecheckOutcomes(itself: itself, new: [inner]).outcome(of: inner)
        }
        #expect(outcome() == .stands)
        #expect(outcome(inner) == .repeats)
        for kind in [.length, .type, .order, .missing] as [Difference.Kind] {
            #expect(outcome(Difference(kind: kind, path: "$.list")) == .unknown)
            #expect(outcome(Difference(kind: kind, path: "$.lis")) == .stands)
            #expect(outcome(Difference(kind: kind, path: "$.list[*].ab")) == .stands)
        }
        for kind in [.status(old: 200, new: 500), .noAnswer, .tooLarge, .encoding, .value] as [Difference.Kind] {
            #expect(outcome(Difference(kind: kind)) == .unknown)
        }
        #expect(outcome(Difference(kind: .header("location"))) == .stands)
        let field = Difference(kind: .header("location"))
        #expect(RecheckOutcomes(itself: [Difference(kind: .value)], new: []).outcome(of: field) == .stands)
        #expect(RecheckOutcomes(itself: [Difference(kind: .noAnswer)], new: []).outcome(of: field) == .unknown)
    }

    @Test("A class counts once a comparison; numbers are the same everywhere and always")
    func numbers() throws {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        _ = book.record(
            route: "api", template: "/a/*", found: [self.value("$.l[*].a", "1"), self.value("$.l[*].a", "3")],
            recheck: nil,
            example: self.example)
        #expect(book.records.count == 1)
        let record = try #require(book.records.first)
        #expect(record.seen == 1 && record.examples.all.count == 1)
        // A contract: it stands in journals and scripts.
        #expect(record.key.number == "d-f1dbbbfa")
        #expect(record.key == ClassKey(route: "api", template: "/a/*", kind: .value, path: "$.l[*].a"))
        for other in [
            ClassKey(route: "b", template: "/a/*", kind: .value, path: "$.l[*].a"),
            ClassKey(route: "api", template: "/a", kind: .value, path: "$.l[*].a"),
            ClassKey(route: "api", template: "/a/*", kind: .type, path: "$.l[*].a"),
            ClassKey(route: "api", template: "/a/*", kind: .value, path: "$.l[*].b"),
        ] { #expect(other != record.key && other.number != record.key.number) }
    }

    @Test(
        "A thousand classes are kept apart, the rest is one; of each four examples from the beginning and the latest four"
    )
    func limits() {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        for index in 0..<1_500 {
            book.record(
                route: "api", template: "/", found: [self.value("$.a\(index)")], recheck: nil, example: self.example)
        }
        #expect(book.records.count == 1_001)
        #expect(book.records[1_000].key == .other(route: "api") && book.records[1_000].seen == 500)
        for index in 0..<20 {
            book.record(
                route: "api", template: "/", found: [self.value("$.a0", "\(index)")], recheck: nil,
                example: self.example)
        }
        #expect(book.records[0].examples.all.map(\.difference.old) == ["1", "0", "1", "2", "16", "17", "18", "19"])
    }
}

@Suite("Comparisons of a stage")
struct StageComparisonsTests {
    private func record(_ book: inout ClassBook, _ paths: [String], repeats: Bool? = nil) {
        let found = paths.map { Difference(kind: .value, path: $0) }
        book.record(
            route: "", template: "/", found: found, recheck: repeats.map { ($0 ? found : [], found) },
            example: { Example(method: "GET", target: "/", difference: $0) })
    }

    @Test("What stands is judged anew when a class turns out to be noise, is accepted, or is opened again")
    func recount() throws {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        for _ in 0..<100 { self.record(&book, []) }
        for _ in 0..<3 { self.record(&book, ["$.a"]) }
        self.record(&book, ["$.a", "$.b"])
        self.record(&book, ["$.b"], repeats: false)
        #expect(book.stage.count == 105 && book.standing == 5)
        self.record(&book, ["$.a"], repeats: true)
        #expect(book.standing == 5)
        self.record(&book, ["$.a"], repeats: true)
        #expect(book.standing == 2)
        let number = try #require(book.records.last).key.number
        let isKnown = book.accept(number, reason: "r")
        #expect(isKnown && book.standing == 0)
        _ = book.reopen(number)
        #expect(book.standing == 2)
        book.beginStage()
        #expect(book.standing == 0 && book.stage.count == 0 && book.records.count == 2)
    }

    @Test("Real classes come with the confirmed comparisons of this run alone")
    func real() {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        for _ in 0..<15 { self.record(&book, ["$.a"], repeats: false) }
        #expect(book.real.map(\.confirmed) == [15] && book.real[0].position == 1)
        book.beginStage()
        self.record(&book, ["$.a"], repeats: false)
        #expect(book.real.map(\.confirmed) == [1] && book.standing == 1)
    }

    @Test("Of 10,000 comparisons, what is older stays as it was judged")
    func window() throws {
        var book = ClassBook(falseAlarm: 1.0 / 3_600)
        for _ in 0..<5 { self.record(&book, ["$.a"]) }
        for _ in 0..<9_998 { self.record(&book, []) }
        #expect(book.standing == 5)
        _ = book.accept(try #require(book.records.first).key.number, reason: "r")
        // Three had left before.
        #expect(book.standing == 3)
        // More classes than are kept stand whatever becomes of those that are.
        self.record(&book, (0..<9).map { "$.x\($0)" })
        for record in book.records { _ = book.accept(record.key.number, reason: "r") }
        #expect(book.standing == 4)
    }
}

/// Sides that are alike and answer by chance: whatever is called real is a false alarm.
@Suite("Noise is told from difference")
struct NoiseSimulation {
    private static let alpha = 1.0 / 3_600

    /// One comparison of answers that are drawn from the same distribution, `draw` telling one of its values.
    private static func compare(_ draw: () -> Int, kinds: (Int, Int) -> Difference.Kind?, into book: inout ClassBook) {
        func differences(_ first: Int, _ second: Int) -> [Difference] {
            kinds(first, second).map { [Difference(kind: $0, path: "$.a")] } ?? []
        }
        let (old, again, new) = (draw(), draw(), draw())
        let found = differences(old, new)
        book.record(
            route: "", template: "/", found: found,
            recheck: found.isEmpty ? nil : (differences(old, again), differences(again, new)),
            example: { Example(method: "GET", target: "/", difference: $0) })
    }

    @Test("A field that is there by chance, in either direction, is never real", arguments: [1, 5, 50, 95, 99])
    func presence(percent: Int) {
        var random = SplitMix(UInt64(percent))
        var real = 0
        for _ in 0..<400 {
            var book = ClassBook(falseAlarm: Self.alpha)
            for _ in 0..<300 {
                Self.compare(
                    { random.chance(percent) ? 1 : 0 }, kinds: { $0 == $1 ? nil : $0 > $1 ? .missing : .extra },
                    into: &book)
            }
            real += book.records.filter { book.state(of: $0) == .real }.count
        }
        #expect(real == 0)
    }

    @Test("Statuses by chance, and values of many, are never real")
    func values() {
        var random = SplitMix(1)
        var real = 0
        for _ in 0..<400 {
            var book = ClassBook(falseAlarm: Self.alpha)
            for _ in 0..<200 {
                Self.compare(
                    { random.chance(3) ? 500 : 200 },
                    kinds: { $0 == $1 ? nil : .status(old: UInt16($0), new: UInt16($1)) }, into: &book)
                Self.compare({ Int.random(in: 0..<9, using: &random) }, kinds: { $0 == $1 ? nil : .value }, into: &book)
            }
            real += book.records.filter { book.state(of: $0) == .real }.count
            // What is never twice the same is known as noise at once.
            #expect(book.records.contains { $0.key.kind == .value && book.state(of: $0) == .noise })
        }
        #expect(real == 0)
    }

    @Test("A field wrong in 1 % of answers is real after 15 rechecks, and the old side was asked again no more often")
    func wrongField() {
        var random = SplitMix(2)
        for _ in 0..<100 {
            var book = ClassBook(falseAlarm: Self.alpha)
            var rechecks = 0
            var compared = 0
            while !book.records.contains(where: { book.state(of: $0) == .real }), compared < 20_000 {
                compared += 1
                let isWrong = random.chance(1)
                let found = isWrong ? [Difference(kind: .value, path: "$.a")] : []
                rechecks += found.isEmpty ? 0 : 1
                book.record(
                    route: "", template: "/", found: found, recheck: isWrong ? ([], found) : nil,
                    example: { Example(method: "GET", target: "/", difference: $0) })
            }
            #expect(rechecks == 15)
        }
    }
}
