/// Finds known field names by their length and their bytes as whole words.
struct FieldIndex {
    /// The one that there is, for the life of the process. Nothing changes it once it is made, so every thread may read it.
    /// A table of fields holds a copy of what points to it, which saves the look whether it is made.
    nonisolated(unsafe) static let shared = FieldIndex()

    /// A power of two, and more than twice the names that are known.
    private static let size = 256

    /// Names of more bytes are not known by their words.
    private static let longest = 32

    private struct Slot {
        /// 0: nothing here.
        var length = 0
        /// The first eight bytes, and the last if there are more.
        var first: UInt64 = 0
        var last: UInt64 = 0
        /// What stands between them, in names of more than sixteen.
        var second: UInt64 = 0
        var third: UInt64 = 0
        var name = FieldName.other
    }

    private let slots: UnsafePointer<Slot>
    /// Bit n: there is a name of n bytes.
    private let lengths: UInt64

    private init() {
        let slots = UnsafeMutablePointer<Slot>.allocate(capacity: Self.size)
        slots.initialize(repeating: Slot(), count: Self.size)
        var lengths: UInt64 = 0
        for (text, name) in FieldName.known {
            let bytes = text.withUTF8Buffer { Array($0) }
            var slot = Slot(length: bytes.count, name: name)
            (slot.first, slot.last) = Self.ends(bytes.span, 0, bytes.count)
            if bytes.count > 16 {
                let middle = Self.middle(bytes.span, 0, bytes.count)
                (slot.second, slot.third) = (middle.x, middle.y)
            }
            var position = Self.position(slot.first, slot.last)
            while slots[position].length > 0 { position = (position + 1) & (Self.size - 1) }
            slots[position] = slot
            lengths |= 1 << UInt64(bytes.count)
        }
        self.slots = UnsafePointer(slots)
        self.lengths = lengths
    }

    /// The known name that stands there, in any case. Its bytes are tchars.
    @inline(__always)
    func name(_ bytes: borrowing Span<UInt8>, _ range: ByteRange) -> FieldName {
        let count = range.count
        let lower = Int(range.lower)
        if count <= Self.longest, self.lengths &>> UInt64(truncatingIfNeeded: count) & 1 != 0 {
            let (first, last) = Self.ends(bytes, lower, count)
            var position = Self.position(first, last)
            while self.slots[position].length > 0 {
                if self.slots[position].first == first, self.slots[position].last == last,
                    self.slots[position].length == count,
                    count <= 16 || Self.middle(bytes, lower, count) == self.middle(position)
                {
                    return self.slots[position].name
                }
                position = (position &+ 1) & (Self.size &- 1)
            }
        }
        // Any X-Forwarded-*: proxies invent them.
        guard count > 12, bytes[lower] | 0x20 == 0x78,
            ASCII.hasPrefixIgnoringCase(bytes, range, lowercase: "x-forwarded-")
        else { return .other }
        return .xForwardedOther
    }

    /// Whether a name reads as a known one when `_` is `-`, as CGI and its heirs read it.
    func isDisguise(_ bytes: borrowing Span<UInt8>, _ range: ByteRange) -> Bool {
        var folded = InlineArray<32, UInt8>(repeating: 0)
        // Longer names are known by their beginning only.
        let count = min(range.count, 32)
        for index in 0..<count {
            let byte = bytes[Int(range.lower) + index]
            folded[index] = byte == 0x5F ? 0x2D : byte
        }
        return self.name(folded.span, ByteRange(0, count)) != .other
    }

    /// Whether it reads as this one, which is in lower case.
    static func isDisguise(_ bytes: borrowing Span<UInt8>, _ range: ByteRange, of name: [UInt8]) -> Bool {
        guard range.count == name.count else { return false }
        for index in name.indices {
            let byte = ASCII.lowercased(bytes[Int(range.lower) + index])
            if byte == 0x5F ? name[index] != 0x2D : byte != name[index] { return false }
        }
        return true
    }

    /// In lower case: a tchar with this bit set is a letter, digit or hyphen only if it was one.
    private static let fold: UInt64 = 0x2020_2020_2020_2020

    @inline(__always)
    private static func ends(_ bytes: borrowing Span<UInt8>, _ lower: Int, _ count: Int) -> (UInt64, UInt64) {
        guard count > 8 else { return (ASCII.word(bytes, at: lower, count: count) | Self.fold, 0) }
        return (
            ASCII.word(bytes, at: lower, count: 8) | Self.fold,
            ASCII.word(bytes, at: lower &+ count &- 8, count: 8) | Self.fold
        )
    }

    private static func middle(_ bytes: borrowing Span<UInt8>, _ lower: Int, _ count: Int) -> SIMD2<UInt64> {
        SIMD2(
            ASCII.word(bytes, at: lower + 8, count: 8) | Self.fold,
            count > 24 ? ASCII.word(bytes, at: lower + 16, count: 8) | Self.fold : 0)
    }

    private func middle(_ position: Int) -> SIMD2<UInt64> {
        SIMD2(self.slots[position].second, self.slots[position].third)
    }

    @inline(__always)
    private static func position(_ first: UInt64, _ last: UInt64) -> Int {
        Int(truncatingIfNeeded: ((first ^ last) &* 0x9E37_79B9_7F4A_7C15) &>> 56)
    }
}
