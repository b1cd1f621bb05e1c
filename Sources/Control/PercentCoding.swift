import Traffic

/// Percent-encoding of parts of a URL (RFC 3986, 2.1).
///
/// Foundation's own would be enough to bring its tables of all the world's characters and languages into the program.
package enum PercentCoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Every byte but the unreserved ones and those of `kept`, which is ASCII, as an escape.
    package static func encoded(_ text: String, keeping kept: String = "") -> String {
        let kept = Array(kept.utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if URIByte.isUnreserved(byte) || kept.contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), Self.digits[Int(byte >> 4)], Self.digits[Int(byte & 0xF)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// nil if an escape is not whole, or if what comes out is not UTF-8.
    package static func decoded(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(URIByte.digit), let low = rest.next().flatMap(URIByte.digit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
