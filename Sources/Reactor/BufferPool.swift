/// Blocks of memory that a worker lends to the connections that need to hold bytes for a while, and takes back.
///
/// Four sizes. A connection that holds nothing holds no block: that is what makes an idle connection cheap.
package struct BufferPool: ~Copyable {
    /// 4 KiB holds nearly every request head; 256 KiB is what one read may leave unsent.
    package static let sizes = (4_096, 16_384, 65_536, 262_144)
    /// Free blocks kept per size, by bytes: memory of a burst goes back to the system, that of the steady state stays.
    private static let keptBytesPerSize = 2 << 20

    private var free:
        (
            ContiguousArray<UnsafeMutableRawPointer>, ContiguousArray<UnsafeMutableRawPointer>,
            ContiguousArray<UnsafeMutableRawPointer>, ContiguousArray<UnsafeMutableRawPointer>
        ) = ([], [], [], [])
    /// Bytes lent out now.
    package private(set) var lent = 0

    package init() {
        self.free.0.reserveCapacity(Self.keptBytesPerSize / Self.sizes.0)
        self.free.1.reserveCapacity(Self.keptBytesPerSize / Self.sizes.1)
        self.free.2.reserveCapacity(Self.keptBytesPerSize / Self.sizes.2)
        self.free.3.reserveCapacity(Self.keptBytesPerSize / Self.sizes.3)
    }

    deinit {
        for pointer in self.free.0 { pointer.deallocate() }
        for pointer in self.free.1 { pointer.deallocate() }
        for pointer in self.free.2 { pointer.deallocate() }
        for pointer in self.free.3 { pointer.deallocate() }
    }

    /// A block of at least `count` bytes. More than the largest size is allocated for itself and freed when it returns.
    package mutating func take(atLeast count: Int) -> UnsafeMutableRawBufferPointer {
        let size: Int
        let kept: UnsafeMutableRawPointer?
        switch count {
        case ...Self.sizes.0: (size, kept) = (Self.sizes.0, self.free.0.popLast())
        case ...Self.sizes.1: (size, kept) = (Self.sizes.1, self.free.1.popLast())
        case ...Self.sizes.2: (size, kept) = (Self.sizes.2, self.free.2.popLast())
        case ...Self.sizes.3: (size, kept) = (Self.sizes.3, self.free.3.popLast())
        default: (size, kept) = (count, nil)
        }
        self.lent += size
        let pointer = kept ?? UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        return UnsafeMutableRawBufferPointer(start: pointer, count: size)
    }

    package mutating func give(back block: UnsafeMutableRawBufferPointer) {
        guard let pointer = block.baseAddress else { return }
        self.lent -= block.count
        switch block.count {
        case Self.sizes.0 where self.free.0.count < Self.keptBytesPerSize / Self.sizes.0: self.free.0.append(pointer)
        case Self.sizes.1 where self.free.1.count < Self.keptBytesPerSize / Self.sizes.1: self.free.1.append(pointer)
        case Self.sizes.2 where self.free.2.count < Self.keptBytesPerSize / Self.sizes.2: self.free.2.append(pointer)
        case Self.sizes.3 where self.free.3.count < Self.keptBytesPerSize / Self.sizes.3: self.free.3.append(pointer)
        default: pointer.deallocate()
        }
    }
}

/// Bytes waiting for their turn: unsent output, or input that is not yet a whole message. Empty, it owns no memory.
///
/// A trivial value: its holder must call `clear` before dropping it, as it must close its socket.
package struct ByteQueue {
    private var block = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var lower = 0
    private var upper = 0

    package init() {}

    package var count: Int { self.upper - self.lower }
    package var isEmpty: Bool { self.upper == self.lower }

    /// Valid until the next mutation.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.block)[self.lower..<self.upper])
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer, pool: inout BufferPool) {
        guard bytes.count > 0 else { return }
        if self.upper + bytes.count > self.block.count { self.makeRoom(for: bytes.count, pool: &pool) }
        UnsafeMutableRawBufferPointer(rebasing: self.block[self.upper...]).copyMemory(from: bytes)
        self.upper += bytes.count
    }

    /// Drops the first `count` bytes; the block goes back when nothing is left.
    package mutating func consume(_ count: Int, pool: inout BufferPool) {
        self.lower += count
        if self.lower >= self.upper { self.clear(pool: &pool) }
    }

    package mutating func clear(pool: inout BufferPool) {
        if self.block.count > 0 { pool.give(back: self.block) }
        self.block = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        self.lower = 0
        self.upper = 0
    }

    private mutating func makeRoom(for extra: Int, pool: inout BufferPool) {
        let held = self.count
        if self.block.count >= held + extra {
            self.block.copyMemory(from: self.bytes)  // copyMemory allows overlap
        } else {
            let larger = pool.take(atLeast: held + extra)
            larger.copyMemory(from: self.bytes)
            if self.block.count > 0 { pool.give(back: self.block) }
            self.block = larger
        }
        self.lower = 0
        self.upper = held
    }
}
