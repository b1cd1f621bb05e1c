import HTTPWire

/// What holds of the PROXY protocol's reader for any bytes. For unit tests and for fuzzing.
enum ProxyHeaderInvariants {
    private enum Reading: Equatable {
        case more
        case header(ProxyHeader)
        case refused
    }

    /// nil: they hold; else which does not.
    static func fault(in bytes: [UInt8]) -> String? {
        for versions in [[.one, .two], .one, .two] as [ProxyHeader.Versions] {
            let whole = self.read(bytes, versions)
            var last = Reading.more
            // Every beginning that could end something else, and the ends.
            let ends = bytes.count > 400 ? [max(401, bytes.count - 1), bytes.count] : []
            for count in Array(0...min(bytes.count, 400)) + ends {
                let reading = self.read(Array(bytes[..<count]), versions)
                switch (last, reading) {
                case (.more, _): break
                case (.header, .header), (.refused, .refused): if last != reading { return "a verdict changes" }
                default: return "a verdict is withdrawn at \(count)"
                }
                if case .header(let header) = reading {
                    if header.length > count { return "a header is longer than its bytes" }
                    if header.length < 15 { return "a header is shorter than any" }
                    if (header.source == nil) != (header.destination == nil) { return "half a connection is named" }
                }
                last = reading
            }
            if last != whole { return "the whole reads differently" }
            if case .header(let header) = whole,
                self.read(Array(bytes[..<(header.length - 1)]), versions) != .more
            {
                return "a header is taken before its end"
            }
        }
        return nil
    }

    private static func read(_ bytes: [UInt8], _ versions: ProxyHeader.Versions) -> Reading {
        do throws(ProxyHeaderError) {
            let header = try ProxyHeader.read(bytes.span, versions) { text in
                // Any form will do here: who reads addresses is tested by itself.
                text.isEmpty ? nil : (high: UInt64(text.count), low: UInt64(text[0]))
            }
            return header.map { Reading.header($0) } ?? .more
        } catch {
            return .refused
        }
    }
}
