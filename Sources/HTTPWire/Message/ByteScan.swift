/// Searches that look at every byte of a message once.
enum ByteScan {
    /// The first byte at or behind `start` that may stand in no field value: a control other than HTAB, or DEL
    /// (RFC 9110 5.5). `bytes.count` if there is none.
    static func control(_ bytes: borrowing Span<UInt8>, from start: Int) -> Int {
        var index = start
        let end = bytes.count
        while index < end, ByteClass.isFieldContent(bytes[index]) { index += 1 }
        return index
    }
}
