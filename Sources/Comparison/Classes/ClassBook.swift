import Migration

/// All classes of differences of one comparison of two sides, and what is known of each.
package struct ClassBook: Sendable {
    package enum State: String, Sendable {
        case open, noise, real
        /// An operator said that it may stay.
        case accepted
    }

    /// What a class was in one comparison, once the old side was asked again.
    package enum Outcome: Sendable, Equatable {
        /// A = A′ ≠ B.
        case stands
        /// A ≠ A′: it repeats by itself.
        case repeats
        /// A ≠ A′ = B: the data moved between the questions.
        case moved
        /// The old side was not asked again, or its second answer is so different that this cannot be told.
        case unknown
    }

    /// What a comparison came to.
    package enum Result: String, Sendable, CaseIterable {
        case equal
        /// The data moved between the questions.
        case drift
        /// It differs in nothing that does not differ by itself.
        case noise
        /// A = A′ ≠ B in a class that is neither noise nor accepted.
        case mismatch
        /// It differs, and asking the old side again told nothing of that.
        case unconfirmed
    }

    package struct Record: Sendable {
        package let key: ClassKey
        /// Comparisons that differ in it.
        package internal(set) var seen: UInt64 = 0
        /// Those in which the old side agreed with itself.
        package internal(set) var confirmed: UInt64 = 0
        /// Those that asking the old side again cleared.
        package internal(set) var cleared: UInt64 = 0
        package internal(set) var acceptedFor: String?
        package internal(set) var examples = ExampleShelf()
        fileprivate let account: Int

        /// Comparisons in which it counts against the new side: nothing cleared them.
        package var standing: UInt64 { self.seen - self.cleared }

        fileprivate init(key: ClassKey, account: Int) {
            self.key = key
            self.account = account
        }
    }

    /// Classes that are kept apart; what is beyond is `other`.
    package static let limit = 1_000

    private let falseAlarm: Double
    private var places: [ClassKey: Int] = [:]
    private var accounts: [NoiseAccount] = []
    private var accountPlaces: [ClassKey: Int] = [:]
    /// Accounts to which what an earlier process knew was added.
    private var restored: Set<Int> = []
    /// In the order in which they were found.
    package private(set) var records: [Record] = []
    package private(set) var results: [Result: UInt64] = [:]
    /// Of the present stage's run.
    package private(set) var stage = StageComparisons()
    /// What is said of classes elsewhere, also of those that were not found here yet, by number: why one may stay; empty: it may not
    /// any more.
    package private(set) var agreed: [String: String] = [:]

    /// `falseAlarm`: the chance that any class of pure noise is ever called real.
    package init(falseAlarm: Double) { self.falseAlarm = falseAlarm }

    package var compared: UInt64 { self.results.values.reduce(0, +) }

    package func account(of record: Record) -> NoiseAccount { self.accounts[record.account] }

    package func state(of record: Record) -> State {
        if record.acceptedFor != nil { return .accepted }
        switch self.accounts[record.account].verdict {
        case .open: return .open
        case .noise: return .noise
        case .real: return .real
        }
    }

    /// Another run of a stage: what is known of the classes stays, the comparisons are counted anew.
    package mutating func beginStage() { self.stage = StageComparisons() }

    /// Comparisons of this run that stand against the new side.
    package var standing: UInt64 { self.stage.standing(counts: self.counts) }

    /// The real classes with their comparisons of this run.
    package var real: [StageSums.Comparisons.RealClass] {
        self.records.indices.filter { self.state(of: self.records[$0]) == .real }.map { place in
            StageSums.Comparisons.RealClass(
                number: self.records[place].key.number, position: self.account(of: self.records[place]).position,
                confirmed: self.stage.confirmed[place] ?? 0)
        }
    }

    /// What is known of a class, as others can add it to what they know.
    package struct Tally: Sendable, Equatable {
        package var number: String
        /// Of its account among those found, from 1.
        package var position: Int
        /// Comparisons of this run in which it was confirmed.
        package var confirmed: UInt64
        /// Times that the old side was asked again, and that it repeated.
        package var rechecks: UInt64
        package var repeated: UInt64
        package var isReal: Bool
        package var isAccepted: Bool

        package init(
            number: String, position: Int, confirmed: UInt64, rechecks: UInt64, repeated: UInt64, isReal: Bool,
            isAccepted: Bool
        ) {
            self.number = number
            self.position = position
            self.confirmed = confirmed
            self.rechecks = rechecks
            self.repeated = repeated
            self.isReal = isReal
            self.isAccepted = isAccepted
        }
    }

    /// Of all classes, the real ones first and noise last: that one repeats by itself here says something of it elsewhere, too.
    package var tallies: [Tally] {
        let found = self.records.indices.map { place in
            let (record, state) = (self.records[place], self.state(of: self.records[place]))
            let account = self.account(of: record)
            let tally = Tally(
                number: record.key.number, position: account.position, confirmed: self.stage.confirmed[place] ?? 0,
                rechecks: account.rechecks, repeated: account.repeated, isReal: state == .real,
                isAccepted: state == .accepted)
            return (tally: tally, rank: state == .real ? 0 : state == .noise ? 2 : 1)
        }
        return (0...2).flatMap { rank in found.filter { $0.rank == rank }.map(\.tally) }
    }

    private func counts(_ place: Int) -> Bool {
        let state = self.state(of: self.records[place])
        return state == .open || state == .real
    }

    /// The number of the class in which a recorded difference is counted.
    package func number(of difference: Difference, route: String, template: String) -> String {
        let key = ClassKey(route: route, template: template, kind: difference.kind, path: difference.path)
        return self.places[key] == nil ? ClassKey.other(route: route).number : key.number
    }

    package func record(number: String) -> Record? { self.records.first { $0.key.number == number } }

    /// Says that a class may stay. False if there is no such class.
    package mutating func accept(_ number: String, reason: String) -> Bool {
        guard let place = self.records.firstIndex(where: { $0.key.number == number }) else { return false }
        self.records[place].acceptedFor = reason
        return true
    }

    package mutating func reopen(_ number: String) -> Bool {
        guard let place = self.records.firstIndex(where: { $0.key.number == number }) else { return false }
        self.records[place].acceptedFor = nil
        return true
    }

    /// Takes on what is said of classes elsewhere. Answers the numbers of those that are other than they were.
    package mutating func agree(on said: [String: String]) -> [String] {
        self.agreed = said
        var changed: [String] = []
        for place in self.records.indices {
            let before = self.records[place].acceptedFor
            self.obey(place)
            if self.records[place].acceptedFor != before { changed.append(self.records[place].key.number) }
        }
        return changed
    }

    private mutating func obey(_ place: Int) {
        guard let reason = self.agreed[self.records[place].key.number] else { return }
        self.records[place].acceptedFor = reason.isEmpty ? nil : reason
    }

    /// What an earlier process knew of a class. Once, in the order in which they were found; what has been found meanwhile is
    /// added to it.
    package mutating func restore(
        _ key: ClassKey, seen: UInt64, confirmed: UInt64, cleared: UInt64, rechecks: UInt64, repeated: UInt64,
        isReal: Bool, acceptedFor: String?, examples: [Example]
    ) {
        guard let place = self.places[key] ?? (self.records.count < Self.limit ? self.place(of: key) : nil) else {
            return
        }
        let account = self.records[place].account
        // Two classes may have one account, of which each tells all.
        let isFirst = self.restored.insert(account).inserted
        self.accounts[account].restore(
            rechecks: isFirst ? rechecks : 0, repeated: isFirst ? repeated : 0, isReal: isReal)
        self.records[place].seen += seen
        self.records[place].confirmed += confirmed
        self.records[place].cleared += min(cleared, seen)
        self.records[place].acceptedFor = self.records[place].acceptedFor ?? acceptedFor
        self.obey(place)
        for example in examples { self.records[place].examples.add(example) }
    }

    /// Records one comparison. `found` is A against B; `recheck` is A against A′ and A′ against B, nil if there was none.
    @discardableResult
    package mutating func record(
        route: String, template: String, found: [Difference], recheck: (itself: [Difference], new: [Difference])?,
        example: (Difference) -> Example
    ) -> Result {
        let result = self.judge(route, template, found, recheck, example)
        self.results[result, default: 0] += 1
        return result
    }

    private mutating func judge(
        _ route: String, _ template: String, _ found: [Difference],
        _ recheck: (itself: [Difference], new: [Difference])?, _ example: (Difference) -> Example
    ) -> Result {
        var uncleared: [Int] = []
        var confirmed: [Int] = []
        defer {
            let oldestStands = self.stage.oldestStands { self.counts($0) }
            self.stage.record(uncleared: uncleared, confirmed: confirmed, oldestStands: oldestStands)
        }
        guard !found.isEmpty else { return .equal }
        let outcomes = recheck.map { RecheckOutcomes(itself: $0.itself, new: $0.new) }
        var seen: Set<Int> = []
        var counted: Set<Int> = []
        var result = Result.noise
        var moved = false
        for difference in found {
            let place = self.place(of: difference, route: route, template: template)
            // A class counts once, however many elements of a list differ alike.
            guard seen.insert(place).inserted else { continue }
            let outcome = outcomes?.outcome(of: difference) ?? .unknown
            let account = self.records[place].account
            if outcome != .unknown, counted.insert(account).inserted {
                self.accounts[account].record(repeats: outcome != .stands)
            }
            self.records[place].seen += 1
            switch outcome {
            case .stands:
                self.records[place].confirmed += 1
                confirmed.append(place)
                uncleared.append(place)
            case .repeats, .moved: self.records[place].cleared += 1
            case .unknown: uncleared.append(place)
            }
            self.records[place].examples.add(example(difference))
            guard self.counts(place) else { continue }
            switch outcome {
            case .stands: result = .mismatch
            case .unknown: if result != .mismatch { result = .unconfirmed }
            case .moved: moved = true
            case .repeats: break
            }
        }
        return result == .noise && moved ? .drift : result
    }

    private mutating func place(of difference: Difference, route: String, template: String) -> Int {
        var key = ClassKey(route: route, template: template, kind: difference.kind, path: difference.path)
        if let place = self.places[key] { return place }
        if self.records.count >= Self.limit {
            key = .other(route: route)
            if let place = self.places[key] { return place }
            // One more for each route: routes are named in the file, not by who asks.
        }
        return self.place(of: key)
    }

    private mutating func place(of key: ClassKey) -> Int {
        let account = self.accountPlace(key.undirected)
        self.records.append(Record(key: key, account: account))
        self.places[key] = self.records.count - 1
        self.obey(self.records.count - 1)
        return self.records.count - 1
    }

    private mutating func accountPlace(_ key: ClassKey) -> Int {
        if let place = self.accountPlaces[key] { return place }
        self.accounts.append(NoiseAccount(position: self.accounts.count + 1, falseAlarm: self.falseAlarm))
        self.accountPlaces[key] = self.accounts.count - 1
        return self.accounts.count - 1
    }
}
