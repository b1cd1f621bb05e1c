import HTTPWire
import Testing
import Traffic

/// Headers of the PROXY protocol, from bytes.
@Suite("PROXY protocol") struct ProxyHeaderTests {
    static func read(
        _ bytes: [UInt8], _ versions: ProxyHeader.Versions = [.one, .two]
    ) throws(ProxyHeaderError) -> ProxyHeader? {
        try ProxyHeader.read(bytes.span, versions) { text in
            IPAddress(parsing: text.extracting(0..<text.count)).map { ($0.high, $0.low) }
        }
    }

    static func read(_ text: String) throws(ProxyHeaderError) -> ProxyHeader? { try self.read(Array(text.utf8)) }

    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// Version 2: command and family bytes, and what stands behind the length.
    static func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? rest.count
        return self.signature + [command, family, UInt8(length >> 8), UInt8(length & 0xFF)] + rest
    }

    static let v4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xC0, 0x00, 0x01, 0xBB]
    static let v6: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1] + [0x20, 0x01, 0x0D, 0xB8]
        + [UInt8](repeating: 0, count: 11) + [2] + [0x30, 0x39, 0x01, 0xBB]

    static func piece(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
        [type, UInt8(value.count >> 8), UInt8(value.count & 0xFF)] + value
    }

    /// A header whose checksum is right, or spoilt.
    static func checked(_ family: UInt8, _ addresses: [UInt8], spoilt: Bool = false) -> [UInt8] {
        var bytes = self.binary(
            0x21, family, addresses + self.piece(0x04, [1, 2, 3]) + self.piece(0x03, [0, 0, 0, 0]))
        var remainder = UInt32.max
        for byte in bytes {
            remainder ^= UInt32(byte)
            for _ in 0..<8 { remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0x82F6_3B78 : remainder >> 1 }
        }
        let sum = ~remainder ^ (spoilt ? 1 : 0)
        for place in 0..<4 { bytes[bytes.count - 4 + place] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * place)) }
        return bytes
    }

    struct Good: CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        /// nil: the connection's own peer.
        var source: String?

        var testDescription: String { self.name }
    }

    static let good: [Good] = [
        Good(
            name: "TCP4", bytes: Array("PROXY TCP4 192.0.2.1 198.51.100.2 49152 443\r\n".utf8),
            source: "192.0.2.1:49152"),
        Good(name: "port 0", bytes: Array("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n".utf8), source: "0.0.0.0:0"),
        Good(
            name: "TCP6", bytes: Array("PROXY TCP6 2001:db8::1 ::2 12345 443\r\n".utf8), source: "[2001:db8::1]:12345"),
        Good(
            name: "the longest line", source: "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
        ) {
            let address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
            return Array("PROXY TCP6 \(address) \(address) 65535 65535\r\n".utf8)
        },
        Good(name: "UNKNOWN", bytes: Array("PROXY UNKNOWN\r\n".utf8)),
        Good(name: "UNKNOWN with more", bytes: Array("PROXY UNKNOWN ffff::1  x 99999 \t\r\n".utf8)),
        Good(name: "107 bytes", bytes: Array("PROXY UNKNOWN \(String(repeating: "x", count: 91))\r\n".utf8)),
        Good(name: "IPv4", bytes: binary(0x21, 0x11, v4), source: "192.0.2.1:49152"),
        Good(name: "IPv6", bytes: binary(0x21, 0x21, v6), source: "[2001:db8::1]:12345"),
        Good(name: "LOCAL", bytes: binary(0x20, 0x00, [])),
        Good(name: "LOCAL that claims an address", bytes: binary(0x20, 0x11, v4)),
        Good(name: "LOCAL of no known family, with rubbish", bytes: binary(0x20, 0xFF, [1, 2, 3, 4, 5])),
        Good(name: "UNSPEC", bytes: binary(0x21, 0x00, [9, 9, 9])),
        Good(name: "UDP", bytes: binary(0x21, 0x12, v4)),
        Good(name: "UNIX", bytes: binary(0x21, 0x31, [UInt8](repeating: 7, count: 216))),
        Good(
            name: "pieces", bytes: binary(0x21, 0x11, v4 + piece(0x04, []) + piece(0xEE, [1]) + piece(0x02, [97])),
            source: "192.0.2.1:49152"),
        Good(name: "a checksum", bytes: checked(0x11, v4), source: "192.0.2.1:49152"),
        Good(name: "a checksum of IPv6", bytes: checked(0x21, v6), source: "[2001:db8::1]:12345"),
        Good(
            name: "16 KiB", bytes: binary(0x21, 0x11, v4 + piece(0xE0, [UInt8](repeating: 1, count: 16_384 - 12 - 3))),
            source: "192.0.2.1:49152"),
    ]

    @Test("Good headers, whatever comes behind; each of their beginnings asks for more", arguments: good)
    func accepted(_ good: Good) throws {
        for behind in ["", "GET / HTTP/1.1\r\n", "\r\n\r\n", "P"] {
            let header = try #require(try Self.read(good.bytes + Array(behind.utf8)))
            #expect(header.length == good.bytes.count)
            #expect(header.version == (good.bytes[0] == 0x0D ? .two : .one))
            let source = header.source.map {
                "\(SocketAddress(ip: IPAddress(high: $0.high, low: $0.low), port: $0.port))"
            }
            #expect(source == good.source)
            #expect((header.destination == nil) == (good.source == nil))
        }
        for count in 0..<min(good.bytes.count, 300) {
            #expect(try Self.read(Array(good.bytes[..<count])) == nil, "\(count) bytes")
        }
        #expect(try Self.read(Array(good.bytes.dropLast())) == nil)
        #expect(throws: ProxyHeaderError.version) { try Self.read(good.bytes, good.bytes[0] == 0x0D ? .one : .two) }
    }

    @Test(
        "Lines that are none",
        arguments: [
            ("GET / HTTP/1.1\r\n", .noHeader), ("PRI * HTTP/2.0\r\n\r\n", .noHeader), ("PROXY\r\n", .noHeader),
            ("proxy TCP4", .noHeader), ("POST /", .noHeader), ("PROXY\tTCP4", .noHeader),
            ("\u{16}\u{3}\u{1}", .noHeader),
            ("PROXY \r\n", .line), ("PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", .line), ("PROXY TCP4\r\n", .line),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", .line), ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", .line),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", .line), ("PROXY TCP4 1.1.1.1 2.2.2.2  1 2\r\n", .line),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", .line), ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX", .line),
            ("PROXY UNKNOWN\n", .line), ("PROXY UNKNOWN a\rb\r\n", .line),
            ("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", .family), ("PROXY TCP 1.1.1.1 2.2.2.2 1 2\r\n", .family),
            ("PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", .family), ("PROXY UNKNOWNX\r\n", .family),
            ("PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", .address), ("PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", .address),
            ("PROXY TCP4 ::1 ::2 1 2\r\n", .address), ("PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", .address),
            ("PROXY TCP4 1.1.1.1 2.2.2.256 1 2\r\n", .address), ("PROXY TCP6 ::1 [::2] 1 2\r\n", .address),
            ("PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", .address), ("PROXY TCP4 h 2.2.2.2 1 2\r\n", .address),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", .port), ("PROXY TCP4 1.1.1.1 2.2.2.2 1 00\r\n", .port),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", .port), ("PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", .port),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1 99999999999999999999\r\n", .port),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2x\r\n", .port),
            ("PROXY UNKNOWN \(String(repeating: "x", count: 92))\r\n", .tooLong),
            ("PROXY \(String(repeating: "x", count: 101))", .tooLong),
        ] as [(String, ProxyHeaderError)])
    func refused(line: String, error: ProxyHeaderError) {
        #expect(throws: error) { try Self.read(line) }
    }

    struct Bad: CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var error: ProxyHeaderError

        var testDescription: String { self.name }
    }

    static let bad: [Bad] = [
        Bad(name: "another signature", bytes: [0x0D, 0x0A, 0x0D, 0x0A, 1], error: .noHeader),
        Bad(name: "version 1 in binary", bytes: binary(0x11, 0x11, v4), error: .version),
        Bad(name: "version 3", bytes: signature + [0x31], error: .version),
        Bad(name: "an unknown command", bytes: signature + [0x22], error: .command),
        Bad(name: "an unknown family", bytes: signature + [0x21, 0x41], error: .family),
        Bad(name: "an unknown transport", bytes: signature + [0x21, 0x13], error: .family),
        Bad(name: "too short for IPv4", bytes: signature + [0x21, 0x11, 0, 11], error: .tooShort),
        Bad(name: "too short for IPv6", bytes: signature + [0x21, 0x21, 0, 35], error: .tooShort),
        Bad(name: "too short for UNIX", bytes: signature + [0x21, 0x31, 0, 215], error: .tooShort),
        Bad(name: "beyond 16 KiB", bytes: signature + [0x21, 0x11, 0x40, 1], error: .tooLong),
        Bad(name: "LOCAL beyond 16 KiB", bytes: signature + [0x20, 0, 0xFF, 0xFF], error: .tooLong),
        Bad(name: "half a piece", bytes: binary(0x21, 0x11, v4 + [4, 0]), error: .badPiece),
        Bad(
            name: "a piece beyond the header", bytes: binary(0x21, 0x11, v4 + [4, 0, 2, 1]) + [1, 1, 1],
            error: .badPiece),
        Bad(name: "a spoilt checksum", bytes: checked(0x11, v4, spoilt: true), error: .checksum),
        Bad(name: "a checksum of 2 bytes", bytes: binary(0x21, 0x11, v4 + piece(3, [0, 0])), error: .checksum),
        Bad(
            name: "two checksums", bytes: binary(0x21, 0x11, v4 + piece(3, [0, 0, 0, 0]) + piece(3, [0, 0, 0, 0])),
            error: .checksum),
    ]

    @Test("Binary headers that are none: found with the first byte that cannot stand there", arguments: bad)
    func refusedBinary(_ bad: Bad) {
        #expect(throws: bad.error) { try Self.read(bad.bytes) }
    }

    @Test("No bytes of any kind trap, and what is read twice is read alike", arguments: 1...20 as ClosedRange<UInt64>)
    func arbitrary(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<2_000 {
            var bytes = Self.good[random.below(Self.good.count - 1)].bytes
            for _ in 0..<1 + random.below(3) {
                bytes[random.below(min(bytes.count, 40))] = UInt8(truncatingIfNeeded: random.next())
            }
            bytes.removeLast(random.below(bytes.count))
            let whole = Result { () throws(ProxyHeaderError) in try Self.read(bytes) }
            guard case .success(let header?) = whole else { continue }
            #expect(header.length <= bytes.count)
            #expect(try Self.read(Array(bytes[..<header.length])) == header)
            #expect(try Self.read(Array(bytes[..<(header.length - 1)])) == nil)
        }
    }

    @Test(
        "What is written is what is read, byte for byte as many as are counted",
        arguments: [ProxyHeader.Version.one, .two])
    func written(_ version: ProxyHeader.Version) throws {
        let pairs = [
            ("192.0.2.1:1", "198.51.100.2:443"), ("[2001:db8::1]:65535", "[::2]:0"), ("192.0.2.1:7", "[::2]:8"),
            ("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"),
        ]
        for (from, to) in pairs {
            let source = try #require(SocketAddress(parsing: from))
            let destination = try #require(SocketAddress(parsing: to))
            let bytes = Self.bytes { writer in
                ProxyHeaderWriter.write(
                    version, from: Self.wire(source), to: Self.wire(destination),
                    texts: (AddressText(source.ip.description.utf8), AddressText(destination.ip.description.utf8)),
                    into: &writer)
            }
            let header = try #require(try Self.read(bytes))
            #expect(header.length == bytes.count && header.version == version)
            if version == .one, source.ip.isV4 != destination.ip.isV4 {
                #expect(header.source == nil, "text has no form for a mixed pair")
            } else {
                #expect(header.source == Self.wire(source) && header.destination == Self.wire(destination))
            }
        }
        let local = try #require(try Self.read(Self.bytes { ProxyHeaderWriter.writeLocal(version, into: &$0) }))
        #expect(local.source == nil)
    }

    private static func wire(_ address: SocketAddress) -> ProxyHeader.Address {
        ProxyHeader.Address(high: address.ip.high, low: address.ip.low, port: address.port)
    }

    private static func bytes(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: ProxyHeaderWriter.room, alignment: 1)
        defer { room.deallocate() }
        var writer = ByteWriter(room)
        write(&writer)
        return Array(room[0..<writer.count])
    }
}

extension ProxyHeaderTests.Good {
    fileprivate init(name: String, source: String?, bytes: () -> [UInt8]) {
        self.init(name: name, bytes: bytes(), source: source)
    }
}
