/// A hash table from byte strings to small numbers, built once and read without allocating: open addressing over
/// contiguous arrays, at most half full. Keys live side by side in one pool; a scope tells equal strings of different
/// kinds apart. Only what is configured goes in, so no client can make it slow.
struct ByteTable: Sendable {
    private struct Slot: Sendable {
        var hash: UInt64 = 0
        var lower: Int32 = 0
        var count: Int32 = 0
        var scope: Int32 = 0
        /// -1: empty.
        var value: Int32 = -1
    }

    private var slots = ContiguousArray(repeating: Slot(), count: 8)
    /// All keys, one behind the other, in the order in which they came.
    private(set) var pool: ContiguousArray<UInt8> = []
    private(set) var count = 0

    /// Continues a hash by one byte.
    static func step(_ hash: UInt64, _ byte: UInt8) -> UInt64 { (hash ^ UInt64(byte)) &* KeyHash.factor }

    static func folded(_ byte: UInt8) -> UInt8 {
        byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }

    /// The value of `bytes[range]`, whose steps gave `hash`. `folding` compares without regard to ASCII case; keys are
    /// lower case then.
    func find(
        _ hash: UInt64, scope: Int32, in bytes: borrowing Span<UInt8>, _ range: Range<Int>, folding: Bool
    ) -> Int32? {
        let mask = self.slots.count - 1
        var index = Self.home(hash, scope) & mask
        while true {
            let slot = self.slots[index]
            if slot.value < 0 { return nil }
            if slot.hash == hash, slot.scope == scope, Int(slot.count) == range.count,
                self.equals(slot, bytes, range.lowerBound, folding: folding)
            {
                return slot.value
            }
            index = (index + 1) & mask
        }
    }

    /// The value of `key` in `scope`; if it has none, `value` becomes it, and the key stands last in the pool.
    mutating func insert(_ key: borrowing Span<UInt8>, hash: UInt64, scope: Int32, value: Int32) -> Int32 {
        if let known = self.find(hash, scope: scope, in: key, 0..<key.count, folding: false) { return known }
        self.count += 1
        if self.count * 2 > self.slots.count { self.grow() }
        let slot = Slot(
            hash: hash, lower: Int32(self.pool.count), count: Int32(key.count), scope: scope, value: value)
        for index in key.indices { self.pool.append(key[index]) }
        self.place(slot)
        return value
    }

    private mutating func grow() {
        let old = self.slots
        self.slots = ContiguousArray(repeating: Slot(), count: old.count * 2)
        for slot in old where slot.value >= 0 { self.place(slot) }
    }

    private mutating func place(_ slot: Slot) {
        let mask = self.slots.count - 1
        var index = Self.home(slot.hash, slot.scope) & mask
        while self.slots[index].value >= 0 { index = (index + 1) & mask }
        self.slots[index] = slot
    }

    private static func home(_ hash: UInt64, _ scope: Int32) -> Int {
        Int(truncatingIfNeeded: SplitMix64.mix(hash &+ UInt64(UInt32(bitPattern: scope))) >> 1)
    }

    private func equals(_ slot: Slot, _ bytes: borrowing Span<UInt8>, _ lower: Int, folding: Bool) -> Bool {
        for offset in 0..<Int(slot.count) {
            let byte = bytes[lower + offset]
            if self.pool[Int(slot.lower) + offset] != (folding ? Self.folded(byte) : byte) { return false }
        }
        return true
    }
}
