/// Searches that look at every byte of a message once, sixteen at a time. Bytes are checked as two words, since comparisons
/// of byte vectors do not become vector instructions. Nothing outside of `bytes` is read.
enum ByteScan {
    /// Two words of eight bytes; a result has the high bit of each byte that was looked for, exactly.
    private typealias Block = SIMD2<UInt64>

    /// The first byte at or behind `start` that may stand in no field value: a control other than HTAB, or DEL
    /// (RFC 9110 5.5). `bytes.count` if there is none.
    @inline(__always)
    static func control(_ bytes: borrowing Span<UInt8>, from start: Int) -> Int {
        let index = Self.first(bytes, from: start, Self.isControl, further: Self.furtherControl)
        guard index < bytes.count, bytes[index] == 0x09 else { return index }
        return Self.controlBehindTab(bytes, from: index)
    }

    @inline(never)
    private static func controlBehindTab(_ bytes: borrowing Span<UInt8>, from tab: Int) -> Int {
        var index = tab
        while index < bytes.count, bytes[index] == 0x09 {
            index = Self.first(bytes, from: index + 1, Self.isControl, further: Self.furtherControl)
        }
        return index
    }

    /// The first byte at or behind `start` that may not stand in a request target (RFC 9112 3.2), the fragment's `#`
    /// included.
    @inline(__always)
    static func targetEnd(_ bytes: borrowing Span<UInt8>, from start: Int) -> Int {
        Self.first(bytes, from: start, Self.isNoTarget, further: Self.furtherNoTarget)
    }

    /// The first `byte` in `range`; its end if there is none. `byte` is ASCII.
    static func find(_ byte: UInt8, in bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Int {
        let part = bytes.extracting(range)
        return range.lowerBound
            + Self.loop(part, from: 0) { block in
                ~(((block & Self.each(0x7F)) ^ Self.each(UInt64(byte))) &+ Self.each(0x7F)) & ~block
            }
    }

    /// The first byte at or behind `start` that is no tchar (RFC 9110 5.6.2), and whether a `_` stands before it.
    @inline(__always)
    static func tokenEnd(
        _ bytes: borrowing Span<UInt8>, from start: Int
    ) -> (end: Int, hasUnderscore: Bool) {
        // Names are letters, digits and hyphens; the other tchars are rare enough to be looked at alone.
        let end = Self.first(bytes, from: start, Self.isNoWord, further: Self.furtherNoWord)
        guard end < bytes.count, ByteClass.isToken(bytes[end]) else { return (end, false) }
        return Self.rareTokenEnd(bytes, from: end)
    }

    @inline(never)
    private static func rareTokenEnd(
        _ bytes: borrowing Span<UInt8>, from start: Int
    ) -> (end: Int, hasUnderscore: Bool) {
        var index = start
        var hasUnderscore = false
        while index < bytes.count, ByteClass.isToken(bytes[index]) {
            if bytes[index] == 0x5F { hasUnderscore = true }
            index += 1
        }
        return (index, hasUnderscore)
    }

    /// The first byte at or behind `start` that is no letter, digit, hyphen or dot.
    static func hostNameEnd(_ bytes: borrowing Span<UInt8>, from start: Int) -> Int {
        Self.loop(bytes, from: start) { block in Self.notWord(block, 0x2D, 0x2E) }
    }

    // MARK: what is looked for

    @inline(__always)
    private static func isControl(_ block: Block) -> Block {
        let low = block & Self.each(0x7F)
        let printable = (low &+ Self.each(0x60)) & ((low ^ Self.each(0x7F)) &+ Self.each(0x7F))
        return ~(printable | block)
    }

    @inline(__always)
    private static func isNoTarget(_ block: Block) -> Block {
        let low = block & Self.each(0x7F)
        let visible = (low &+ Self.each(0x5F)) & ((low ^ Self.each(0x7F)) &+ Self.each(0x7F))
        return ~(visible & ((low ^ Self.each(0x23)) &+ Self.each(0x7F))) | block
    }

    @inline(__always)
    private static func isNoWord(_ block: Block) -> Block { Self.notWord(block, 0x2D, 0x2D) }

    /// Bytes that are no letter, no digit and not between `lower` and `upper`.
    @inline(__always)
    private static func notWord(_ block: Block, _ lower: UInt64, _ upper: UInt64) -> Block {
        let low = block & Self.each(0x7F)
        let folded = low | Self.each(0x20)
        let letters = Self.between(folded, 0x61, 0x7A)
        return ~(letters | Self.between(low, 0x30, 0x39) | Self.between(low, lower, upper)) | block
    }

    /// Bytes, all of them ASCII, that are between both. No sum leaves its byte.
    @inline(__always)
    private static func between(_ block: Block, _ lower: UInt64, _ upper: UInt64) -> Block {
        (block &+ Self.each(0x80 - lower)) ^ (block &+ Self.each(0x7F - upper))
    }

    @inline(__always)
    private static func each(_ byte: UInt64) -> Block {
        Block(repeating: byte &* 0x0101_0101_0101_0101)
    }

    // MARK: how

    /// The index of the first byte at or behind `start` whose high bit `flags` sets; `bytes.count` if there is none. Most
    /// names and values are short: one block is looked at in place.
    @inline(__always)
    private static func first(
        _ bytes: borrowing Span<UInt8>, from start: Int, _ flags: (Block) -> Block,
        further: (borrowing Span<UInt8>, Int) -> Int
    ) -> Int {
        guard start >= 0, start <= bytes.count &- 16 else { return further(bytes, start) }
        let block = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: Block.self) }
        let found = flags(block) & Self.each(0x80)
        return found.x | found.y != 0 ? start &+ Self.position(found) : further(bytes, start &+ 16)
    }

    @inline(never)
    private static func furtherControl(_ bytes: borrowing Span<UInt8>, _ start: Int) -> Int {
        Self.loop(bytes, from: start, Self.isControl)
    }

    @inline(never)
    private static func furtherNoTarget(_ bytes: borrowing Span<UInt8>, _ start: Int) -> Int {
        Self.loop(bytes, from: start, Self.isNoTarget)
    }

    @inline(never)
    private static func furtherNoWord(_ bytes: borrowing Span<UInt8>, _ start: Int) -> Int {
        Self.loop(bytes, from: start, Self.isNoWord)
    }

    @inline(__always)
    private static func loop(_ bytes: borrowing Span<UInt8>, from start: Int, _ flags: (Block) -> Block) -> Int {
        let end = bytes.count
        guard start >= 0, start < end else { return end }
        return bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return end }
            let high = Self.each(0x80)
            var index = start
            while end &- index >= 16 {
                let found = flags(base.loadUnaligned(fromByteOffset: index, as: Block.self)) & high
                if found.x | found.y != 0 { return index &+ Self.position(found) }
                index &+= 16
            }
            guard index < end else { return end }
            if end >= 16 {
                // The last sixteen bytes, of which those in front of `index` have been looked at.
                var found = flags(base.loadUnaligned(fromByteOffset: end &- 16, as: Block.self)) & high
                let known = UInt64(index &- (end &- 16)) &* 8
                found.x = known < 64 ? found.x & (UInt64.max << known) : 0
                found.y = known > 64 ? found.y & (UInt64.max << (known &- 64)) : found.y
                return found.x | found.y != 0 ? end &- 16 &+ Self.position(found) : end
            }
            // Fewer than sixteen bytes in all: the rest of the block is filled with what is looked at no more.
            var block = Block(repeating: 0)
            withUnsafeMutableBytes(of: &block) {
                $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[index...]))
            }
            let found = flags(block) & high
            return found.x | found.y != 0 ? min(end, index &+ Self.position(found)) : end
        }
    }

    /// Which byte of a block is flagged first.
    @inline(__always)
    private static func position(_ found: Block) -> Int {
        found.x != 0 ? found.x.trailingZeroBitCount &>> 3 : 8 &+ found.y.trailingZeroBitCount &>> 3
    }
}
