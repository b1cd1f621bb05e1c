/// The Date field of one second, as a line ready to copy. Made once a second and lent to every response.
package struct DateField: Sendable {
    /// The date, with "Date: " and CRLF around it.
    private var bytes: InlineArray<37, UInt8>

    /// `seconds` since 1970, up to the year 9999.
    package init(seconds: UInt64) {
        self.bytes = InlineArray(repeating: 0)
        var span = self.bytes.mutableSpan
        span.withUnsafeMutableBytes { buffer in
            var writer = ByteWriter(buffer)
            writer.append("Date: ")
            HTTPDate.write(seconds: min(seconds, HTTPDate.lastSecond), into: &writer)
            writer.append("\r\n")
        }
    }

    /// Appends "Date: Sun, 06 Nov 1994 08:49:37 GMT" and CRLF.
    package func write(into writer: inout ByteWriter) {
        writer.append(self.bytes.span)
    }
}
