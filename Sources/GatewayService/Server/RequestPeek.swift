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
    /// - `isPlain`: a GET without a condition, or a wish about the connection other than to keep it.
    /// - `accepted`: where the codings lie that the client accepts; empty when it says nothing of them.
    /// - `origin`: where the origin lies that asks; empty when the request names none.
    case request(
        length: Int, target: Range<Int>, isPlain: Bool, accepted: Range<Int> = 0..<0, origin: Range<Int> = 0..<0)

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
            var origin: Range<Int>?
            var fields = 0
            while let (name, value) = try cursor.field(bytes) {
                fields += 1
                if fields > mostFields { isPlain = false }
                switch name.count {
                case 6 where bytes.matches(name, "origin"):
                    // Two of them are one value, and what is not of plain text has a form that only the codec knows. Blanks
                    // behind it are said again.
                    if origin != nil || value.count > longestOrigin || !bytes.areVisible(value)
                        || bytes.byte(value.upperBound) != UInt8(ascii: "\r")
                    {
                        isPlain = false
                    }
                    origin = value
                case 13 where bytes.matches(name, "if-none-match"):
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
            return .request(
                length: cursor.position - start, target: target, isPlain: isPlain, accepted: accepted,
                origin: origin ?? 0..<0)
        } catch {
            return error == .end ? .incomplete : .unclear
        }
    }

    /// The codec has a limit of its own, which is several times this one.
    private static let mostFields = 64

    /// Longer ones are no page's, and copies of answers to them would only take room.
    private static let longestOrigin = 256

    private enum Stop: Error {
        case end, unexpected
    }

    /// Where reading has come to. The bytes are handed to every step.
    private struct Cursor {
        var position: Int

        private mutating func next(_ bytes: RawSpan) throws(Stop) -> UInt8 {
            guard position < bytes.byteCount else { throw .end }
            defer { position += 1 }
            // It has just been compared with the span's end.
            return bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
        }

        /// Visible characters up to a space, which is passed over.
        mutating func word(_ bytes: RawSpan) throws(Stop) -> Range<Int> {
            let start = position
            while bytes.eight(at: position)?.areVisible == true { position += 8 }
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
                guard byte.isOfToken else { throw .unexpected }
                byte = try next(bytes)
            }
            let name = start..<(position - 1)
            guard !name.isEmpty else { throw .unexpected }
            let valueStart = position
            while bytes.eight(at: position)?.haveControl == false { position += 8 }
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

extension UInt8 {
    /// Whether a field's name may have it (RFC 9110, section 5.6.2). The codec refuses all others.
    fileprivate var isOfToken: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "^")...UInt8(ascii: "`"), UInt8(ascii: "!"),
            UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}

/// Eight bytes looked at together.
extension UInt64 {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// Whether every byte is 0x21 to 0x7E.
    fileprivate var areVisible: Bool {
        let below = (self &- 0x21 &* Self.ones) & ~self
        return (below | self | (self &+ Self.ones)) & Self.tops == 0
    }

    /// Whether some byte is below 0x20, or is 0x7F.
    fileprivate var haveControl: Bool {
        let below = (self &- 0x20 &* Self.ones) & ~self
        let others = self ^ 0x7F &* Self.ones
        let deleted = (others &- Self.ones) & ~others
        return (below | deleted) & Self.tops != 0
    }
}

extension RawSpan {
    /// The eight bytes at `index`, if there are so many.
    fileprivate func eight(at index: Int) -> UInt64? {
        guard index >= 0, index + 8 <= byteCount else { return nil }
        return unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self)
    }

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

    /// Whether all bytes are 0x21 to 0x7E.
    fileprivate func areVisible(_ range: Range<Int>) -> Bool {
        range.allSatisfy { byte($0) > 0x20 && byte($0) < 0x7F }
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
