import NIOCore

/// A form in which a body may be sent, RFC 9110 §8.4.1.
package enum ContentCoding: String, CaseIterable, Sendable {
    // In the order of our preference: the first takes the least time for its length.
    case zstd, br, gzip

    /// What tells hashes of a target in different forms apart.
    var salt: UInt64 {
        switch self {
        case .zstd: 0x9E37_79B9_7F4A_7C15
        case .br: 0x3C6E_F372_FE94_F82A
        case .gzip: 0xDAA6_6D2C_7DDF_743F
        }
    }

    /// The one that a client likes best.
    ///
    /// - Parameters:
    ///   - fields: the values of its `Accept-Encoding` fields.
    ///   - allowed: those that may be used, the preferred one first.
    /// - Returns: nil for the body as it is.
    static func preferred(in fields: [String], of allowed: [ContentCoding]) -> ContentCoding? {
        if fields.isEmpty || allowed.isEmpty { return nil }
        return ByteBuffer(string: fields.joined(separator: ",")).withUnsafeReadableBytes { bytes in
            let span = RawSpan(_unsafeBytes: bytes)
            return preferred(in: span, 0..<span.byteCount, of: allowed)
        }
    }

    /// The same for one field's value, which lies at `range`. Takes no memory.
    ///
    /// A coding that is not named has the weight of `*`, else none: `identity` has what is left. What has no form counts as
    /// unknown. Between those that the client likes equally the order of `allowed` decides.
    static func preferred(in bytes: RawSpan, _ range: Range<Int>, of allowed: [ContentCoding]) -> ContentCoding? {
        if allowed.isEmpty { return nil }
        var weights = Weights()
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start
            while end < range.upperBound, bytes.byte(end) != UInt8(ascii: ",") { end += 1 }
            weights.add(bytes, start..<end)
            start = end + 1
        }
        var best: ContentCoding?
        // Of what the client says nothing about, anything that it names is better.
        var most = max(weights.identity, 0)
        for coding in allowed {
            let weight = weights[coding]
            // As good as the body itself is better: it is shorter.
            if weight > 0, best == nil ? weight >= most : weight > most {
                best = coding
                most = weight
            }
        }
        return best
    }

    /// What a client says of each coding, in thousandths; -1 where it says nothing.
    private struct Weights {
        private var zstd = -1
        private var br = -1
        private var gzip = -1
        private var any = -1
        var identity = -1

        subscript(coding: ContentCoding) -> Int {
            let own =
                switch coding {
                case .zstd: zstd
                case .br: br
                case .gzip: gzip
                }
            return own >= 0 ? own : any
        }

        /// Takes in a member of the list: a coding, and perhaps its weight.
        mutating func add(_ bytes: RawSpan, _ range: Range<Int>) {
            var end = range.lowerBound
            while end < range.upperBound, bytes.byte(end) != UInt8(ascii: ";") { end += 1 }
            let name = bytes.trimmed(range.lowerBound..<end)
            guard let weight = Self.weight(bytes, end..<range.upperBound) else { return }
            switch name.count {
            case 1 where bytes.byte(name.lowerBound) == UInt8(ascii: "*"): any = weight
            case 2 where bytes.matches(name, "br"): br = weight
            case 4 where bytes.matches(name, "zstd"): zstd = weight
            case 4 where bytes.matches(name, "gzip"), 6 where bytes.matches(name, "x-gzip"): gzip = weight
            case 8 where bytes.matches(name, "identity"): identity = weight
            default: break
            }
        }

        /// `;q=0.5` as 500; 1000 for nothing, nil for what has no form.
        private static func weight(_ bytes: RawSpan, _ range: Range<Int>) -> Int? {
            if range.isEmpty { return 1000 }
            let value = bytes.trimmed(range.lowerBound + 1..<range.upperBound)
            guard value.count > 2, bytes.byte(value.lowerBound) | 0x20 == UInt8(ascii: "q"),
                bytes.byte(value.lowerBound + 1) == UInt8(ascii: "=")
            else { return nil }
            let whole = bytes.byte(value.lowerBound + 2)
            guard whole == UInt8(ascii: "0") || whole == UInt8(ascii: "1") else { return nil }
            var weight = whole == UInt8(ascii: "1") ? 1000 : 0
            guard value.count > 3 else { return weight }
            guard bytes.byte(value.lowerBound + 3) == UInt8(ascii: "."), value.count <= 7 else { return nil }
            var place = 100
            for index in value.lowerBound + 4..<value.upperBound {
                let digit = Int(bytes.byte(index)) - Int(UInt8(ascii: "0"))
                guard (0...9).contains(digit) else { return nil }
                weight += digit * place
                place /= 10
            }
            return weight <= 1000 ? weight : nil
        }
    }
}
