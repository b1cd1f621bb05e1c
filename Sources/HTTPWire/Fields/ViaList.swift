/// The elements of a Via value: protocol, blank, who received it, and maybe a comment (RFC 9110 7.6.3).
package enum ViaList {
    /// How many elements name `pseudonym`, in any case, as the one who received the message. Commas in comments end none.
    package static func count(of pseudonym: [UInt8], in bytes: borrowing Span<UInt8>, _ value: ByteRange) -> Int {
        var count = 0
        var position = Int(value.lower)
        let end = Int(value.upper)
        while position < end {
            // The protocol.
            while position < end, self.isBlank(bytes[position]) || bytes[position] == 0x2C { position += 1 }
            while position < end, !self.isBlank(bytes[position]), bytes[position] != 0x2C { position += 1 }
            while position < end, self.isBlank(bytes[position]) { position += 1 }
            // Who received it.
            let start = position
            while position < end, !self.isBlank(bytes[position]), bytes[position] != 0x2C { position += 1 }
            if position - start == pseudonym.count, self.equals(bytes, start, pseudonym) { count += 1 }
            position = self.endOfElement(bytes, from: position, to: end)
        }
        return count
    }

    /// The comma behind comments, which may be nested and quote their bytes.
    private static func endOfElement(_ bytes: borrowing Span<UInt8>, from start: Int, to end: Int) -> Int {
        var position = start
        var depth = 0
        while position < end, depth > 0 || bytes[position] != 0x2C {
            switch bytes[position] {
            case 0x28: depth += 1
            case 0x29: depth = max(0, depth - 1)
            case 0x5C: position += 1
            default: break
            }
            position += 1
        }
        return min(position, end)
    }

    private static func equals(_ bytes: borrowing Span<UInt8>, _ start: Int, _ text: [UInt8]) -> Bool {
        for index in text.indices
        where ASCII.lowercased(bytes[start + index]) != ASCII.lowercased(text[index]) { return false }
        return true
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
