import HTTPWire
import Traffic

/// One element of X-Forwarded-For as an address.
enum ForwardedAddress {
    /// An address, with or without a port. nil: something else, which nobody can be found by.
    static func read(_ span: borrowing Span<UInt8>, _ element: ByteRange) -> IPAddress? {
        // Longer than any address: not one.
        guard !element.isEmpty, element.count <= 64 else { return nil }
        var text = ""
        for index in element.bounds { text.unicodeScalars.append(Unicode.Scalar(span[index])) }
        if let address = IPAddress(parsing: text) { return address }
        return SocketAddress(parsing: text)?.ip
    }
}
