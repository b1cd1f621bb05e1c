/// Who the client of a request is: the peer, or whom trusted peers speak for. They hand the client down in a list to
/// which each hop appends the address that it saw (X-Forwarded-For), so the list is believed from its right end for as long
/// as those that spoke are trusted: the client is the last address that can be believed, else the peer.
///
///     var identity = ClientIdentity(peer: peer, trusted: table.trusted)
///     // fields from the last, and within each the elements from the last, until one says false:
///     identity.offer(bytes.extracting(element), trusted: table.trusted)
package struct ClientIdentity: Sendable, Equatable {
    package private(set) var address: IPAddress
    /// The peer's word about the client is believed. No element need be offered otherwise.
    package let isPeerTrusted: Bool
    private var isOpen: Bool

    package init(peer: IPAddress, trusted: borrowing AddressSet) {
        self.address = peer
        self.isPeerTrusted = trusted.contains(peer)
        self.isOpen = self.isPeerTrusted
    }

    /// The next element to the left, without the white space around it. Answers whether the one left of it is worth offering.
    ///
    /// What is no address (empty, `unknown`, with a zone, a name) ends the list: whatever stands left of it came through a
    /// hop that nobody can name.
    package mutating func offer(_ element: borrowing Span<UInt8>, trusted: borrowing AddressSet) -> Bool {
        guard self.isOpen else { return false }
        guard let address = Self.address(element) else {
            self.isOpen = false
            return false
        }
        self.address = address
        self.isOpen = trusted.contains(address)
        return self.isOpen
    }

    /// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
    private static func address(_ element: borrowing Span<UInt8>) -> IPAddress? {
        guard !element.isEmpty, element.count <= 64 else { return nil }
        if element[0] == UInt8(ascii: "[") {
            var end = 1
            while end < element.count, element[end] != UInt8(ascii: "]") { end += 1 }
            guard end < element.count, end + 1 == element.count || Self.isPort(element, from: end + 1) else {
                return nil
            }
            let address = IPAddress(parsing: element.extracting(1..<end))
            // Brackets are for IPv6 alone; a mapped address in them is written with colons too.
            return element.extracting(1..<end).contains(UInt8(ascii: ":")) ? address : nil
        }
        if let address = IPAddress(parsing: element.extracting(0..<element.count)) { return address }
        var colon = 0
        while colon < element.count, element[colon] != UInt8(ascii: ":") { colon += 1 }
        guard colon < element.count, Self.isPort(element, from: colon) else { return nil }
        return IPAddress(parsing: element.extracting(0..<colon))
    }

    /// A colon and one to five digits, to the end.
    private static func isPort(_ element: borrowing Span<UInt8>, from start: Int) -> Bool {
        guard start + 1 < element.count, element.count - start <= 6, element[start] == UInt8(ascii: ":") else {
            return false
        }
        for index in start + 1..<element.count where element[index] &- UInt8(ascii: "0") > 9 { return false }
        return true
    }
}

extension Span<UInt8> {
    fileprivate func contains(_ byte: UInt8) -> Bool {
        for index in self.indices where self[index] == byte { return true }
        return false
    }
}
