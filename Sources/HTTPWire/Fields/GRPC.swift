/// What a proxy has to understand of gRPC over HTTP/2: its content type, its deadline, and its statuses.
package enum GRPC {
    /// Statuses that gRPC defines, 0 to 16; others are counted as one, and so is none.
    package static let statuses = 17

    /// Whether a status is the server's fault: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS. The others tell of the
    /// call.
    package static func isServerFault(_ status: Int8) -> Bool {
        switch status {
        case 2, 4, 13, 14, 15: true
        default: false
        }
    }

    /// Whether a content type is gRPC's: `application/grpc`, alone or with a format; not `application/grpc-web`.
    package static func isType(_ bytes: borrowing Span<UInt8>, _ value: ByteRange) -> Bool {
        guard ASCII.hasPrefixIgnoringCase(bytes, value, lowercase: "application/grpc") else { return false }
        guard value.count > 16 else { return true }
        let next = bytes[Int(value.lower) + 16]
        return next == 0x2B || next == 0x3B || next == 0x20 || next == 0x09
    }

    /// Milliseconds of a `grpc-timeout`, at least 1: up to eight digits and a unit. nil: it is none.
    package static func timeout(_ bytes: borrowing Span<UInt8>, _ value: ByteRange) -> UInt64? {
        guard value.count >= 2, value.count <= 9 else { return nil }
        var number: UInt64 = 0
        for index in Int(value.lower)..<Int(value.upper) - 1 {
            let digit = bytes[index] &- 0x30
            guard digit <= 9 else { return nil }
            number = number * 10 + UInt64(digit)
        }
        let milliseconds: UInt64
        switch bytes[Int(value.upper) - 1] {
        case 0x48: milliseconds = number * 3_600_000
        case 0x4D: milliseconds = number * 60_000
        case 0x53: milliseconds = number * 1_000
        case 0x6D: milliseconds = number
        case 0x75: milliseconds = number / 1_000
        case 0x6E: milliseconds = number / 1_000_000
        default: return nil
        }
        return max(1, milliseconds)
    }

    /// The number of a `grpc-status`; all that gRPC does not define is 17.
    package static func status(_ bytes: UnsafeRawBufferPointer) -> UInt8 {
        guard bytes.count == 1 || bytes.count == 2 else { return UInt8(Self.statuses) }
        var number: UInt8 = 0
        for byte in bytes {
            let digit = byte &- 0x30
            guard digit <= 9 else { return UInt8(Self.statuses) }
            number = number * 10 + digit
        }
        return min(number, UInt8(Self.statuses))
    }

    /// The `grpc-status` among lines as a body's trailers are kept; nil: there is none.
    package static func status(inLines bytes: UnsafeRawBufferPointer) -> UInt8? {
        let name: StaticString = "grpc-status"
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != 0x0D { end += 1 }
            let line = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            let colon = name.utf8CodeUnitCount
            if line.count > colon, line[colon] == 0x3A,
                FieldRules.equalsIgnoringCase(UnsafeRawBufferPointer(rebasing: line[..<colon]), name)
            {
                var lower = colon + 1
                while lower < line.count, line[lower] == 0x20 { lower += 1 }
                return Self.status(UnsafeRawBufferPointer(rebasing: line[lower...]))
            }
            start = end + 2
        }
        return nil
    }

    /// What stands for an answer of ours with that status.
    package static func status(ofHTTP status: UInt16) -> UInt8 {
        switch status {
        case 400: 13
        case 401: 16
        case 403: 7
        case 404, 405: 12
        case 408: 4
        case 413, 414, 429, 431: 8
        case 499: 1
        case 421, 502, 503, 504: 14
        case 500...: 13
        default: 2
        }
    }

    /// A `grpc-message`: what is not visible ASCII, and the per cent sign, as an escape.
    package static func writeMessage(_ text: StaticString, into writer: inout ByteWriter) {
        for index in 0..<text.utf8CodeUnitCount { self.write(text.utf8Start[index], into: &writer) }
    }

    package static func writeMessage(_ text: String, into writer: inout ByteWriter) {
        for byte in text.utf8 { self.write(byte, into: &writer) }
    }

    private static func write(_ byte: UInt8, into writer: inout ByteWriter) {
        guard byte < 0x20 || byte > 0x7E || byte == 0x25 else { return writer.append(byte) }
        writer.append(0x25)
        for digit in [byte >> 4, byte & 0xF] { writer.append(digit < 10 ? 0x30 + digit : 0x37 + digit) }
    }
}
