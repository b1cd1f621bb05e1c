/// Foreign text in a bounded number of bytes.
enum BoundedText {
    /// Stands where text was cut.
    static let mark = "…"

    /// The longest beginning of `text` with at most that many bytes of UTF-8 that cuts no character (scalar) in two. Bytes,
    /// because one `Character` may have any number of them.
    static func prefix(of text: String, bytes limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        let bytes = text.utf8
        var end = bytes.index(bytes.startIndex, offsetBy: max(0, limit))
        // Continuation bytes are 10xxxxxx.
        while end > bytes.startIndex, bytes[end] & 0xC0 == 0x80 { end = bytes.index(before: end) }
        return String(text.unicodeScalars[..<end])
    }
}
