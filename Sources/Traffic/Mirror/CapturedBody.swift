/// A body as it passes by: its bytes up to a limit, beyond that its length and a hash of all of it.
package struct CapturedBody: Sendable, Equatable {
    /// Empty once the body is longer than the limit.
    package private(set) var bytes: [UInt8] = []
    package private(set) var length: UInt64 = 0
    private var hash = BodyHash()
    private let limit: Int
    /// Bytes that the lease was asked for.
    private var leased = 0

    package init(limit: Int) { self.limit = limit }

    /// Nothing of it was left out.
    package var isWhole: Bool { self.length <= UInt64(self.limit) }

    /// Of all bytes; of a body that is kept whole nobody needs it.
    package var digest: UInt64 { self.hash.value }

    /// More came than is kept, and more than the whole of the other: whatever follows, they differ.
    package func outgrows(_ other: CapturedBody) -> Bool { !self.isWhole && self.length > other.length }

    /// Takes a further piece; false if there is no memory for it, and then the body is of no use.
    package mutating func append(_ piece: UnsafeRawBufferPointer, _ lease: MirrorLease) -> Bool {
        guard piece.count > 0 else { return true }
        let wasWhole = self.isWhole
        self.length &+= UInt64(piece.count)
        guard self.isWhole else {
            if wasWhole {
                self.bytes.withUnsafeBytes { self.hash.add($0) }
                self.bytes = []
            }
            self.hash.add(piece)
            return true
        }
        let count = self.bytes.count + piece.count
        if count > self.leased {
            // Doubled, so that what comes in small pieces is moved a bounded number of times.
            let room = min(max(count, self.leased * 2), self.limit)
            guard lease.grow(by: room - self.leased) else { return false }
            self.leased = room
            self.bytes.reserveCapacity(room)
        }
        self.bytes.append(contentsOf: piece)
        return true
    }
}

/// A hash of bytes that come in pieces, the same however they are cut. Not for what an adversary chooses.
package struct BodyHash: Sendable, Equatable {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    /// Bytes that do not fill a word yet, the first one lowest.
    private var rest: UInt64 = 0
    private var restCount: UInt64 = 0
    private var count: UInt64 = 0

    package init() {}

    package var value: UInt64 {
        var last = self
        last.mix(self.rest)
        return SplitMix64.mix(last.state ^ self.count)
    }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        self.count &+= UInt64(bytes.count)
        var index = 0
        while index < bytes.count, self.restCount > 0 {
            self.add(byte: bytes[index])
            index += 1
        }
        while bytes.count - index >= 8 {
            self.mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)))
            index += 8
        }
        while index < bytes.count {
            self.add(byte: bytes[index])
            index += 1
        }
    }

    private mutating func add(byte: UInt8) {
        self.rest |= UInt64(byte) << (self.restCount * 8)
        self.restCount += 1
        guard self.restCount == 8 else { return }
        self.mix(self.rest)
        self.rest = 0
        self.restCount = 0
    }

    private mutating func mix(_ word: UInt64) {
        self.state = (self.state ^ word) &* 0xFF51_AFD7_ED55_8CCD
        self.state ^= self.state >> 32
    }
}
