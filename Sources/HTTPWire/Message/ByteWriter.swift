/// Appends bytes into memory that the caller owns. Past the end it writes nothing more and says so.
package struct ByteWriter: ~Copyable {
    private let buffer: UnsafeMutableRawBufferPointer
    package private(set) var count = 0
    /// Something did not fit: what is there is not whole.
    package private(set) var overflowed = false

    /// The memory must outlive the writer.
    package init(_ buffer: UnsafeMutableRawBufferPointer) {
        self.buffer = buffer
    }

    package mutating func append(_ byte: UInt8) {
        guard self.count < self.buffer.count else {
            self.overflowed = true
            return
        }
        self.buffer[self.count] = byte
        self.count += 1
    }

    package mutating func append(raw bytes: UnsafeRawBufferPointer) {
        guard !self.overflowed, bytes.count <= self.buffer.count - self.count else {
            self.overflowed = true
            return
        }
        UnsafeMutableRawBufferPointer(rebasing: self.buffer[self.count...]).copyMemory(from: bytes)
        self.count += bytes.count
    }

    package mutating func append(_ bytes: borrowing Span<UInt8>) {
        bytes.withUnsafeBytes { self.append(raw: $0) }
    }

    package mutating func append(_ bytes: borrowing Span<UInt8>, _ range: ByteRange) {
        let part = bytes.extracting(Int(range.lower)..<Int(range.upper))
        part.withUnsafeBytes { self.append(raw: $0) }
    }

    package mutating func append(_ text: StaticString) {
        self.append(raw: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    package mutating func append(utf8 text: String) {
        for byte in text.utf8 { self.append(byte) }
    }

    package mutating func append(decimal value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            self.append(UInt8(truncatingIfNeeded: 0x30 + value / divisor % 10))
            divisor /= 10
        }
    }

    /// Lower-case hexadecimal without leading zeros.
    package mutating func append(hex value: UInt64) {
        var shift: UInt64 = 60
        while shift > 0, value >> shift == 0 { shift -= 4 }
        while true {
            let digit = UInt8(truncatingIfNeeded: value >> shift & 0xF)
            self.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
            if shift == 0 { break }
            shift -= 4
        }
    }
}
