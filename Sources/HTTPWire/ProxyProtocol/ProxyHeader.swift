/// What a proxy in front says about a connection before anything else: the PROXY protocol, versions 1 (a line of text) and 2
/// (binary), as its specification of 2020 has them.
package struct ProxyHeader: Sendable, Equatable {
    package enum Version: UInt8, Sendable {
        case one = 1
        case two = 2
    }

    package struct Versions: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let one = Versions(rawValue: 1)
        package static let two = Versions(rawValue: 2)
    }

    /// Both ends of a connection. IPv4 addresses stand in their IPv4-mapped form.
    package struct Address: Sendable, Equatable {
        /// The upper and lower 64 bits, in network order read as big-endian integers.
        package var high: UInt64
        package var low: UInt64
        package var port: UInt16

        package init(high: UInt64, low: UInt64, port: UInt16) {
            self.high = high
            self.low = low
            self.port = port
        }

        package var isV4: Bool { self.high == 0 && self.low >> 32 == 0xFFFF }
    }

    package var version: Version
    /// Bytes that it takes. What stands behind them is the connection's own.
    package var length: Int
    /// Who connected to the proxy. nil: the proxy speaks for itself (LOCAL), or for someone whom it cannot name.
    package var source: Address?
    /// Where that one connected to.
    package var destination: Address?

    /// No header is longer: the fixed part of version 2, and what we take behind it.
    package static let longest = Self.fixedPart + Self.longestRest
    /// Bytes of version 2 up to and with the length of the rest.
    static let fixedPart = 16
    static let longestRest = 16_384
    /// Of version 1, with its line end.
    static let longestLine = 107

    /// Reads a header at the start of `bytes`. nil: it agrees with one as far as it goes, and more must come. `address` reads
    /// an address's text: nil if it is none.
    ///
    /// A connection's bytes may be presented again and again as they come; the same bytes give the same result, and a fault
    /// is found with the first byte that cannot stand there.
    package static func read(
        _ bytes: borrowing Span<UInt8>, _ versions: Versions,
        address: (borrowing Span<UInt8>) -> (high: UInt64, low: UInt64)?
    ) throws(ProxyHeaderError) -> ProxyHeader? {
        guard !bytes.isEmpty else { return nil }
        switch bytes[0] {
        case UInt8(ascii: "P"):
            guard versions.contains(.one) else { throw .version }
            return try self.readLine(bytes, address: address)
        case 0x0D:
            guard versions.contains(.two) else { throw .version }
            return try self.readBinary(bytes)
        default: throw .noHeader
        }
    }
}

/// Why bytes are no header of the PROXY protocol.
package enum ProxyHeaderError: String, Error, Sendable {
    /// Something else begins there.
    case noHeader = "no-header"
    /// A version that is not known, or not wanted.
    case version
    case command
    case family
    /// Longer than the protocol, or we, allow.
    case tooLong = "too-long"
    /// A line that ends otherwise than in CR LF, or has other words than it must.
    case line
    case address
    case port
    /// Shorter than the addresses that it announces.
    case tooShort = "too-short"
    /// A piece behind the addresses that does not fit into the header.
    case badPiece = "bad-piece"
    case checksum
}
