/// Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 49152 443`, and a line end.
extension ProxyHeader {
    static func readLine(
        _ bytes: borrowing Span<UInt8>, address: (borrowing Span<UInt8>) -> (high: UInt64, low: UInt64)?
    ) throws(ProxyHeaderError) -> ProxyHeader? {
        let limit = min(bytes.count, Self.longestLine)
        guard self.agrees(bytes, with: "PROXY ", at: 0) else { throw .noHeader }
        var end = 0
        while end < limit, bytes[end] != 0x0D, bytes[end] != 0x0A { end += 1 }
        guard end + 2 <= Self.longestLine else { throw .tooLong }
        guard end < limit else { return nil }
        guard bytes[end] == 0x0D else { throw .line }
        guard end + 1 < bytes.count else { return nil }
        guard bytes[end + 1] == 0x0A else { throw .line }
        var header = ProxyHeader(version: .one, length: end + 2)

        var words = Words(position: 6, end: end)
        guard let family = words.next(bytes) else { throw .line }
        // Whatever stands behind UNKNOWN is to be ignored.
        if self.isEqual(bytes, family, "UNKNOWN") { return header }
        let isV4 = self.isEqual(bytes, family, "TCP4")
        guard isV4 || self.isEqual(bytes, family, "TCP6") else { throw .family }
        guard let source = words.next(bytes), let destination = words.next(bytes), let sourcePort = words.next(bytes),
            let destinationPort = words.next(bytes), words.isAtEnd
        else { throw .line }
        guard let from = self.address(bytes, source, isV4: isV4, address),
            let to = self.address(bytes, destination, isV4: isV4, address)
        else { throw .address }
        guard let fromPort = self.port(bytes, sourcePort), let toPort = self.port(bytes, destinationPort) else {
            throw .port
        }
        header.source = Address(high: from.high, low: from.low, port: fromPort)
        header.destination = Address(high: to.high, low: to.low, port: toPort)
        return header
    }

    /// Words with one blank between two of them.
    private struct Words {
        var position: Int
        let end: Int
        private(set) var isAtEnd = false

        init(position: Int, end: Int) {
            self.position = position
            self.end = end
        }

        /// nil: there is none, or it is empty.
        mutating func next(_ bytes: borrowing Span<UInt8>) -> Range<Int>? {
            guard !self.isAtEnd, self.position < self.end else { return nil }
            var upper = self.position
            while upper < self.end, bytes[upper] != 0x20 { upper += 1 }
            let word = self.position..<upper
            self.isAtEnd = upper == self.end
            self.position = upper + 1
            return word.isEmpty ? nil : word
        }
    }

    private static func isEqual(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count where bytes[range.lowerBound + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// Whether the bytes that are there agree with `text`.
    static func agrees(_ bytes: borrowing Span<UInt8>, with text: StaticString, at start: Int) -> Bool {
        let count = min(text.utf8CodeUnitCount, bytes.count - start)
        for offset in 0..<max(0, count) where bytes[start + offset] != text.utf8Start[offset] { return false }
        return true
    }

    private static func address(
        _ bytes: borrowing Span<UInt8>, _ range: Range<Int>, isV4: Bool,
        _ read: (borrowing Span<UInt8>) -> (high: UInt64, low: UInt64)?
    ) -> (high: UInt64, low: UInt64)? {
        var hasColon = false
        for index in range where bytes[index] == UInt8(ascii: ":") { hasColon = true }
        guard hasColon != isV4 else { return nil }
        return read(bytes.extracting(range))
    }

    /// Decimal, without leading zeros.
    private static func port(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> UInt16? {
        guard (1...5).contains(range.count), range.count == 1 || bytes[range.lowerBound] != UInt8(ascii: "0") else {
            return nil
        }
        var port: UInt32 = 0
        for index in range {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            port = port * 10 + UInt32(digit)
        }
        return UInt16(exactly: port)
    }
}
