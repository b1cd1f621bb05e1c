/// Strict HTTP/1.x heads (RFC 9112). One pass over the bytes; what two parsers could read differently is refused.
package enum HeadParser {
    static let cr: UInt8 = 0x0D
    static let lf: UInt8 = 0x0A
    static let space: UInt8 = 0x20
    static let tab: UInt8 = 0x09

    /// Bytes at the start that are an empty line and no request (RFC 9112 2.2): 2 for CRLF, which may be skipped once
    /// before each request; 1 for a CR whose LF is still to come; else 0. A connection that holds no more than that has not
    /// begun a request.
    package static func leadingEmptyLine(_ bytes: Span<UInt8>) -> Int {
        guard bytes.count > 0, bytes[0] == Self.cr else { return 0 }
        guard bytes.count > 1 else { return 1 }
        return bytes[1] == Self.lf ? 2 : 0
    }

    /// What the fields say together.
    struct Summary {
        var hostCount = 0
        var host = ByteRange.empty
        var lengthCount = 0
        var length: UInt64 = 0
        var codingCount = 0
        var isChunked = false
        var hasConnection = false
        var close = false
        var keepAlive = false
        var connectionUpgrade = false
        var upgrade = ByteRange.empty
        var hasUpgrade = false
        var expectContinue = false
        var expectOther = false
        var hasDate = false
        /// The least of them, should there be several.
        var maxForwards: UInt32?
    }

    /// Parses fields from `cursor` up to and including the blank line. nil: incomplete. `cursor` ends behind the head.
    static func fields(
        _ bytes: borrowing Span<UInt8>, cursor: inout Int, limits: HeadLimits, into fields: inout FieldTable
    ) throws(HeadError) -> Summary? {
        var summary = Summary()
        let end = bytes.count
        while true {
            guard cursor < end else { return nil }
            let start = cursor
            if bytes[cursor] == Self.cr {
                guard cursor + 1 < end else { return nil }
                guard bytes[cursor + 1] == Self.lf else { throw .malformed(.bareCR) }
                cursor += 2
                break
            }
            let (nameEnd, hasUnderscore) = ByteScan.tokenEnd(bytes, from: cursor)
            cursor = nameEnd
            guard cursor < end else { return nil }
            guard bytes[cursor] == 0x3A, cursor > start else {
                guard let fault = Self.nameFault(bytes, at: cursor, from: start) else { return nil }
                throw fault
            }
            let name = ByteRange(start, cursor)
            // Nearly all lines are as we would write them: one blank before the value, none behind it.
            let isUsual =
                Self.pair(bytes, at: cursor) == Self.colonBlank && cursor &+ 2 < end && bytes[cursor &+ 2] > 0x20
            cursor = isUsual ? cursor &+ 2 : Self.valueStart(bytes, behind: cursor)
            let valueStart = cursor
            cursor = ByteScan.control(bytes, from: cursor)
            if Self.pair(bytes, at: cursor) != Self.lineEnd {
                guard cursor < end else { return nil }
                guard bytes[cursor] == Self.cr else {
                    throw .malformed(bytes[cursor] == Self.lf ? .bareLF : .forbiddenByte)
                }
                guard cursor + 1 < end else { return nil }
                throw .malformed(.bareCR)
            }
            var valueEnd = cursor
            while valueEnd > valueStart, bytes[valueEnd &- 1] == Self.space || bytes[valueEnd &- 1] == Self.tab {
                valueEnd &-= 1
            }
            guard fields.count < limits.count else { throw .tooManyFields }
            let value = ByteRange(valueStart, valueEnd)
            let id = hasUnderscore ? .other : fields.index.name(bytes, name)
            var traits: Field.Traits = hasUnderscore ? .underscore : []
            // Of an empty value it is enough that the blank is there.
            let isCanonical =
                isUsual || (valueStart == nameEnd &+ 2 && bytes[nameEnd &+ 1] == Self.space)
            if isCanonical, valueEnd == cursor { traits.insert(.canonical) }
            cursor &+= 2
            fields.append(Field(name: name, value: value, id: id, traits: traits))
            if id != .other { try Self.note(id, value, bytes, &summary) }
        }
        if summary.hasConnection { try Self.readConnection(bytes, &fields, &summary) }
        return summary
    }

    /// Two bytes as they are compared below.
    private static let colonBlank: UInt16 = 0x203A
    private static let lineEnd: UInt16 = 0x0A0D

    /// The two bytes at `index`, the first one lowest; 0 if there are not so many.
    @inline(__always)
    private static func pair(_ bytes: borrowing Span<UInt8>, at index: Int) -> UInt16 {
        guard index >= 0, index <= bytes.count &- 2 else { return 0 }
        return UInt16(
            littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: index, as: UInt16.self) })
    }

    /// Where the value begins behind the colon: blanks and tabs are skipped.
    private static func valueStart(_ bytes: borrowing Span<UInt8>, behind colon: Int) -> Int {
        var index = colon + 1
        while index < bytes.count, bytes[index] == Self.space || bytes[index] == Self.tab { index += 1 }
        return index
    }

    /// What is wrong where a name should have ended; nil: the next byte will tell.
    private static func nameFault(
        _ bytes: borrowing Span<UInt8>, at cursor: Int, from start: Int
    ) -> HeadError? {
        switch bytes[cursor] {
        case 0x3A: .malformed(.emptyName)
        case Self.cr:
            // Whether a CR ends the line or stands in it is told by the byte behind it.
            cursor + 1 < bytes.count
                ? .malformed(bytes[cursor + 1] == Self.lf ? .missingColon : .bareCR) : nil
        case Self.space, Self.tab: .malformed(cursor == start ? .obsFold : .spaceBeforeColon)
        case Self.lf: .malformed(.bareLF)
        default: .malformed(.forbiddenByte)
        }
    }

    private static func note(
        _ id: FieldName, _ value: ByteRange, _ bytes: borrowing Span<UInt8>, _ summary: inout Summary
    ) throws(HeadError) {
        switch id {
        case .host:
            summary.hostCount += 1
            guard summary.hostCount == 1 else { throw .malformed(.severalHosts) }
            summary.host = value
        case .contentLength:
            // Even equal repetitions are refused: nobody honest sends them.
            summary.lengthCount += 1
            guard summary.lengthCount == 1 else { throw .malformed(.repeatedContentLength) }
            summary.length = try Self.contentLength(bytes, value)
        case .transferEncoding:
            summary.codingCount += 1
            guard summary.codingCount == 1, value.count == 7,
                ASCII.hasPrefixIgnoringCase(bytes, value, lowercase: "chunked")
            else { throw .malformed(.badTransferEncoding) }
            summary.isChunked = true
        case .connection: summary.hasConnection = true
        case .upgrade:
            guard !value.isEmpty else { return }
            // Several fields are one list; only the first is read and passed on.
            if !summary.hasUpgrade { summary.upgrade = value }
            summary.hasUpgrade = true
        case .expect: Self.readExpectations(bytes, value, &summary)
        case .date: summary.hasDate = true
        case .maxForwards:
            guard let hops = Self.hops(bytes, value) else { return }
            summary.maxForwards = min(hops, summary.maxForwards ?? .max)
        default: break
        }
    }

    /// A list, whose empty elements mean nothing (RFC 9110 5.6.1, 10.1.1).
    private static func readExpectations(
        _ bytes: borrowing Span<UInt8>, _ value: ByteRange, _ summary: inout Summary
    ) {
        var elements = ElementList(value)
        while let element = elements.next(in: bytes) {
            if element.count == 12, ASCII.hasPrefixIgnoringCase(bytes, element, lowercase: "100-continue") {
                summary.expectContinue = true
            } else {
                summary.expectOther = true
            }
        }
    }

    /// Digits; more than fit are as good as no limit. nil: something else, which says nothing.
    private static func hops(_ bytes: borrowing Span<UInt8>, _ value: ByteRange) -> UInt32? {
        guard !value.isEmpty else { return nil }
        var hops: UInt32 = 0
        for index in value.bounds {
            let digit = bytes[index] &- 0x30
            guard digit <= 9 else { return nil }
            let (product, overflow) = hops.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt32(digit))
            hops = overflow || carry ? .max : sum
        }
        return hops
    }

    private static func contentLength(
        _ bytes: borrowing Span<UInt8>, _ value: ByteRange
    ) throws(HeadError) -> UInt64 {
        guard !value.isEmpty, value.count <= 19 else { throw .malformed(.badContentLength) }
        var length: UInt64 = 0
        for index in Int(value.lower)..<Int(value.upper) {
            let digit = bytes[index] &- 0x30
            guard digit <= 9 else { throw .malformed(.badContentLength) }
            // Nineteen digits stay below 2^64.
            length = length * 10 + UInt64(digit)
        }
        guard length <= UInt64(Int64.max) else { throw .malformed(.badContentLength) }
        return length
    }

    /// Options of all `Connection` fields of a head. Each is compared with every field's name: without a bound, one
    /// head could cost the product of both. Honest ones name a handful.
    private static let connectionOptions = 64

    /// Reads the options of all `Connection` fields and marks the fields they name (RFC 9110 7.6.1).
    private static func readConnection(
        _ bytes: borrowing Span<UInt8>, _ fields: inout FieldTable, _ summary: inout Summary
    ) throws(HeadError) {
        var options = 0
        for index in 0..<fields.count where fields[index].id == .connection {
            // The two that nearly all are, alone.
            let isKeepAlive = ASCII.isToken(bytes, fields[index].value, "keep-alive")
            if isKeepAlive || ASCII.isToken(bytes, fields[index].value, "close") {
                if isKeepAlive { summary.keepAlive = true } else { summary.close = true }
                options += 1
                guard options <= Self.connectionOptions else { throw .malformed(.tooManyConnectionOptions) }
                continue
            }
            var position = Int(fields[index].value.lower)
            let end = Int(fields[index].value.upper)
            while position < end {
                while position < end, !ByteClass.isToken(bytes[position]) { position += 1 }
                let start = position
                while position < end, ByteClass.isToken(bytes[position]) { position += 1 }
                let option = ByteRange(start, position)
                guard !option.isEmpty else { continue }
                options += 1
                guard options <= Self.connectionOptions else { throw .malformed(.tooManyConnectionOptions) }
                if ASCII.isToken(bytes, option, "close") {
                    summary.close = true
                } else if ASCII.isToken(bytes, option, "keep-alive") {
                    summary.keepAlive = true
                } else if ASCII.isToken(bytes, option, "upgrade") {
                    summary.connectionUpgrade = true
                } else {
                    Self.nominate(option, bytes, &fields)
                }
            }
        }
    }

    private static func nominate(_ option: ByteRange, _ bytes: borrowing Span<UInt8>, _ fields: inout FieldTable) {
        for index in 0..<fields.count {
            let field = fields[index]
            guard OwnFields.mayBeNominated(field.id),
                ASCII.equalsIgnoringCase(bytes, field.name, bytes, option)
            else { continue }
            fields.nominate(index)
        }
    }
}
