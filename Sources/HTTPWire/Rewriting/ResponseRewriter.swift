/// Makes the client's response head from the upstream's parsed one. What goes on unchanged and stands side by side is copied
/// in one go.
package enum ResponseRewriter {
    /// What the client is told about the connection.
    package enum Persistence: Sendable {
        /// HTTP/1.1's default; nothing is said.
        case implicit
        /// An HTTP/1.0 client that asked to keep the connection must be told that it is kept.
        case keepAlive
        case close
    }

    /// `framing` is how the body goes to the client, which may differ from how it came (an HTTP/1.0 client gets no
    /// chunks). `upgrade`: a 101 whose `Connection` and `Upgrade` go along. `date` is added to a final response that has
    /// none (RFC 9110 6.6.1). Answers whether the head is whole; one that outgrew its room must not be sent.
    @discardableResult
    @inline(never)
    package static func write(
        _ head: ResponseHead, fields: borrowing FieldTable, source: borrowing Span<UInt8>, framing: BodyFraming,
        persistence: Persistence, upgrade: Bool, edits: borrowing FieldEdits, date: DateField? = nil,
        into writer: inout ByteWriter
    ) -> Bool {
        self.compose(
            head, fields: fields, source: source, framing: framing, persistence: persistence, upgrade: upgrade,
            edits: edits, date: date, strictTransport: nil, into: &writer)
    }

    /// The same with `strictTransport`: a whole line that stands for any such field of the upstream's (RFC 6797 6.1 allows
    /// one). Apart, so that answers without it pay nothing for it.
    @discardableResult
    @inline(never)
    package static func write(
        _ head: ResponseHead, fields: borrowing FieldTable, source: borrowing Span<UInt8>, framing: BodyFraming,
        persistence: Persistence, edits: borrowing FieldEdits, date: DateField, strictTransport: [UInt8],
        into writer: inout ByteWriter
    ) -> Bool {
        self.compose(
            head, fields: fields, source: source, framing: framing, persistence: persistence, upgrade: false,
            edits: edits, date: date, strictTransport: strictTransport, into: &writer)
    }

    @inline(__always)
    private static func compose(
        _ head: ResponseHead, fields: borrowing FieldTable, source: borrowing Span<UInt8>, framing: BodyFraming,
        persistence: Persistence, upgrade: Bool, edits: borrowing FieldEdits, date: DateField?,
        strictTransport: [UInt8]?, into writer: inout ByteWriter
    ) -> Bool {
        let fields = fields.list
        var run = LineRun()
        if head.minorVersion == 1, !head.startLine.isEmpty, !head.reason.isEmpty {
            run.add(Int(head.startLine.lower), Int(head.startLine.upper), of: source, into: &writer)
        } else {
            writer.append("HTTP/1.1 ")
            writer.append(decimal: UInt64(head.status))
            writer.append(0x20)
            writer.append(source, head.reason)
            writer.append("\r\n")
        }
        var isLengthWritten = false
        for index in 0..<fields.count {
            let field = fields[index]
            if field.id == .contentLength {
                isLengthWritten =
                    self.writeLength(field, of: head, source: source, framing: framing, run: &run, into: &writer)
            } else if !field.nominated, !OwnFields.isHopByHop(field.id), !OwnFields.isOwn(field.id),
                !edits.drops(field.name, in: source),
                strictTransport == nil
                    || !ASCII.equalsIgnoringCase(source, field.name, lowercase: Self.strictTransportName)
            {
                run.add(field, of: source, into: &writer)
            }
        }
        run.flush(source, into: &writer)
        if !head.hasDate, head.status >= 200, !edits.setsDate, let date { date.write(into: &writer) }
        if let strictTransport { writer.append(bytes: strictTransport) }
        if !edits.lines.isEmpty { writer.append(bytes: edits.lines) }
        switch framing {
        case .length(let count) where !isLengthWritten:
            writer.append("Content-Length: ")
            writer.append(decimal: count)
            writer.append("\r\n")
        case .chunked: writer.append("Transfer-Encoding: chunked\r\n")
        case .none, .untilClose, .length: break
        }
        if upgrade {
            writer.append("Connection: upgrade\r\nUpgrade: ")
            writer.append(source, head.upgrade)
            writer.append("\r\n")
        } else {
            self.writeConnection(head, fields: fields, source: source, persistence: persistence, into: &writer)
        }
        writer.append("\r\n")
        return !writer.overflowed
    }

    private static let strictTransportName = Array("strict-transport-security".utf8)

    /// Keeps a length in its place that reads as we would write it. Where no body follows (HEAD, 304) the length still
    /// informs. An interim response and a 204 must have none (RFC 9110 8.6). Answers whether the body's length has been
    /// written.
    private static func writeLength(
        _ field: Field, of head: ResponseHead, source: borrowing Span<UInt8>, framing: BodyFraming, run: inout LineRun,
        into writer: inout ByteWriter
    ) -> Bool {
        let isAsWritten =
            field.traits == .canonical && (field.value.count == 1 || source[Int(field.value.lower)] != 0x30)
        switch framing {
        case .length:
            guard isAsWritten, framing == head.framing else { return false }
            run.add(field, of: source, into: &writer)
            return true
        case .none:
            guard head.status >= 200, head.status != 204 else { return false }
            if isAsWritten {
                run.add(field, of: source, into: &writer)
            } else if let count = Self.decimal(source, field.value) {
                run.flush(source, into: &writer)
                writer.append("Content-Length: ")
                writer.append(decimal: count)
                writer.append("\r\n")
            }
            return false
        case .chunked, .untilClose: return false
        }
    }

    private static func writeConnection(
        _ head: ResponseHead, fields: FieldList, source: borrowing Span<UInt8>, persistence: Persistence,
        into writer: inout ByteWriter
    ) {
        // A 426 says in Upgrade what the client should use instead (RFC 9110 15.5.22).
        let advertises = head.status == 426 && !head.upgrade.isEmpty
        switch persistence {
        case .implicit: if advertises { writer.append("Connection: upgrade\r\n") }
        case .keepAlive:
            writer.append(advertises ? "Connection: keep-alive, upgrade\r\n" : "Connection: keep-alive\r\n")
        case .close: writer.append(advertises ? "Connection: close, upgrade\r\n" : "Connection: close\r\n")
        }
        guard advertises else { return }
        for index in 0..<fields.count where fields[index].id == .upgrade && !fields[index].value.isEmpty {
            writer.append("Upgrade: ")
            writer.append(source, fields[index].value)
            writer.append("\r\n")
        }
    }

    /// Digits that the parser has validated already; nil only if they were not.
    private static func decimal(_ source: borrowing Span<UInt8>, _ range: ByteRange) -> UInt64? {
        var value: UInt64 = 0
        for index in Int(range.lower)..<Int(range.upper) {
            let digit = source[index] &- 0x30
            guard digit <= 9 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }
}
