/// `Client-Cert` and `Client-Cert-Chain` (RFC 9440): certificates in DER as byte sequences of structured fields (RFC 8941 3.3.5).
package enum CertificateLines {
    /// Bytes of both lines that fit into every head.
    package static let largest = 24_576

    /// Of certificates in DER, the client's own first. The chain is left out where both are too long, and all of it where the
    /// client's own is: less is told then, never something else.
    package static func make(_ certificates: [[UInt8]]) -> [UInt8] {
        guard let own = certificates.first else { return [] }
        var lines = Array("Client-Cert: ".utf8)
        self.append(own, to: &lines)
        lines += [0x0D, 0x0A]
        guard lines.count <= self.largest else { return [] }
        guard certificates.count > 1 else { return lines }
        var whole = lines + Array("Client-Cert-Chain: ".utf8)
        for (index, certificate) in certificates.dropFirst().enumerated() {
            if index > 0 { whole += [0x2C, 0x20] }
            self.append(certificate, to: &whole)
            guard whole.count <= self.largest else { return lines }
        }
        whole += [0x0D, 0x0A]
        return whole.count <= self.largest ? whole : lines
    }

    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// In Base64, between colons.
    private static func append(_ bytes: [UInt8], to lines: inout [UInt8]) {
        lines.append(0x3A)
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            let group =
                UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
                | (left > 2 ? UInt32(bytes[index + 2]) : 0)
            lines.append(self.digits[Int(group >> 18)])
            lines.append(self.digits[Int(group >> 12 & 63)])
            lines.append(left > 1 ? self.digits[Int(group >> 6 & 63)] : 0x3D)
            lines.append(left > 2 ? self.digits[Int(group & 63)] : 0x3D)
            index += 3
        }
        lines.append(0x3A)
    }
}
