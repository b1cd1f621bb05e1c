/// Finds known field names by their length and their bytes as whole words.
struct FieldIndex: ~Copyable {
    /// For what classifies a name now and then. A table of fields holds its own, which costs no look whether it is made.
    /// Nothing changes it once it is made, so every thread may read it.
    nonisolated(unsafe) static let shared = FieldIndex()

    /// A power of two, and more than twice the names that are known.
    private static let size = 256

    /// Names of more bytes are not known by their words.
    private static let longest = 32

    private struct Slot {
        /// 0: nothing here.
        var length = 0
        /// The first eight bytes, the second and third if there are as many, and the last.
        var words = SIMD4<UInt64>(repeating: 0)
        var name = FieldName.other
    }

    private let slots: UnsafeMutablePointer<Slot>
    /// Bit n: there is a name of n bytes.
    private var lengths: UInt64 = 0

    init() {
        self.slots = .allocate(capacity: Self.size)
        self.slots.initialize(repeating: Slot(), count: Self.size)
        for (text, name) in FieldName.known {
            let bytes = text.withUTF8Buffer { Array($0) }
            var slot = Self.words(bytes.span, 0, bytes.count)
            slot.name = name
            var position = Self.position(slot)
            while self.slots[position].length > 0 { position = (position &+ 1) & (Self.size &- 1) }
            self.slots[position] = slot
            self.lengths |= 1 << UInt64(bytes.count)
        }
    }

    deinit {
        self.slots.deallocate()
    }

    /// The known name that stands there, in any case. Its bytes are tchars.
    @inline(__always)
    func name(_ bytes: borrowing Span<UInt8>, _ range: ByteRange) -> FieldName {
        let count = range.count
        let lower = Int(range.lower)
        if count <= Self.longest, self.lengths &>> UInt64(truncatingIfNeeded: count) & 1 != 0 {
            let wanted = Self.words(bytes, lower, count)
            var position = Self.position(wanted)
            while self.slots[position].length > 0 {
                if self.slots[position].length == count, self.slots[position].words == wanted.words {
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

    /// In lower case: a tchar with this bit set is a letter, digit or hyphen only if it was one.
    private static let fold: UInt64 = 0x2020_2020_2020_2020

    @inline(__always)
    private static func words(_ bytes: borrowing Span<UInt8>, _ lower: Int, _ count: Int) -> Slot {
        var slot = Slot()
        slot.length = count
        slot.words[0] = ASCII.word(bytes, at: lower, count: min(8, count)) | Self.fold
        if count > 8 { slot.words[3] = ASCII.word(bytes, at: lower + count - 8, count: 8) | Self.fold }
        if count > 16 { slot.words[1] = ASCII.word(bytes, at: lower + 8, count: 8) | Self.fold }
        if count > 24 { slot.words[2] = ASCII.word(bytes, at: lower + 16, count: 8) | Self.fold }
        return slot
    }

    @inline(__always)
    private static func position(_ slot: Slot) -> Int {
        Int(truncatingIfNeeded: ((slot.words[0] ^ slot.words[3]) &* 0x9E37_79B9_7F4A_7C15) &>> 56)
    }
}
