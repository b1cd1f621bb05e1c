/// An IP address without a port. IPv4 is held as its IPv4-mapped IPv6 form so that comparing and masking have one path.
package struct IPAddress: Hashable, Sendable {
    /// The upper and lower 64 bits in network order read as big-endian integers.
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address from its 32 bits, most significant byte first (`0x7F00_0001` is 127.0.0.1).
    package init(v4: UInt32) {
        self.high = 0
        self.low = 0x0000_FFFF_0000_0000 | UInt64(v4)
    }

    package var isV4: Bool { self.high == 0 && self.low >> 32 == 0xFFFF }
    package var v4: UInt32 { UInt32(truncatingIfNeeded: self.low) }
}

/// An IP address with a port: where a listener binds, and where an endpoint is reached.
package struct SocketAddress: Hashable, Sendable {
    package var ip: IPAddress
    package var port: UInt16

    package init(ip: IPAddress, port: UInt16) {
        self.ip = ip
        self.port = port
    }
}

/// A CIDR block such as `10.0.0.0/8` or `fd00::/8`; a bare address is a block of one.
package struct AddressBlock: Hashable, Sendable {
    package var base: IPAddress
    /// 0…128; an IPv4 prefix length n is stored as 96 + n.
    package var prefixLength: UInt8

    package init(base: IPAddress, prefixLength: UInt8) {
        self.base = base
        self.prefixLength = prefixLength
    }
}
