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
