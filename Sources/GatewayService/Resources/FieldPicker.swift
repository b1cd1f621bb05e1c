import Documents

/// Finds many fields of a document in one walk over it.
///
/// Names hash into a small table with open addressing, so that a field costs a few byte operations, wanted or not.
struct FieldPicker: Sendable {
    let names: [String]
    /// The same as UTF-8.
    private let keys: [[UInt8]]
    /// Index into `names`, or -1. A power of two at least four times the number of names.
    private var slots: [Int]
    private let mask: Int

    init(_ names: [String]) {
        self.names = names
        keys = names.map { Array($0.utf8) }
        var size = 16
        while size < names.count * 4 { size *= 2 }
        mask = size - 1
        slots = [Int](repeating: -1, count: size)
        for (index, name) in names.enumerated() {
            var slot = Self.hash(Array(name.utf8).span, 0..<name.utf8.count) & mask
            while slots[slot] >= 0 { slot = (slot + 1) & mask }
            slots[slot] = index
        }
    }

    /// Fills `fields`, one place per name, with the first element of each name or nil.
    func pick(
        document start: Int, in bytes: Span<UInt8>, into fields: inout [BSONElement?]
    ) throws(BSONError) {
        for index in fields.indices { fields[index] = nil }
        var scanner = try BSONScanner(document: start, in: bytes)
        while let element = try scanner.next(in: bytes) {
            var slot = Self.hash(bytes, element.name) & mask
            while slots[slot] >= 0 {
                let index = slots[slot]
                if Self.isEqual(bytes, element.name, keys[index]) {
                    if fields[index] == nil { fields[index] = element }
                    break
                }
                slot = (slot + 1) & mask
            }
        }
    }

    func pick(document start: Int, in bytes: Span<UInt8>) throws(BSONError) -> [BSONElement?] {
        var fields = [BSONElement?](repeating: nil, count: names.count)
        try pick(document: start, in: bytes, into: &fields)
        return fields
    }

    private static func isEqual(_ bytes: Span<UInt8>, _ range: Range<Int>, _ key: [UInt8]) -> Bool {
        guard range.count == key.count else { return false }
        for offset in key.indices where bytes[range.lowerBound + offset] != key[offset] { return false }
        return true
    }

    private static func hash(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
        var hash: UInt32 = 2_166_136_261
        for index in range { hash = (hash ^ UInt32(bytes[index])) &* 16_777_619 }
        return Int(hash >> 16 ^ hash & 0xFFFF)
    }
}
