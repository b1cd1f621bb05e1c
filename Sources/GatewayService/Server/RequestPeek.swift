/// What the bytes of a connection begin with: just enough of a request to know whether a kept answer fits, and where the
/// request ends. Whatever is not plain is left to the HTTP codec.
enum RequestPeek: Equatable {
    /// The head goes on in bytes that are still to come.
    case incomplete
    /// A body, an upgrade, another version, or no HTTP: only the codec knows where it ends.
    case unclear
    /// A whole request without a body.
    ///
    /// - `target`: where the raw target lies.
    /// - `isPlain`: a GET without a condition, an origin, or a wish about the connection other than to keep it.
    /// - `accepted`: where the codings lie that the client accepts; empty when it says nothing of them.
    case request(length: Int, target: Range<Int>, isPlain: Bool, accepted: Range<Int> = 0..<0)

    /// Looks at the request that begins at `start`.
    static func look(_ bytes: RawSpan, from start: Int) -> RequestPeek {
        var cursor = Cursor(position: start)
        do throws(Stop) {
            let method = try cursor.word(bytes)
            let target = try cursor.word(bytes)
            guard !method.isEmpty, !target.isEmpty else { return .unclear }
            try cursor.expect("HTTP/1.1\r\n", bytes)
            var isPlain = bytes.isGet(method)
            var accepted = 0..<0
            while let (name, value) = try cursor.field(bytes) {
                switch name.count {
                case 6 where bytes.matches(name, "origin"), 13 where bytes.matches(name, "if-none-match"):
                    isPlain = false
                case 15 where bytes.matches(name, "accept-encoding"):
                    // Two such fields are one list: left to those who can join them.
                    if accepted.isEmpty { accepted = value } else { isPlain = false }
                case 10 where bytes.matches(name, "connection"):
                    if !bytes.matches(value, "keep-alive") { isPlain = false }
                case 6 where bytes.matches(name, "expect"), 7 where bytes.matches(name, "upgrade"),
                    14 where bytes.matches(name, "content-length"), 17 where bytes.matches(name, "transfer-encoding"):
                    return .unclear
                default: break
                }
            }
            return .request(length: cursor.position - start, target: target, isPlain: isPlain, accepted: accepted)
        } catch {
            return error == .end ? .incomplete : .unclear
        }
    }

    private enum Stop: Error {
        case end, unexpected
    }

    /// Where reading has come to. The bytes are handed to every step.
    private struct Cursor {
        var position: Int

        private mutating func next(_ bytes: RawSpan) throws(Stop) -> UInt8 {
            guard position < bytes.byteCount else { throw .end }
            defer { position += 1 }
            return bytes.byte(position)
        }

        /// Visible characters up to a space, which is passed over.
        mutating func word(_ bytes: RawSpan) throws(Stop) -> Range<Int> {
            let start = position
            while true {
                let byte = try next(bytes)
                if byte == UInt8(ascii: " ") { return start..<(position - 1) }
                guard byte > 0x20, byte < 0x7F else { throw .unexpected }
            }
        }

        mutating func expect(_ text: StaticString, _ bytes: RawSpan) throws(Stop) {
            let start = text.utf8Start
            for index in 0..<text.utf8CodeUnitCount where try next(bytes) != start[index] { throw .unexpected }
        }

        /// The next header field; nil after the empty line that ends the head.
        mutating func field(_ bytes: RawSpan) throws(Stop) -> (name: Range<Int>, value: Range<Int>)? {
            let start = position
            var byte = try next(bytes)
            if byte == UInt8(ascii: "\r") {
                guard try next(bytes) == UInt8(ascii: "\n") else { throw .unexpected }
                return nil
            }
            while byte != UInt8(ascii: ":") {
                guard byte > 0x20, byte < 0x7F else { throw .unexpected }
                byte = try next(bytes)
            }
            let name = start..<(position - 1)
            guard !name.isEmpty else { throw .unexpected }
            let valueStart = position
            repeat {
                byte = try next(bytes)
                guard byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r") else {
                    throw .unexpected
                }
            } while byte != UInt8(ascii: "\r")
            let value = bytes.trimmed(valueStart..<(position - 1))
            guard try next(bytes) == UInt8(ascii: "\n") else { throw .unexpected }
            return (name, value)
        }
    }
}

extension RawSpan {
    /// The byte at `index`, which is checked against the span's bounds.
    func byte(_ index: Int) -> UInt8 { unsafeLoad(fromByteOffset: index, as: UInt8.self) }

    /// Whether the bytes in `range` are `text`, which is in lower case, in any letter case.
    func matches(_ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        let start = text.utf8Start
        for index in 0..<range.count where byte(range.lowerBound + index).lowercasedASCII != start[index] {
            return false
        }
        return true
    }

    fileprivate func isGet(_ range: Range<Int>) -> Bool {
        let start = range.lowerBound
        return range.count == 3 && byte(start) == UInt8(ascii: "G") && byte(start + 1) == UInt8(ascii: "E")
            && byte(start + 2) == UInt8(ascii: "T")
    }

    /// The range without the blanks at its ends.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var (lower, upper) = (range.lowerBound, range.upperBound)
        while lower < upper, byte(lower) == 0x20 || byte(lower) == 0x09 { lower += 1 }
        while lower < upper, byte(upper - 1) == 0x20 || byte(upper - 1) == 0x09 { upper -= 1 }
        return lower..<upper
    }
}
