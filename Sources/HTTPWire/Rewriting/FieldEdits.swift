/// Fields that a route removes from, or sets on, a message. Built once with the table; used per request without
/// allocating.
package struct FieldEdits: Sendable {
    /// Lower-case names to leave out: those removed and those replaced.
    private let dropped: [[UInt8]]
    /// The lines to add, ready to copy.
    package let lines: [UInt8]

    package static let none = FieldEdits(set: [], remove: [])

    /// Names and values must have been validated as a token and as field content.
    package init(set: [(name: String, value: String)], remove: [String]) {
        self.dropped = (remove + set.map(\.name)).map { name in name.utf8.map(ASCII.lowercased) }
        self.lines = set.flatMap { Array("\($0.name): \($0.value)\r\n".utf8) }
    }

    package var isEmpty: Bool { self.dropped.isEmpty && self.lines.isEmpty }

    /// Whether a field of that name must be left out.
    func drops(_ name: ByteRange, in source: borrowing Span<UInt8>) -> Bool {
        for candidate in self.dropped where ASCII.equalsIgnoringCase(source, name, lowercase: candidate) {
            return true
        }
        return false
    }
}

/// Comparisons of header bytes, which are ASCII whatever the locale.
package enum ASCII {
    @inline(__always)
    package static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }

    package static func equalsIgnoringCase(
        _ source: borrowing Span<UInt8>, _ range: ByteRange, lowercase: [UInt8]
    ) -> Bool {
        guard range.count == lowercase.count else { return false }
        let lower = Int(range.lower)
        for index in lowercase.indices where self.lowercased(source[lower + index]) != lowercase[index] {
            return false
        }
        return true
    }

    package static func hasPrefixIgnoringCase(
        _ source: borrowing Span<UInt8>, _ range: ByteRange, lowercase: StaticString
    ) -> Bool {
        guard range.count >= lowercase.utf8CodeUnitCount else { return false }
        let lower = Int(range.lower)
        return lowercase.withUTF8Buffer { wanted in
            for index in wanted.indices where self.lowercased(source[lower + index]) != wanted[index] {
                return false
            }
            return true
        }
    }
}
