/// Milliseconds to wait after each failure in a row: doubling from `first` to `limit`, each between a half and the whole,
/// so that many who failed at one moment do not come back at one moment.
struct Backoff: Sendable {
    private let first: UInt64
    private let limit: UInt64
    private var present: UInt64

    init(first: UInt64, limit: UInt64) {
        self.first = min(first, limit)
        self.limit = limit
        self.present = self.first
    }

    mutating func next() -> UInt64 {
        defer { self.present = min(self.present * 2, self.limit) }
        return UInt64.random(in: (self.present / 2)...self.present)
    }

    mutating func reset() { self.present = self.first }
}
