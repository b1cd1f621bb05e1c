/// Writes headers of the PROXY protocol for servers behind us. Without further pieces: exactly as many bytes as are counted.
package enum ProxyHeaderWriter {
    /// Bytes that any header of ours takes at most.
    package static let room = 128

    /// For a client's connection. Both addresses of one family, or they are written as IPv6.
    package static func write(
        _ version: ProxyHeader.Version, from source: ProxyHeader.Address, to destination: ProxyHeader.Address,
        texts: (source: AddressText, destination: AddressText), into writer: inout ByteWriter
    ) {
        let isV4 = source.isV4 && destination.isV4
        switch version {
        case .one:
            // Text of an IPv4 address is none of IPv6: a mixed pair has no form in words.
            guard isV4 || !source.isV4 && !destination.isV4 else { return self.writeLocal(.one, into: &writer) }
            writer.append(isV4 ? "PROXY TCP4 " : "PROXY TCP6 ")
            texts.source.write(into: &writer)
            writer.append(0x20)
            texts.destination.write(into: &writer)
            writer.append(0x20)
            writer.append(decimal: UInt64(source.port))
            writer.append(0x20)
            writer.append(decimal: UInt64(destination.port))
            writer.append("\r\n")
        case .two:
            self.begin(command: 0x21, family: isV4 ? 0x11 : 0x21, rest: isV4 ? 12 : 36, into: &writer)
            self.append(source, isV4: isV4, into: &writer)
            self.append(destination, isV4: isV4, into: &writer)
            self.append(UInt64(source.port), bytes: 2, into: &writer)
            self.append(UInt64(destination.port), bytes: 2, into: &writer)
        }
    }

    /// For a connection of our own, such as a probe's.
    package static func writeLocal(_ version: ProxyHeader.Version, into writer: inout ByteWriter) {
        switch version {
        case .one: writer.append("PROXY UNKNOWN\r\n")
        case .two: self.begin(command: 0x20, family: 0, rest: 0, into: &writer)
        }
    }

    private static func begin(command: UInt8, family: UInt8, rest: UInt8, into writer: inout ByteWriter) {
        writer.append("\r\n\r\n\0\r\nQUIT\n")
        writer.append(command)
        writer.append(family)
        writer.append(0)
        writer.append(rest)
    }

    private static func append(_ address: ProxyHeader.Address, isV4: Bool, into writer: inout ByteWriter) {
        if !isV4 { self.append(address.high, bytes: 8, into: &writer) }
        self.append(address.low, bytes: isV4 ? 4 : 8, into: &writer)
    }

    /// The lowest bytes of a number, the highest of them first.
    private static func append(_ value: UInt64, bytes: Int, into writer: inout ByteWriter) {
        for place in (0..<bytes).reversed() { writer.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place))) }
    }
}
