/// A hash table from byte strings to indices, built once and asked with spans: no allocation, no String. Keys come from
/// the configuration, so the hash needs no secret.
struct ByteMap: Sendable {
    private struct Slot {
        var hash: UInt64 = 0
        var lower: UInt32 = 0
        var upper: UInt32 = 0
        /// -1: empty.
        var value: Int32 = -1
    }

    static let seed: UInt64 = 0xCBF2_9CE4_8422_2325

    private var slots: ContiguousArray<Slot>
    private var bytes: ContiguousArray<UInt8> = []
    private var mask: UInt64

    init(_ entries: [(key: [UInt8], value: Int)]) {
        var capacity = 4
        while capacity < entries.count * 2 { capacity *= 2 }
        self.slots = ContiguousArray(repeating: Slot(), count: capacity)
        self.mask = UInt64(capacity - 1)
        for entry in entries {
            var hash = Self.seed
            for byte in entry.key { hash = Self.extend(hash, byte) }
            let lower = self.bytes.count
            self.bytes.append(contentsOf: entry.key)
            var index = Int(KeyHash.mix(hash) & self.mask)
            while self.slots[index].value >= 0 { index = (index + 1) & Int(self.mask) }
            self.slots[index] = Slot(
                hash: hash, lower: UInt32(lower), upper: UInt32(self.bytes.count), value: Int32(entry.value))
        }
    }

    @inline(__always)
    static func extend(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
        (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }

    /// The value of the key that equals `span[lower..<upper]`, whose hash (by `extend` from `seed`) is given.
    /// `folding`: ASCII letters are compared in lower case; the hash must have been made so too.
    func find(_ span: borrowing Span<UInt8>, _ lower: Int, _ upper: Int, hash: UInt64, folding: Bool) -> Int? {
        var index = Int(KeyHash.mix(hash) & self.mask)
        while self.slots[index].value >= 0 {
            let slot = self.slots[index]
            if slot.hash == hash, Int(slot.upper) - Int(slot.lower) == upper - lower {
                var equal = true
                for offset in 0..<(upper - lower) {
                    let byte = folding ? ASCIIFold.lower(span[lower + offset]) : span[lower + offset]
                    if byte != self.bytes[Int(slot.lower) + offset] {
                        equal = false
                        break
                    }
                }
                if equal { return Int(slot.value) }
            }
            index = (index + 1) & Int(self.mask)
        }
        return nil
    }
}

enum ASCIIFold {
    @inline(__always)
    static func lower(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }
}
