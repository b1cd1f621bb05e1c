extension HeadParser {
    /// Parses a request head at the start of `bytes`. nil: incomplete, and within limits so far. Throws as soon as the
    /// bytes cannot become an acceptable head. `fields` is emptied first.
    package static func request(
        _ bytes: Span<UInt8>, limits: HeadLimits, fields: inout FieldTable
    ) throws(HeadError) -> RequestHead? {
        fields.removeAll()
        let end = bytes.count
        var cursor = 0
        // One empty line before the request line is tolerated (RFC 9112 2.2).
        if end > 0, bytes[0] == Self.cr {
            guard end > 1 else { return nil }
            guard bytes[1] == Self.lf else { throw .malformed(.bareCR) }
            cursor = 2
        }
        let lineStart = cursor
        guard let line = try Self.requestLine(bytes, cursor: &cursor, limits: limits) else {
            if Self.unfinished(bytes, from: lineStart) > limits.requestLine { throw .requestLineTooLong }
            if end > limits.bytes { throw .headTooLarge }
            return nil
        }
        if cursor - lineStart - 2 > limits.requestLine { throw .requestLineTooLong }
        guard let summary = try Self.fields(bytes, cursor: &cursor, limits: limits, into: &fields) else {
            if end > limits.bytes { throw .headTooLarge }
            return nil
        }
        if cursor > limits.bytes { throw .headTooLarge }
        return try Self.assemble(line, summary, bytes: bytes, length: cursor)
    }

    /// Bytes of a line that has not ended, a CR that may end it left out.
    static func unfinished(_ bytes: borrowing Span<UInt8>, from start: Int) -> Int {
        let end = bytes.count
        return end > start && bytes[end - 1] == Self.cr ? end - start - 1 : end - start
    }

    private struct RequestLine {
        var whole: ByteRange
        var method: ByteRange
        var target: ByteRange
        var minorVersion: UInt8
    }

    /// method SP target SP HTTP/1.x CRLF
    private static func requestLine(
        _ bytes: borrowing Span<UInt8>, cursor: inout Int, limits: HeadLimits
    ) throws(HeadError) -> RequestLine? {
        let end = bytes.count
        let methodStart = cursor
        cursor = ByteScan.tokenEnd(bytes, from: cursor).end
        guard cursor < end else { return nil }
        guard bytes[cursor] == Self.space, cursor > methodStart else {
            throw .malformed(bytes[cursor] == Self.lf ? .bareLF : .badMethod)
        }
        let method = ByteRange(methodStart, cursor)
        cursor += 1
        let targetStart = cursor
        cursor = ByteScan.targetEnd(bytes, from: cursor)
        if cursor - methodStart > limits.requestLine { throw .requestLineTooLong }
        guard cursor < end else { return nil }
        guard bytes[cursor] == Self.space, cursor > targetStart else {
            throw .malformed(bytes[cursor] == Self.lf ? .bareLF : .badTarget)
        }
        let target = ByteRange(targetStart, cursor)
        cursor += 1
        guard let minor = try Self.version(bytes, cursor: &cursor) else { return nil }
        guard cursor < end else { return nil }
        guard bytes[cursor] == Self.cr else {
            throw .malformed(bytes[cursor] == Self.lf ? .bareLF : .badVersion)
        }
        guard cursor + 1 < end else { return nil }
        guard bytes[cursor + 1] == Self.lf else { throw .malformed(.bareCR) }
        cursor += 2
        return RequestLine(
            whole: ByteRange(methodStart, cursor), method: method, target: target, minorVersion: minor)
    }

    /// `HTTP/1.0` or `HTTP/1.1`; another version that is well written is not supported, anything else malformed.
    static func version(_ bytes: borrowing Span<UInt8>, cursor: inout Int) throws(HeadError) -> UInt8? {
        let end = bytes.count
        if end - cursor >= 8 {
            let word = ASCII.word(bytes, at: cursor, count: 8)
            if word == ASCII.word("HTTP/1.1") || word == ASCII.word("HTTP/1.0") {
                cursor += 8
                return word == ASCII.word("HTTP/1.1") ? 1 : 0
            }
        }
        let prefix: StaticString = "HTTP/"
        for offset in 0..<8 {
            guard cursor + offset < end else { return nil }
            let byte = bytes[cursor + offset]
            switch offset {
            case 0..<5:
                guard byte == prefix.withUTF8Buffer({ $0[offset] }) else { throw .malformed(.badVersion) }
            case 6: guard byte == 0x2E else { throw .malformed(.badVersion) }
            default: guard byte >= 0x30, byte <= 0x39 else { throw .malformed(.badVersion) }
            }
        }
        let major = bytes[cursor + 5]
        let minor = bytes[cursor + 7]
        guard major == 0x31, minor <= 0x31 else { throw .versionNotSupported }
        cursor += 8
        return minor - 0x30
    }

    private static func assemble(
        _ line: RequestLine, _ summary: Summary, bytes: borrowing Span<UInt8>, length: Int
    ) throws(HeadError) -> RequestHead {
        let method = HTTPMethod.classify(bytes, line.method)
        var head = RequestHead(
            length: length, startLine: line.whole, method: method, methodRange: line.method, target: line.target,
            form: .origin,
            path: .empty, query: .empty, hasQuery: false, authority: .empty, host: summary.host,
            minorVersion: line.minorVersion, framing: .none, persistent: false,
            expectContinue: summary.expectContinue && line.minorVersion == 1, wantsUpgrade: false,
            upgrade: summary.upgrade, maxForwards: summary.maxForwards)
        try Self.readTarget(&head, bytes: bytes)
        if summary.hostCount == 0 {
            if line.minorVersion == 1 { throw .malformed(.missingHost) }
        } else if !HostSyntax.isValid(bytes, summary.host) {
            throw .malformed(.badHost)
        }
        if !head.authority.isEmpty { head.host = head.authority }
        if summary.expectOther { throw .expectationFailed }
        head.framing = try Self.framing(summary, minorVersion: line.minorVersion)
        head.persistent = line.minorVersion == 1 ? !summary.close : summary.keepAlive && !summary.close
        head.wantsUpgrade = line.minorVersion == 1 && summary.connectionUpgrade && summary.hasUpgrade
        return head
    }

    /// RFC 9112 6.3 without its leniencies.
    private static func framing(_ summary: Summary, minorVersion: UInt8) throws(HeadError) -> BodyFraming {
        if summary.isChunked {
            if minorVersion == 0 { throw .malformed(.transferEncodingInHTTP10) }
            if summary.lengthCount > 0 { throw .malformed(.lengthWithTransferEncoding) }
            return .chunked
        }
        return summary.lengthCount > 0 ? .length(summary.length) : .none
    }

    private static func readTarget(_ head: inout RequestHead, bytes: borrowing Span<UInt8>) throws(HeadError) {
        let lower = Int(head.target.lower)
        let upper = Int(head.target.upper)
        if head.method == .connect {
            head.form = .authority
            head.authority = head.target
            guard HostSyntax.isValid(bytes, head.target) else { throw .malformed(.badTarget) }
            return
        }
        if bytes[lower] == 0x2F {
            Self.splitPath(&head, bytes: bytes, from: lower, to: upper)
            return
        }
        if upper - lower == 1, bytes[lower] == 0x2A {
            guard head.method == .options else { throw .malformed(.badTarget) }
            head.form = .asterisk
            head.path = head.target
            return
        }
        var start = lower
        if ASCII.hasPrefixIgnoringCase(bytes, head.target, lowercase: "http://") {
            start += 7
        } else if ASCII.hasPrefixIgnoringCase(bytes, head.target, lowercase: "https://") {
            start += 8
        } else {
            throw .malformed(.badTarget)
        }
        head.form = .absolute
        var end = start
        while end < upper, bytes[end] != 0x2F, bytes[end] != 0x3F { end += 1 }
        head.authority = ByteRange(start, end)
        guard HostSyntax.isValid(bytes, head.authority) else { throw .malformed(.badTarget) }
        Self.splitPath(&head, bytes: bytes, from: end, to: upper)
    }

    private static func splitPath(_ head: inout RequestHead, bytes: borrowing Span<UInt8>, from: Int, to upper: Int) {
        let mark = ByteScan.find(0x3F, in: bytes, from..<upper)
        head.path = ByteRange(from, mark)
        if mark < upper {
            head.hasQuery = true
            head.query = ByteRange(mark + 1, upper)
        }
    }
}
