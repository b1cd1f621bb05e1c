/// Writes a parsed response's head anew with further lines, to be parsed again: whatever carries it to the client then need not
/// know of the change.
package enum ResponseEditor {
    /// The status line and every field; the head's end is the caller's to write.
    package static func write(
        _ head: ResponseHead, fields: FieldList, source: borrowing Span<UInt8>, into writer: inout ByteWriter
    ) {
        self.writeStart(head, source: source, into: &writer)
        for index in 0..<fields.count { self.write(fields[index], source: source, into: &writer) }
    }

    /// Likewise of a body that is sent in another form than it came in, or would be (`coding` nil): what was true of its bytes is
    /// left out, and a strong entity tag, which names the very bytes, becomes a weak one where `weakens` says so.
    package static func write(
        _ head: ResponseHead, fields: FieldList, source: borrowing Span<UInt8>, coding: StaticString?, weakens: Bool,
        varies: Bool, into writer: inout ByteWriter
    ) {
        // What frames it anew is of HTTP/1.1.
        self.writeStart(head, source: source, isCurrent: coding != nil, into: &writer)
        for index in 0..<fields.count {
            let field = fields[index]
            if coding != nil, self.isOfBytes(field, source) { continue }
            if weakens, ASCII.equalsIgnoringCase(source, field.name, lowercase: "etag"),
                field.value.count > 0, source[Int(field.value.lower)] == 0x22
            {
                writer.append("ETag: W/")
                writer.append(source, field.value)
                writer.append("\r\n")
            } else {
                self.write(field, source: source, into: &writer)
            }
        }
        if let coding {
            writer.append("Content-Encoding: ")
            writer.append(coding)
            writer.append("\r\nTransfer-Encoding: chunked\r\n")
        }
        if varies { writer.append("Vary: Accept-Encoding\r\n") }
    }

    /// Lengths, ranges and digests of the body as it came. RFC 9530's both speak of the form that is sent.
    private static func isOfBytes(_ field: Field, _ source: borrowing Span<UInt8>) -> Bool {
        switch field.id {
        case .contentLength, .transferEncoding: return true
        default: break
        }
        for name in ["accept-ranges", "digest", "content-digest", "repr-digest", "content-md5", "content-encoding"]
            as [StaticString] where ASCII.equalsIgnoringCase(source, field.name, lowercase: name)
        {
            return true
        }
        return false
    }

    private static func writeStart(
        _ head: ResponseHead, source: borrowing Span<UInt8>, isCurrent: Bool = false, into writer: inout ByteWriter
    ) {
        writer.append(head.minorVersion == 0 && !isCurrent ? "HTTP/1.0 " : "HTTP/1.1 ")
        writer.append(decimal: UInt64(head.status))
        writer.append(0x20)
        writer.append(source, head.reason)
        writer.append("\r\n")
    }

    private static func write(_ field: Field, source: borrowing Span<UInt8>, into writer: inout ByteWriter) {
        writer.append(source, field.name)
        writer.append(": ")
        writer.append(source, field.value)
        writer.append("\r\n")
    }
}
