extension HeadParser {
    /// Parses a response head at the start of `bytes`, given the method it answers, which decides whether a body
    /// follows (RFC 9112 6.3). nil: incomplete.
    package static func response(
        _ bytes: Span<UInt8>, to method: HTTPMethod, limits: HeadLimits, fields: inout FieldTable
    ) throws(HeadError) -> ResponseHead? {
        fields.removeAll()
        let end = bytes.count
        var cursor = 0
        guard let line = try Self.statusLine(bytes, cursor: &cursor) else {
            if Self.unfinished(bytes, from: 0) > limits.requestLine || end > limits.bytes { throw .headTooLarge }
            return nil
        }
        if cursor - 2 > limits.requestLine { throw .headTooLarge }
        guard let summary = try Self.fields(bytes, cursor: &cursor, limits: limits, into: &fields) else {
            if end > limits.bytes { throw .headTooLarge }
            return nil
        }
        if cursor > limits.bytes { throw .headTooLarge }
        let framing = try Self.framing(summary, line: line, method: method)
        return ResponseHead(
            length: cursor, startLine: line.whole, status: line.status, reason: line.reason,
            minorVersion: line.minorVersion,
            framing: framing,
            persistent: line.minorVersion == 1 ? !summary.close : summary.keepAlive && !summary.close,
            upgrade: summary.upgrade, hasUpgrade: summary.connectionUpgrade && summary.hasUpgrade,
            hasDate: summary.hasDate)
    }

    private struct StatusLine {
        var whole: ByteRange
        var status: UInt16
        var reason: ByteRange
        var minorVersion: UInt8
    }

    /// HTTP/1.x SP 3DIGIT [SP reason] CRLF; the space before an absent reason is often forgotten and is not missed.
    private static func statusLine(
        _ bytes: borrowing Span<UInt8>, cursor: inout Int
    ) throws(HeadError) -> StatusLine? {
        let end = bytes.count
        guard let minor = try Self.version(bytes, cursor: &cursor) else { return nil }
        guard cursor < end else { return nil }
        guard bytes[cursor] == Self.space else { throw .malformed(.badStatus) }
        cursor += 1
        var status: UInt16 = 0
        for _ in 0..<3 {
            guard cursor < end else { return nil }
            let digit = bytes[cursor] &- 0x30
            guard digit <= 9 else { throw .malformed(.badStatus) }
            status = status * 10 + UInt16(digit)
            cursor += 1
        }
        guard status >= 100, status <= 599 else { throw .malformed(.badStatus) }
        guard cursor < end else { return nil }
        var reasonStart = cursor
        if bytes[cursor] == Self.space {
            cursor += 1
            reasonStart = cursor
            cursor = ByteScan.control(bytes, from: cursor)
            guard cursor < end else { return nil }
        }
        guard bytes[cursor] == Self.cr else {
            throw .malformed(bytes[cursor] == Self.lf ? .bareLF : .badStatus)
        }
        let reason = ByteRange(reasonStart, cursor)
        guard cursor + 1 < end else { return nil }
        guard bytes[cursor + 1] == Self.lf else { throw .malformed(.bareCR) }
        cursor += 2
        return StatusLine(whole: ByteRange(0, cursor), status: status, reason: reason, minorVersion: minor)
    }

    private static func framing(
        _ summary: Summary, line: StatusLine, method: HTTPMethod
    ) throws(HeadError) -> BodyFraming {
        if summary.isChunked {
            if line.minorVersion == 0 { throw .malformed(.transferEncodingInHTTP10) }
            if summary.lengthCount > 0 { throw .malformed(.lengthWithTransferEncoding) }
        }
        if line.status < 200 || line.status == 204 {
            // Neither may have a body; a sender that announces one means something else by it than we do.
            if summary.isChunked || (summary.lengthCount > 0 && summary.length > 0) {
                throw .malformed(.bodyNotAllowed)
            }
            return .none
        }
        if method == .head || line.status == 304 { return .none }
        if summary.isChunked { return .chunked }
        return summary.lengthCount > 0 ? .length(summary.length) : .untilClose
    }
}
