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

    static func writeStart(_ head: ResponseHead, source: borrowing Span<UInt8>, into writer: inout ByteWriter) {
        writer.append(head.minorVersion == 0 ? "HTTP/1.0 " : "HTTP/1.1 ")
        writer.append(decimal: UInt64(head.status))
        writer.append(0x20)
        writer.append(source, head.reason)
        writer.append("\r\n")
    }

    static func write(_ field: Field, source: borrowing Span<UInt8>, into writer: inout ByteWriter) {
        writer.append(source, field.name)
        writer.append(": ")
        writer.append(source, field.value)
        writer.append("\r\n")
    }
}
