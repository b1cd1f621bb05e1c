/// The kinds of requests that a plan has seen lately, and what proves of each that the new side answers it as the old one does.
package struct SeenKinds: Sendable {
    /// Kinds that are kept; what is beyond counts as the last of its route (`PathTemplate.rest`) or not at all.
    static let limit = 4_096
    /// Milliseconds after which a kind that nobody asked for is forgotten.
    static let memory: UInt64 = 30 * 86_400_000
    /// Answers of the new side that prove as much as one comparison.
    static let answers: UInt64 = 20
    /// Kinds that are told one by one.
    private static let shown = 20

    package struct Key: Hashable, Sendable {
        var route: String
        var template: String
    }

    package struct Kind: Sendable, Equatable {
        /// Milliseconds since 1970.
        var last: UInt64
        var answered: UInt64 = 0
        var compared: UInt64 = 0
        /// When it was last to be written.
        fileprivate var due: UInt64 = 0

        init(last: UInt64, answered: UInt64 = 0, compared: UInt64 = 0) {
            self.last = last
            self.answered = answered
            self.compared = compared
        }

        var isProven: Bool { self.compared > 0 || self.answered >= SeenKinds.answers }
    }

    private(set) var all: [Key: Kind] = [:]
    /// Those that the ledger does not have as they are.
    private(set) var changed: Set<Key> = []

    mutating func note(_ key: Key, isAnswered: Bool, at wall: UInt64) {
        self.change(key, at: wall) { if isAnswered { $0.answered += 1 } }
    }

    mutating func compared(_ key: Key, at wall: UInt64) {
        self.change(key, at: wall) { $0.compared += 1 }
    }

    private mutating func change(_ key: Key, at wall: UInt64, _ body: (inout Kind) -> Void) {
        if self.all[key] == nil, self.all.count >= Self.limit { self.forget(before: wall) }
        guard self.all[key] != nil || self.all.count < Self.limit else { return }
        var kind = self.all[key] ?? Kind(last: wall)
        let wasProven = kind.isProven
        body(&kind)
        kind.last = max(kind.last, wall)
        // Of a kind that is proven it is enough to know about when it was seen.
        if !wasProven || kind.last >= kind.due + 3_600_000 {
            kind.due = kind.last
            self.changed.insert(key)
        }
        self.all[key] = kind
    }

    private mutating func forget(before wall: UInt64) {
        self.all = self.all.filter { $0.value.last + Self.memory > wall }
        self.changed = self.changed.filter { self.all[$0] != nil }
    }

    /// What an earlier process knew.
    mutating func restore(_ key: Key, _ kept: Kind) {
        guard var kind = self.all[key] else {
            if self.all.count < Self.limit { self.all[key] = kept }
            return
        }
        kind.last = max(kind.last, kept.last)
        kind.answered += kept.answered
        kind.compared += kept.compared
        self.all[key] = kind
    }

    /// Those to be written; `putBack` if they could not be.
    mutating func takeChanged() -> Set<Key> {
        defer { self.changed = [] }
        return self.changed
    }

    mutating func putBack(_ keys: Set<Key>) { self.changed.formUnion(keys) }

    /// What was seen in the last 30 days and nothing proves, and what is known of those that others ask for.
    func unproven(at wall: UInt64, asked: Set<Key> = [], of isWanted: (Key) -> Bool) -> [Key: Kind] {
        self.all.filter { key, kind in
            isWanted(key) && kind.last + Self.memory > wall && (!kind.isProven || asked.contains(key))
        }
    }

    static func latest(_ kinds: [Key: Kind]) -> [(key: Key, value: Kind)] {
        kinds.sorted {
            ($1.value.last, $0.key.route, $0.key.template) < ($0.value.last, $1.key.route, $1.key.template)
        }
    }

    /// The latest first. `further`: how many there are besides.
    static func words(_ kinds: [Key: Kind], further: UInt64 = 0) -> [String] {
        let found = Self.latest(kinds)
        let words = found.prefix(Self.shown).map { "requests like \($0.key.template) of route \($0.key.route)" }
        let rest = UInt64(found.count - words.count) + further
        return words + (rest > 0 ? ["requests of \(rest) further kinds"] : [])
    }
}
