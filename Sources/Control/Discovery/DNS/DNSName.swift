/// A domain name in the uncompressed form of the wire (RFC 1035 §3.1), in lower case, because names are compared without
/// regard to case (RFC 4343).
struct DNSName: Hashable, Sendable {
    /// Bytes of a whole name, its final zero included.
    static let limit = 255
    static let labelLimit = 63

    /// Length and bytes of each label, then a zero. Never longer than `limit`.
    let wire: [UInt8]

    /// `www.example.org`, with or without a final dot; nil if a label is empty or too long, or the whole is.
    init?(_ text: some StringProtocol) {
        var wire: [UInt8] = []
        let trimmed = text.hasSuffix(".") ? text.dropLast() : text[...]
        guard !trimmed.isEmpty else { return nil }
        for label in trimmed.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard (1...Self.labelLimit).contains(label.count) else { return nil }
            wire.append(UInt8(label.count))
            wire.append(contentsOf: label.map(Self.lowercased))
        }
        wire.append(0)
        guard wire.count <= Self.limit else { return nil }
        self.wire = wire
    }

    /// `wire` is a whole name as described above, its letters in any case.
    init(wire: [UInt8]) {
        self.wire = wire.map(Self.lowercased)
    }

    /// The root: what an SRV record names when there is no service (RFC 2782).
    var isRoot: Bool { self.wire.count == 1 }

    /// Length octets are below `A`, so they stay what they are.
    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}

extension DNSName: CustomStringConvertible {
    /// With visible ASCII only: a name server may send any bytes, and this is for people.
    var description: String {
        if self.isRoot { return "." }
        var text = ""
        var position = 0
        while position < self.wire.count, self.wire[position] > 0 {
            let end = min(position + 1 + Int(self.wire[position]), self.wire.count)
            if position > 0 { text += "." }
            for byte in self.wire[(position + 1)..<end] {
                text += (0x21...0x7E).contains(byte) ? String(Character(Unicode.Scalar(byte))) : "?"
            }
            position = end
        }
        return text
    }
}
