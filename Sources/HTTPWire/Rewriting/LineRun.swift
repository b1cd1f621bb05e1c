/// Lines of a head that stand side by side and go on as they came: copied in one go.
struct LineRun {
    private var lower = 0
    private var upper = 0

    /// Adds the bytes of whole lines. What does not follow on from the last ones begins a new run.
    @inline(__always)
    mutating func add(
        _ lower: Int, _ upper: Int, of source: borrowing Span<UInt8>, into writer: inout ByteWriter
    ) {
        if lower != self.upper {
            self.flush(source, into: &writer)
            self.lower = lower
        }
        self.upper = upper
    }

    /// Writes what was added; before anything else is written.
    @inline(__always)
    mutating func flush(_ source: borrowing Span<UInt8>, into writer: inout ByteWriter) {
        guard self.upper > self.lower else { return }
        writer.append(source, self.lower..<self.upper)
        self.lower = 0
        self.upper = 0
    }

    /// Adds a field, or writes it anew if its line is not as it would be written.
    @inline(__always)
    mutating func add(_ field: Field, of source: borrowing Span<UInt8>, into writer: inout ByteWriter) {
        if field.traits.contains(.canonical) {
            self.add(field.line.lower, field.line.upper, of: source, into: &writer)
        } else {
            self.flush(source, into: &writer)
            writer.append(source, field.name)
            writer.append(": ")
            writer.append(source, field.value)
            writer.append("\r\n")
        }
    }
}
