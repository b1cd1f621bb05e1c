/// Writes a parsed response's head anew with further lines, to be parsed again: whatever carries it to the client then need not
/// know of the change.
package enum ResponseEditor {
    /// What becomes of an answer's body.
    package struct Form: Sendable {
        /// The form in which it is sent, or would be to a GET; nil: as it came.
        package var coding: StaticString?
        /// A strong entity tag, which names the very bytes, becomes a weak one.
        package var weakens = false
        /// Another client might get another form.
        package var varies = false

        package init(coding: StaticString? = nil, weakens: Bool = false, varies: Bool = false) {
            self.coding = coding
            self.weakens = weakens
            self.varies = varies
        }
    }

    /// The status line and the fields; the head's end is the caller's to write. What was true of the body's bytes is left out
    /// where they are others now. So are `Connection` and what it names: that was said of the upstream's connection, and read
    /// again it would take away what is added here.
    package static func write(
        _ head: ResponseHead, fields: FieldList, source: borrowing Span<UInt8>, form: Form,
        into writer: inout ByteWriter
    ) {
        // What frames it anew is of HTTP/1.1.
        writer.append(head.minorVersion == 0 && form.coding == nil ? "HTTP/1.0 " : "HTTP/1.1 ")
        writer.append(decimal: UInt64(head.status))
        writer.append(0x20)
        writer.append(source, head.reason)
        writer.append("\r\n")
        for index in 0..<fields.count {
            let field = fields[index]
            guard self.stays(field, head, form, source) else { continue }
            let isTag =
                form.weakens && ASCII.equalsIgnoringCase(source, field.name, lowercase: "etag")
                && !field.value.isEmpty && source[Int(field.value.lower)] == 0x22
            writer.append(source, field.name)
            writer.append(isTag ? ": W/" : ": ")
            writer.append(source, field.value)
            writer.append("\r\n")
        }
        if let coding = form.coding {
            writer.append("Content-Encoding: ")
            writer.append(coding)
            writer.append("\r\n")
            if head.framing != .none { writer.append("Transfer-Encoding: chunked\r\n") }
        }
        if form.varies { writer.append("Vary: Accept-Encoding\r\n") }
    }

    private static func stays(
        _ field: Field, _ head: ResponseHead, _ form: Form, _ source: borrowing Span<UInt8>
    ) -> Bool {
        guard !field.nominated else { return false }
        switch field.id {
        case .contentLength, .transferEncoding: return form.coding == nil
        // A 426 says in it what the client should use instead (RFC 9110 15.5.22).
        case .upgrade: return head.status == 426
        default: if OwnFields.isHopByHop(field.id) { return false }
        }
        return form.coding == nil || !self.isOfBytes(field.name, source)
    }

    /// Ranges, digests and the form of the body as it came.
    private static func isOfBytes(_ name: ByteRange, _ source: borrowing Span<UInt8>) -> Bool {
        ContentFields.isDigest(name, source)
            || ASCII.equalsIgnoringCase(source, name, lowercase: "accept-ranges")
            || ASCII.equalsIgnoringCase(source, name, lowercase: "content-encoding")
    }

    /// Takes out of trailer lines, in place, what is true of the body only as it came: digests that nobody announced, and entity
    /// tags. Answers how many bytes are left.
    package static func dropDigests(_ lines: UnsafeMutableRawBufferPointer) -> Int {
        var kept = 0
        var start = 0
        while start < lines.count {
            var end = start
            while end < lines.count, lines[end] != 0x0A { end += 1 }
            end = min(end + 1, lines.count)
            if self.isTrue(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(lines)[start..<end])) {
                if kept < start {
                    UnsafeMutableRawBufferPointer(rebasing: lines[kept...]).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(lines)[start..<end]))
                }
                kept += end - start
            }
            start = end
        }
        return kept
    }

    private static func isTrue(_ line: UnsafeRawBufferPointer) -> Bool {
        let span = line.bindMemory(to: UInt8.self).span
        let name = ByteRange(0, line.firstIndex(of: 0x3A) ?? line.count)
        return !ContentFields.isDigest(name, span) && !ASCII.equalsIgnoringCase(span, name, lowercase: "etag")
    }
}
