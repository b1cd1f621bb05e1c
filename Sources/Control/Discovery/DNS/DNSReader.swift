/// Reads a DNS message from its first byte to its last. Every read is bounded; nothing traps.
struct DNSReader {
    private let bytes: [UInt8]
    private(set) var position: Int

    init(_ bytes: [UInt8], at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    mutating func byte() throws(DNSFault) -> UInt8 {
        guard self.position < self.bytes.count else { throw .cutShort }
        defer { self.position += 1 }
        return self.bytes[self.position]
    }

    mutating func uint16() throws(DNSFault) -> UInt16 {
        let high = try self.byte()
        return UInt16(high) << 8 | UInt16(try self.byte())
    }

    mutating func uint32() throws(DNSFault) -> UInt32 {
        let high = try self.uint16()
        return UInt32(high) << 16 | UInt32(try self.uint16())
    }

    mutating func uint64() throws(DNSFault) -> UInt64 {
        let high = try self.uint32()
        return UInt64(high) << 32 | UInt64(try self.uint32())
    }

    mutating func skip(_ count: Int) throws(DNSFault) {
        guard count >= 0, count <= self.bytes.count - self.position else { throw .cutShort }
        self.position += count
    }

    /// A name, compressed or not (RFC 1035 §4.1.4). A pointer must lead to before the place where the present run of
    /// labels began, so that each leads further back than the last and no message can make this loop.
    mutating func name() throws(DNSFault) -> DNSName {
        var wire: [UInt8] = []
        var start = self.position
        var cursor = self.position
        var end: Int?
        while true {
            guard cursor < self.bytes.count else { throw .cutShort }
            let length = Int(self.bytes[cursor])
            switch length >> 6 {
            case 0:
                guard cursor + 1 + length <= self.bytes.count else { throw .cutShort }
                guard wire.count + 1 + length <= DNSName.limit else { throw .badName }
                wire.append(contentsOf: self.bytes[cursor..<(cursor + 1 + length)])
                cursor += 1 + length
                if length == 0 {
                    self.position = end ?? cursor
                    return DNSName(wire: wire)
                }
            case 3:
                guard cursor + 1 < self.bytes.count else { throw .cutShort }
                let target = (length & 0x3F) << 8 | Int(self.bytes[cursor + 1])
                guard target < start else { throw .badName }
                end = end ?? cursor + 2
                start = target
                cursor = target
            default: throw .badName
            }
        }
    }
}

/// Why bytes are not the answer that they should be.
enum DNSFault: Error, Sendable, Equatable {
    /// A length leads past the end.
    case cutShort
    /// Too long, a reserved label type, or a pointer that does not lead backwards.
    case badName
    /// No response, or one to another question.
    case unrelated
    /// A record's data is not what its type says.
    case badRecord
}
