/// Appends bytes into memory that the caller owns. What does not fit whole is left out, and so is everything behind it; the
/// writer says so.
package struct ByteWriter: ~Copyable {
    private let base: UnsafeMutableRawPointer?
    /// Bytes that may be written; what has been written already once something did not fit.
    private var limit: Int
    package private(set) var count = 0
    /// Something did not fit: what is there is not whole.
    package private(set) var overflowed = false

    /// The memory must outlive the writer.
    @inline(__always)
    package init(_ buffer: UnsafeMutableRawBufferPointer) {
        self.base = buffer.baseAddress
        self.limit = buffer.count
    }

    /// Room for `size` bytes, which count as written. nil: there is none.
    @inline(__always)
    private mutating func room(_ size: Int) -> UnsafeMutableRawPointer? {
        guard size <= self.limit &- self.count, let base = self.base else {
            if size > 0 { self.overflow() }
            return nil
        }
        let room = base + self.count
        self.count &+= size
        return room
    }

    @inline(never)
    private mutating func overflow() {
        self.overflowed = true
        self.limit = self.count
    }

    @inline(__always)
    package mutating func append(_ byte: UInt8) {
        self.room(1)?.storeBytes(of: byte, as: UInt8.self)
    }

    @inline(__always)
    package mutating func append(raw bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        self.room(bytes.count)?.copyMemory(from: source, byteCount: bytes.count)
    }

    @inline(__always)
    package mutating func append(_ bytes: borrowing Span<UInt8>) {
        bytes.withUnsafeBytes { self.append(raw: $0) }
    }

    @inline(__always)
    package mutating func append(_ bytes: borrowing Span<UInt8>, _ range: ByteRange) {
        self.append(bytes, Int(range.lower)..<Int(range.upper))
    }

    @inline(__always)
    mutating func append(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        bytes.withUnsafeBytes { buffer in
            self.append(raw: UnsafeRawBufferPointer(rebasing: buffer[range]))
        }
    }

    /// A constant: its length is known to the compiler, which copies it without a loop.
    @inline(__always)
    package mutating func append(_ text: StaticString) {
        self.room(text.utf8CodeUnitCount)?.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    }

    /// Copies an array's bytes.
    @inline(__always)
    package mutating func append(bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.append(raw: $0) }
    }

    package mutating func append(utf8 text: String) {
        for byte in text.utf8 { self.append(byte) }
    }

    package mutating func append(decimal value: UInt64) {
        var size = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            size += 1
        }
        guard let room = self.room(size) else { return }
        rest = value
        while size > 0 {
            size &-= 1
            room.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 &+ rest % 10), toByteOffset: size, as: UInt8.self)
            rest /= 10
        }
    }

    /// Lower-case hexadecimal without leading zeros.
    package mutating func append(hex value: UInt64) {
        var size = max(1, (67 - value.leadingZeroBitCount) / 4)
        guard let room = self.room(size) else { return }
        var rest = value
        while size > 0 {
            size &-= 1
            let digit = UInt8(truncatingIfNeeded: rest & 0xF)
            room.storeBytes(of: digit < 10 ? 0x30 &+ digit : 0x57 &+ digit, toByteOffset: size, as: UInt8.self)
            rest >>= 4
        }
    }

    /// Sixteen lower-case hexadecimal digits.
    package mutating func append(paddedHex value: UInt64) {
        guard let room = self.room(16) else { return }
        room.storeBytes(of: Self.digits(value >> 32).littleEndian, as: UInt64.self)
        room.storeBytes(of: Self.digits(value & 0xFFFF_FFFF).littleEndian, toByteOffset: 8, as: UInt64.self)
    }

    /// Eight digits of 32 bits, the first one lowest. Halves are moved apart until each byte holds four bits.
    @inline(__always)
    private static func digits(_ value: UInt64) -> UInt64 {
        var spread = (value & 0xFFFF) << 32 | value >> 16
        spread = (spread & 0x0000_00FF_0000_00FF) << 16 | (spread & 0x0000_FF00_0000_FF00) >> 8
        spread = (spread & 0x000F_000F_000F_000F) << 8 | (spread & 0x00F0_00F0_00F0_00F0) >> 4
        // Ten and more carry into the upper half of their byte.
        let letters = (spread &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return spread &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
    }
}
