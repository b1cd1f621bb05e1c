/// Writes the request line that goes upstream.
enum RequestLineWriter {
    static func write(
        _ head: RequestHead, source: borrowing Span<UInt8>, policy: RequestPolicy, into writer: inout ByteWriter
    ) {
        writer.append(source, head.methodRange)
        writer.append(0x20)
        switch head.form {
        case .asterisk: writer.append(0x2A)
        case .authority: writer.append(source, head.target)
        case .origin, .absolute:
            // Origin-form whatever the client used (RFC 9112 3.2.2): the authority travels in Host.
            if case .replace(let prefix, let replacement) = policy.path,
                let rest = Self.rest(of: head.path, behind: prefix, source: source)
            {
                Self.writePath(replacement, rest: rest, source: source, into: &writer)
            } else if head.path.isEmpty {
                writer.append(0x2F)
            } else {
                writer.append(source, head.path)
            }
            if head.hasQuery {
                writer.append(0x3F)
                writer.append(source, head.query)
            }
        }
        writer.append(" HTTP/1.1\r\n")
    }

    /// What of the path stands behind the prefix; nil if the path does not begin with it, or it ends inside a segment.
    private static func rest(
        of path: ByteRange, behind prefix: [UInt8], source: borrowing Span<UInt8>
    ) -> ByteRange? {
        // An absolute target may leave the path out and means the root.
        if path.isEmpty, prefix.count == 1 { return path }
        guard path.count >= prefix.count else { return nil }
        let lower = Int(path.lower)
        for index in prefix.indices where source[lower + index] != prefix[index] { return nil }
        let rest = ByteRange(lower: path.lower + UInt32(prefix.count), upper: path.upper)
        guard rest.isEmpty || prefix.last == 0x2F || source[Int(rest.lower)] == 0x2F else { return nil }
        return rest
    }

    /// Joins both with one slash.
    private static func writePath(
        _ replacement: [UInt8], rest: ByteRange, source: borrowing Span<UInt8>, into writer: inout ByteWriter
    ) {
        writer.append(bytes: replacement)
        guard !rest.isEmpty else {
            if replacement.isEmpty { writer.append(0x2F) }
            return
        }
        let startsSegment = source[Int(rest.lower)] == 0x2F
        if replacement.last == 0x2F, startsSegment {
            writer.append(source, ByteRange(lower: rest.lower + 1, upper: rest.upper))
        } else {
            if replacement.last != 0x2F, !startsSegment { writer.append(0x2F) }
            writer.append(source, rest)
        }
    }
}
