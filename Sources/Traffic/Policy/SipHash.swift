/// SipHash-1-3 (Aumasson, Bernstein 2012): a hash under a key, so that nobody outside can choose what falls together.
package struct SipHash {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64
    private var tail: UInt64 = 0
    private var count: UInt64 = 0

    package init(key: (UInt64, UInt64)) {
        self.v0 = key.0 ^ 0x736F_6D65_7073_6575
        self.v1 = key.1 ^ 0x646F_7261_6E64_6F6D
        self.v2 = key.0 ^ 0x6C79_6765_6E65_7261
        self.v3 = key.1 ^ 0x7465_6462_7974_6573
    }

    package mutating func add(_ byte: UInt8) {
        self.tail |= UInt64(byte) << (8 * (self.count & 7))
        self.count &+= 1
        if self.count & 7 == 0 { self.compress() }
    }

    package mutating func add(_ value: UInt64) {
        for place in 0..<8 { self.add(UInt8(truncatingIfNeeded: value >> UInt64(8 * place))) }
    }

    package mutating func add(_ bytes: borrowing Span<UInt8>) {
        for index in bytes.indices { self.add(bytes[index]) }
    }

    /// Of what was added.
    package consuming func finish() -> UInt64 {
        self.tail |= (self.count & 0xFF) << 56
        self.compress()
        self.v2 ^= 0xFF
        for _ in 0..<3 { self.round() }
        return self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    private mutating func compress() {
        self.v3 ^= self.tail
        self.round()
        self.v0 ^= self.tail
        self.tail = 0
    }

    private mutating func round() {
        self.v0 = self.v0 &+ self.v1
        self.v1 = self.v1 << 13 | self.v1 >> 51
        self.v1 ^= self.v0
        self.v0 = self.v0 << 32 | self.v0 >> 32
        self.v2 = self.v2 &+ self.v3
        self.v3 = self.v3 << 16 | self.v3 >> 48
        self.v3 ^= self.v2
        self.v0 = self.v0 &+ self.v3
        self.v3 = self.v3 << 21 | self.v3 >> 43
        self.v3 ^= self.v0
        self.v2 = self.v2 &+ self.v1
        self.v1 = self.v1 << 17 | self.v1 >> 47
        self.v1 ^= self.v2
        self.v2 = self.v2 << 32 | self.v2 >> 32
    }
}
