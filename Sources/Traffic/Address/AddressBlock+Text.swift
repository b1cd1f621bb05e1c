extension AddressBlock: CustomStringConvertible {
    /// `10.0.0.0/8`, `fd00::/8`, or a bare address as a block of one. Bits behind the prefix are dropped. nil for
    /// anything else.
    package init?(parsing text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, let ip = IPAddress(parsing: String(first)) else { return nil }
        guard parts.count == 2 else {
            self.init(base: ip, prefixLength: 128)
            return
        }
        // What the length counts follows from how the address is written: `::ffff:0:0/96` is all of IPv4.
        let isV4Text = !first.utf8.contains(UInt8(ascii: ":"))
        let digits = parts[1].utf8
        guard (1...3).contains(digits.count), digits.count == 1 || digits.first != UInt8(ascii: "0"),
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let length = UInt8(parts[1]), length <= (isV4Text ? 32 : 128)
        else { return nil }
        let prefixLength = isV4Text ? 96 + length : length
        let mask = Self.mask(prefixLength)
        self.init(
            base: IPAddress(high: ip.high & mask.high, low: ip.low & mask.low), prefixLength: prefixLength)
    }

    /// Its lowest address.
    package var first: IPAddress {
        let mask = Self.mask(self.prefixLength)
        return IPAddress(high: self.base.high & mask.high, low: self.base.low & mask.low)
    }

    package func contains(_ ip: IPAddress) -> Bool {
        let mask = Self.mask(self.prefixLength)
        return (ip.high ^ self.base.high) & mask.high == 0 && (ip.low ^ self.base.low) & mask.low == 0
    }

    /// A block of one is written as a bare address.
    package var description: String {
        if self.prefixLength >= 128 { return self.base.description }
        if self.base.isV4, self.prefixLength >= 96 { return "\(self.base)/\(self.prefixLength - 96)" }
        // A block wider than all of IPv4 whose base looks like an IPv4 address cannot come out of `init(parsing:)`.
        return "\(self.base)/\(self.prefixLength)"
    }

    private static func mask(_ length: UInt8) -> (high: UInt64, low: UInt64) {
        let length = Int(min(length, 128))
        // A smart shift by 64 or more gives 0.
        return (~(UInt64.max >> min(length, 64)), ~(UInt64.max >> max(length - 64, 0)))
    }
}
