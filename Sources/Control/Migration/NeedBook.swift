import Ledger
import Migration
import Traffic

/// Who still needs the old side of a plan, and since when nobody has.
struct NeedBook: Sendable {
    /// Rows that are kept; the oldest make room.
    static let limit = 4_096

    struct Key: Hashable, Sendable {
        var route: String
        var template: String
        var cause: String
    }

    private(set) var rows: [Key: NeedRow] = [:]
    private var unwritten: Set<Key> = []
    /// Grows with each look that found something.
    private var sequence: UInt64 = 0
    private var newestByRoute: [String: UInt64] = [:]

    mutating func add(_ needs: [NeedCount], wall: UInt64) {
        guard !needs.isEmpty else { return }
        self.sequence += 1
        for need in needs {
            let key = Key(route: need.route, template: need.template, cause: need.cause.rawValue)
            var row =
                self.rows[key]
                ?? NeedRow(
                    route: need.route, template: need.template, cause: need.cause.rawValue, first: wall, last: wall,
                    count: 0)
            row.last = wall
            row.count &+= need.count
            self.rows[key] = row
            self.unwritten.insert(key)
            self.newestByRoute[need.route] = self.sequence
        }
        self.makeRoom()
    }

    private mutating func makeRoom() {
        guard self.rows.count > Self.limit else { return }
        let oldest = self.rows.sorted { $0.value.last < $1.value.last }.prefix(self.rows.count - Self.limit)
        for (key, _) in oldest {
            self.rows[key] = nil
            self.unwritten.remove(key)
        }
    }

    /// What was known before this process.
    mutating func recall(_ kept: [NeedRow]) {
        for row in kept {
            let key = Key(route: row.route, template: row.template, cause: row.cause)
            guard var present = self.rows[key] else {
                self.rows[key] = row
                continue
            }
            present.first = min(present.first, row.first)
            present.last = max(present.last, row.last)
            present.count &+= row.count
            self.rows[key] = present
        }
        self.makeRoom()
    }

    /// Rows that the ledger has not, or not as they are.
    mutating func takeUnwritten() -> [NeedRow] {
        defer { self.unwritten = [] }
        return self.unwritten.compactMap { self.rows[$0] }
    }

    mutating func putBack(_ due: [NeedRow]) {
        for row in due { self.unwritten.insert(Key(route: row.route, template: row.template, cause: row.cause)) }
    }

    /// Which look found something last on one of these routes; 0: none has.
    func newest(of routes: Set<String>) -> UInt64 { routes.compactMap { self.newestByRoute[$0] }.max() ?? 0 }

    /// Routes whose requests may need the old side of a plan: its own, and others that lead there.
    static func routes(of plan: PlanSpec, in spec: TableSpec) -> Set<String> {
        var names = Set(plan.routes)
        for route in spec.routes where route.split?.contains(where: { $0.upstream == plan.from }) == true {
            names.insert(route.name)
        }
        return names
    }

    /// Rows of these routes since a moment in milliseconds since 1970, the latest first.
    func rows(of routes: Set<String>, since: UInt64) -> [NeedRow] {
        self.rows.values.filter { routes.contains($0.route) && $0.last >= since }.sorted { $0.last > $1.last }
    }
}

/// Requests at once at the peak of each of the last 168 hours.
struct PeakHours: Sendable {
    private var hours: [UInt64: Double] = [:]

    /// `now` in monotonic milliseconds.
    mutating func note(_ concurrency: Double, now: UInt64) {
        let hour = now / 3_600_000
        self.hours[hour] = max(self.hours[hour] ?? 0, concurrency)
        self.hours = self.hours.filter { $0.key + 168 > hour }
    }

    var peak: Double { self.hours.values.max() ?? 0 }
}
