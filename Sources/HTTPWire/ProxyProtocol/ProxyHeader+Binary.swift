/// Version 2: a signature of twelve bytes, version and command, family and transport, the length of the rest, addresses, and
/// further pieces (TLV: a type, a length of two bytes, a value).
extension ProxyHeader {
    /// Of CRC32C over the whole header, its own four bytes taken as zero.
    private static let checksumType: UInt8 = 0x03

    static func readBinary(_ bytes: borrowing Span<UInt8>) throws(ProxyHeaderError) -> ProxyHeader? {
        guard self.agrees(bytes, with: "\r\n\r\n\0\r\nQUIT\n", at: 0) else { throw .noHeader }
        guard bytes.count > 12 else { return nil }
        guard bytes[12] >> 4 == 2 else { throw .version }
        guard bytes[12] & 0xF <= 1 else { throw .command }
        let isLocal = bytes[12] & 0xF == 0
        guard bytes.count > 13 else { return nil }
        let (family, transport) = (bytes[13] >> 4, bytes[13] & 0xF)
        if !isLocal {
            guard family <= 3, transport <= 2 else { throw .family }
        }
        guard bytes.count >= Self.fixedPart else { return nil }
        let rest = Int(bytes[14]) << 8 | Int(bytes[15])
        guard rest <= Self.longestRest else { throw .tooLong }
        let addresses = self.addressBytes(family)
        guard isLocal || rest >= addresses else { throw .tooShort }
        guard bytes.count >= Self.fixedPart + rest else { return nil }

        var header = ProxyHeader(version: .two, length: Self.fixedPart + rest)
        // Family and addresses of LOCAL count for nothing, whatever they say: the proxy itself has connected. Nobody can
        // tell where pieces would begin behind a family that is not specified.
        guard !isLocal, family != 0 else { return header }
        try self.checkPieces(bytes.extracting(0..<header.length), from: Self.fixedPart + addresses)
        guard transport == 1, family < 3 else { return header }
        let width = family == 1 ? 4 : 16
        let ports = Self.fixedPart + 2 * width
        header.source = self.address(bytes, at: Self.fixedPart, width: width, port: ports)
        header.destination = self.address(bytes, at: Self.fixedPart + width, width: width, port: ports + 2)
        return header
    }

    /// Of both ends.
    private static func addressBytes(_ family: UInt8) -> Int {
        switch family {
        case 1: 12
        case 2: 36
        case 3: 216
        default: 0
        }
    }

    private static func address(_ bytes: borrowing Span<UInt8>, at start: Int, width: Int, port: Int) -> Address {
        var high: UInt64 = 0
        var low: UInt64 = width == 4 ? 0xFFFF : 0
        for index in start..<start + width {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(bytes[index])
        }
        if width == 4 { high = 0 }
        return Address(high: high, low: low, port: UInt16(bytes[port]) << 8 | UInt16(bytes[port + 1]))
    }

    /// `header`: the whole of it, and nothing behind it.
    private static func checkPieces(_ header: borrowing Span<UInt8>, from start: Int) throws(ProxyHeaderError) {
        var position = start
        var checksum: Int?
        while position < header.count {
            guard position + 3 <= header.count else { throw .badPiece }
            let length = Int(header[position + 1]) << 8 | Int(header[position + 2])
            let value = position + 3
            guard value + length <= header.count else { throw .badPiece }
            if header[position] == Self.checksumType {
                guard length == 4, checksum == nil else { throw .checksum }
                checksum = value
            }
            position = value + length
        }
        guard let checksum else { return }
        var given: UInt32 = 0
        for index in checksum..<checksum + 4 { given = given << 8 | UInt32(header[index]) }
        guard CRC32C.of(header, zeroing: checksum..<checksum + 4) == given else { throw .checksum }
    }
}
