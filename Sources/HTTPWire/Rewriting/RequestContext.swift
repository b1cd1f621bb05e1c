/// What one request's forwarding depends on besides its route. Kept with the connection, of which most of it speaks: then
/// only what changes is set for each request, and no array is counted.
package struct RequestContext {
    /// How the client reached us.
    package enum Scheme: Sendable {
        case http, https
    }

    /// The peer's address as text.
    package var peer: AddressText
    package var scheme: Scheme
    /// Whether the peer may speak for clients behind it.
    package var isPeerTrusted: Bool
    /// Written as 32 hexadecimal digits if the request brings none that is believed.
    package var requestID: (UInt64, UInt64)
    /// `Connection: upgrade` goes along.
    package var upgrades: Bool
    /// The endpoint's own authority if the route asks for it; without an address: it does not. Lent for the time of the rewriting.
    package var endpointHost = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Whole lines that go along: who asks, and by which certificate. Lent likewise; empty: none.
    package var addedLines = UnsafeRawBufferPointer(start: nil, count: 0)

    package init(
        peer: AddressText, scheme: Scheme = .http, isPeerTrusted: Bool, requestID: (UInt64, UInt64), upgrades: Bool
    ) {
        self.peer = peer
        self.scheme = scheme
        self.isPeerTrusted = isPeerTrusted
        self.requestID = requestID
        self.upgrades = upgrades
    }
}

/// An address as text, in place: at most the 45 bytes of an IPv6 address that ends as an IPv4 one (RFC 4291 2.2).
package struct AddressText: Sendable {
    private static let capacity = 47

    private var bytes = InlineArray<47, UInt8>(repeating: 0)
    private var count: UInt8 = 0

    /// What does not fit is left out; no address is longer.
    package init(_ text: some Sequence<UInt8>) {
        for byte in text where Int(self.count) < Self.capacity {
            self.bytes[Int(self.count)] = byte
            self.count += 1
        }
    }

    /// Of an IPv6 address.
    var isV6: Bool {
        for index in 0..<Int(self.count) where self.bytes[index] == 0x3A { return true }
        return false
    }

    @inline(__always)
    package func write(into writer: inout ByteWriter) {
        writer.append(self.bytes.span, 0..<Int(self.count))
    }
}
