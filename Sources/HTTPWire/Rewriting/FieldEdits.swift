/// Fields that a route removes from, or sets on, a message. Built once with the table; used per request without
/// allocating.
package struct FieldEdits: Sendable {
    /// Lower-case names to leave out: those removed and those replaced.
    private let dropped: [[UInt8]]
    /// Bit n: a name of n bytes, modulo 64, is among them.
    private let lengths: UInt64
    /// The lines to add, ready to copy.
    package let lines: [UInt8]

    /// Those of the fields that the proxy itself adds to requests which the route decides about instead.
    let origin: OriginFields
    /// The route decides about Date, so the proxy adds none.
    let setsDate: Bool

    package static let none = FieldEdits(set: [], remove: [])

    /// Names and values must have been validated as a token and as field content.
    package init(set: [(name: String, value: String)], remove: [String]) {
        let names = (remove + set.map(\.name)).map { $0.lowercased() }
        self.dropped = names.map { Array($0.utf8) }
        self.lengths = self.dropped.reduce(0) { $0 | 1 << UInt64($1.count & 63) }
        self.origin = OriginFields(names)
        self.setsDate = names.contains("date")
        self.lines = set.flatMap { Array("\($0.name): \($0.value)\r\n".utf8) }
    }

    package var isEmpty: Bool { self.lengths == 0 }

    /// Whether a field of that name must be left out.
    @inline(__always)
    func drops(_ name: ByteRange, in source: borrowing Span<UInt8>) -> Bool {
        self.lengths &>> UInt64(truncatingIfNeeded: name.count) & 1 != 0 && self.find(name, in: source)
    }

    @inline(never)
    private func find(_ name: ByteRange, in source: borrowing Span<UInt8>) -> Bool {
        for candidate in self.dropped where ASCII.equalsIgnoringCase(source, name, lowercase: candidate) {
            return true
        }
        return false
    }
}
