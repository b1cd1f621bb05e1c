/// Makes the client's response head from the upstream's parsed one.
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
    package static func write(
        _ head: ResponseHead, fields: FieldTable, source: borrowing Span<UInt8>, framing: BodyFraming,
        persistence: Persistence, upgrade: Bool, edits: FieldEdits, date: DateField? = nil,
        into writer: inout ByteWriter
    ) -> Bool {
        writer.append("HTTP/1.1 ")
        writer.append(decimal: UInt64(head.status))
        writer.append(0x20)
        writer.append(source, head.reason)
        writer.append("\r\n")
        let hasEdits = !edits.isEmpty
        for index in 0..<fields.count {
            let field = fields[index]
            if field.nominated { continue }
            switch field.id {
            case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .http2Settings,
                .proxyAuthenticate:
                continue
            case .xBalancerReason:
                // Ours: what bears it was answered here.
                continue
            case .contentLength:
                // Where no body follows (HEAD, 304) the length still informs; elsewhere framing is written below. An
                // interim response and a 204 must have none (RFC 9110 8.6).
                guard case .none = framing, head.status >= 200, head.status != 204 else { continue }
                guard let count = Self.decimal(source, field.value) else { continue }
                writer.append("Content-Length: ")
                writer.append(decimal: count)
                writer.append("\r\n")
                continue
            default: break
            }
            if hasEdits, edits.drops(field.name, in: source) { continue }
            writer.append(source, field.name)
            writer.append(": ")
            writer.append(source, field.value)
            writer.append("\r\n")
        }
        if !head.hasDate, head.status >= 200, let date, !edits.setsDate { date.write(into: &writer) }
        if hasEdits { writer.append(bytes: edits.lines) }
        switch framing {
        case .none, .untilClose: break
        case .length(let count):
            writer.append("Content-Length: ")
            writer.append(decimal: count)
            writer.append("\r\n")
        case .chunked: writer.append("Transfer-Encoding: chunked\r\n")
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

    private static func writeConnection(
        _ head: ResponseHead, fields: FieldTable, source: borrowing Span<UInt8>, persistence: Persistence,
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
