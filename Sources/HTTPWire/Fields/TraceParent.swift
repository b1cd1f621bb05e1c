/// `traceparent` of W3C Trace Context, level 1: which trace a request belongs to, below which span, and whether it is recorded.
package struct TraceParent: Equatable, Sendable {
    /// Bytes of version 00. Later versions may have more behind it.
    private static let length = 55
    private static let sampled: UInt8 = 1

    package var traceHigh: UInt64
    package var traceLow: UInt64
    package var parent: UInt64
    package var flags: UInt8

    package init(traceHigh: UInt64, traceLow: UInt64, parent: UInt64, flags: UInt8 = 1) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.parent = parent
        self.flags = flags
    }

    /// nil: it is none, and the specification wants it to be taken as if it were not there.
    package init?(_ bytes: borrowing Span<UInt8>, _ range: ByteRange) {
        let start = Int(range.lower)
        guard range.count >= Self.length, start + range.count <= bytes.count,
            bytes[start + 2] == 0x2D, bytes[start + 35] == 0x2D, bytes[start + 52] == 0x2D,
            let version = Self.number(bytes, start, digits: 2), version != 0xFF,
            let high = Self.number(bytes, start + 3, digits: 16), let low = Self.number(bytes, start + 19, digits: 16),
            high != 0 || low != 0,
            let parent = Self.number(bytes, start + 36, digits: 16), parent != 0,
            let flags = Self.number(bytes, start + 53, digits: 2)
        else { return nil }
        if range.count > Self.length {
            // Version 00 ends here, and what later ones add stands behind a hyphen.
            guard version != 0, bytes[start + Self.length] == 0x2D else { return nil }
        }
        self.traceHigh = high
        self.traceLow = low
        self.parent = parent
        // Of a later version only this flag is known to mean what it means here.
        self.flags = UInt8(truncatingIfNeeded: flags) & (version == 0 ? 0xFF : Self.sampled)
    }

    package var isSampled: Bool { self.flags & Self.sampled != 0 }

    /// The whole line, of version 00.
    package func writeLine(into writer: inout ByteWriter) {
        writer.append("traceparent: 00-")
        writer.append(paddedHex: self.traceHigh)
        writer.append(paddedHex: self.traceLow)
        writer.append(0x2D)
        writer.append(paddedHex: self.parent)
        writer.append(0x2D)
        writer.append(Self.digit(self.flags >> 4))
        writer.append(Self.digit(self.flags & 0xF))
        writer.append("\r\n")
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

    /// Lower-case hexadecimal digits; nil: something else is among them.
    private static func number(_ bytes: borrowing Span<UInt8>, _ start: Int, digits: Int) -> UInt64? {
        var value: UInt64 = 0
        for place in start..<start + digits {
            switch bytes[place] {
            case let byte where byte >= 0x30 && byte <= 0x39: value = value << 4 | UInt64(byte - 0x30)
            case let byte where byte >= 0x61 && byte <= 0x66: value = value << 4 | UInt64(byte - 0x57)
            default: return nil
            }
        }
        return value
    }
}

/// What a request's fields say of the trace that it belongs to.
package enum TraceWord: Equatable, Sendable {
    /// Nothing.
    case none
    /// Nothing that could be followed.
    case invalid
    case parent(TraceParent)

    /// Fields that `Connection` names are not passed on, and say nothing to anybody behind.
    package static func of(_ fields: FieldList, in source: borrowing Span<UInt8>) -> TraceWord {
        var word = TraceWord.none
        for index in 0..<fields.count {
            let field = fields[index]
            guard field.name.count == 11, !field.nominated,
                ASCII.equalsIgnoringCase(source, field.name, lowercase: "traceparent")
            else { continue }
            // Of two nobody knows which is meant.
            guard word == .none, let parent = TraceParent(source, field.value) else { return .invalid }
            word = .parent(parent)
        }
        return word
    }
}
