/// Bytes waiting for their turn: unsent output, or input that is not yet a whole message. Empty, it owns no memory.
///
/// A trivial value: its holder must call `clear` before dropping it, as it must close its socket.
package struct ByteQueue {
    private var base: UnsafeMutableRawPointer?
    private var capacity: UInt32 = 0
    @usableFromInline var lower: UInt32 = 0
    @usableFromInline var upper: UInt32 = 0

    package init() {}

    @inline(__always)
    package var count: Int { Int(self.upper - self.lower) }
    @inline(__always)
    @inlinable package var isEmpty: Bool { self.upper == self.lower }
    /// Bytes of memory held.
    package var held: Int { Int(self.capacity) }

    /// Valid until the next mutation.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(self.mutableBytes) }

    /// The bytes themselves, for decoding in place. Valid until the next mutation.
    package var mutableBytes: UnsafeMutableRawBufferPointer {
        guard let base else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        return UnsafeMutableRawBufferPointer(start: base + Int(self.lower), count: self.count)
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer, pool: inout BufferPool) {
        guard bytes.count > 0 else { return }
        self.room(atLeast: bytes.count, pool: &pool).copyMemory(from: bytes)
        self.commit(bytes.count)
    }

    /// Free memory behind the bytes, at least `count` of it: read into it, then `commit`. Memory doubles, so that bytes
    /// which come one at a time are moved a bounded number of times each.
    package mutating func room(atLeast count: Int, pool: inout BufferPool) -> UnsafeMutableRawBufferPointer {
        if Int(self.capacity - self.upper) < count { self.makeRoom(for: count, pool: &pool) }
        guard let base else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        return UnsafeMutableRawBufferPointer(start: base + Int(self.upper), count: Int(self.capacity - self.upper))
    }

    /// Takes in `count` bytes that were written to `room`. A queue that holds nothing gives its memory back.
    package mutating func commit(_ count: Int) {
        precondition(count >= 0 && count <= Int(self.capacity - self.upper))
        self.upper += UInt32(truncatingIfNeeded: count)
    }

    /// Drops the first `count` bytes; the block goes back when nothing is left.
    package mutating func consume(_ count: Int, pool: inout BufferPool) {
        guard count < self.count else { return self.clear(pool: &pool) }
        self.lower += UInt32(truncatingIfNeeded: count)
    }

    package mutating func clear(pool: inout BufferPool) {
        if let base { pool.give(back: UnsafeMutableRawBufferPointer(start: base, count: Int(self.capacity))) }
        self.base = nil
        self.capacity = 0
        self.lower = 0
        self.upper = 0
    }

    private mutating func makeRoom(for extra: Int, pool: inout BufferPool) {
        let held = self.count
        if let base, Int(self.capacity) >= held + extra, Int(self.lower) >= held {
            // Moving them costs no more than what was consumed in front of them.
            base.copyMemory(from: base + Int(self.lower), byteCount: held)
        } else {
            let larger = pool.take(atLeast: held > 0 ? max(held + extra, held * 2) : extra)
            larger.copyMemory(from: self.bytes)
            if let base { pool.give(back: UnsafeMutableRawBufferPointer(start: base, count: Int(self.capacity))) }
            self.base = larger.baseAddress
            self.capacity = UInt32(clamping: larger.count)
        }
        self.lower = 0
        self.upper = UInt32(truncatingIfNeeded: held)
    }
}
