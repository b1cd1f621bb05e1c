/// A step from a JSON value to one inside it.
package enum JSONStep: Sendable, Hashable {
    case name(String)
    /// From 0.
    case index(Int)
}

/// A path pattern: the subset `$`, `.name`, `['name']`, `[n]`, `[*]` and `..name` of RFC 9535.
package struct JSONPath: Sendable, Hashable, CustomStringConvertible {
    package enum Segment: Sendable, Hashable {
        case name(String)
        case index(Int)
        /// Every element of an array, every member of an object.
        case wildcard
        /// A member of that name, of the value or of anything inside it.
        case descendant(String)
    }

    package struct Malformed: Error, Sendable, Equatable {
        /// In bytes, from 1.
        package var column: Int
        package var message: String
    }

    /// Bytes of a pattern.
    package static let lengthLimit = 1_024
    /// Steps of a pattern, which is as deep as a text is read.
    package static let segmentLimit = 64

    package let segments: [Segment]
    /// As it was written.
    package let description: String

    package init(_ text: String) throws(Malformed) {
        self.segments = try Parser(bytes: Array(text.utf8)).parse()
        self.description = text
    }

    /// A slow, obvious judgement whether the pattern selects the value at those steps; `PathCursor` does it while it walks.
    package func matches(_ steps: [JSONStep]) -> Bool { Self.matches(self.segments[...], steps[...]) }

    private static func matches(_ segments: ArraySlice<Segment>, _ steps: ArraySlice<JSONStep>) -> Bool {
        guard let segment = segments.first else { return steps.isEmpty }
        guard let step = steps.first else { return false }
        if segment.takes(step), self.matches(segments.dropFirst(), steps.dropFirst()) { return true }
        if case .descendant = segment { return self.matches(segments, steps.dropFirst()) }
        return false
    }
}

extension JSONPath.Segment {
    package func takes(_ step: JSONStep) -> Bool {
        switch (self, step) {
        case (.name(let wanted), .name(let name)), (.descendant(let wanted), .name(let name)): wanted == name
        case (.index(let wanted), .index(let index)): wanted == index
        case (.wildcard, _): true
        default: false
        }
    }
}

extension JSONPath {
    private struct Parser {
        let bytes: [UInt8]
        var position = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        consuming func parse() throws(Malformed) -> [Segment] {
            guard self.bytes.count <= JSONPath.lengthLimit else {
                throw Malformed(column: 1, message: "more than \(JSONPath.lengthLimit) bytes")
            }
            guard self.take("$") else { throw self.malformed("a path begins with $") }
            var segments: [Segment] = []
            while self.position < self.bytes.count {
                guard segments.count < JSONPath.segmentLimit else {
                    throw self.malformed("more than \(JSONPath.segmentLimit) steps")
                }
                if self.take("..") {
                    segments.append(.descendant(try self.name()))
                } else if self.take(".") {
                    segments.append(.name(try self.name()))
                } else if self.take("[") {
                    segments.append(try self.bracket())
                } else {
                    throw self.malformed("expected .name, ..name or [")
                }
            }
            return segments
        }

        /// RFC 9535 §2.5.1.1, member-name-shorthand.
        private mutating func name() throws(Malformed) -> String {
            let start = self.position
            while self.position < self.bytes.count {
                switch self.bytes[self.position] {
                case 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), 0x80...: break
                case 0x30...0x39 where self.position > start: break
                case UInt8(ascii: "*") where self.position == start: throw self.malformed("write [*] instead")
                default: return try self.text(start)
                }
                self.position += 1
            }
            return try self.text(start)
        }

        private func text(_ start: Int) throws(Malformed) -> String {
            guard self.position > start else {
                throw self.malformed("expected a name; others than letters, digits and _ go as ['name']")
            }
            // It came out of a text and was cut at ASCII characters.
            return String(decoding: self.bytes[start..<self.position], as: UTF8.self)
        }

        private mutating func bracket() throws(Malformed) -> Segment {
            let segment: Segment
            if self.take("*") {
                segment = .wildcard
            } else if self.take("'") {
                segment = .name(try self.quoted())
            } else {
                segment = .index(try self.index())
            }
            guard self.take("]") else { throw self.malformed("expected ]") }
            return segment
        }

        /// RFC 9535 §2.1: no zeros in front; not above 2^53 − 1.
        private mutating func index() throws(Malformed) -> Int {
            let start = self.position
            var value = 0
            while self.position < self.bytes.count, (0x30...0x39).contains(self.bytes[self.position]) {
                guard self.position - start < 15 else { throw self.malformed("an index beyond every list") }
                value = value * 10 + Int(self.bytes[self.position] - 0x30)
                self.position += 1
            }
            guard self.position > start else {
                throw self.malformed("expected *, a number, or a name in single quotes")
            }
            guard self.position == start + 1 || self.bytes[start] != 0x30 else {
                throw self.malformed("an index does not begin with 0")
            }
            return value
        }

        /// RFC 9535 §2.3.1.1, of the escapes `\'` and `\\`.
        private mutating func quoted() throws(Malformed) -> String {
            var content: [UInt8] = []
            while self.position < self.bytes.count {
                let byte = self.bytes[self.position]
                switch byte {
                case UInt8(ascii: "'"):
                    self.position += 1
                    return String(decoding: content, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    self.position += 1
                    guard self.position < self.bytes.count,
                        [UInt8(ascii: "'"), UInt8(ascii: "\\")].contains(self.bytes[self.position])
                    else { throw self.malformed("an escape other than \\' and \\\\") }
                    content.append(self.bytes[self.position])
                case 0..<0x20: throw self.malformed("a control character")
                default: content.append(byte)
                }
                self.position += 1
            }
            throw self.malformed("a name without its closing quote")
        }

        private mutating func take(_ word: StaticString) -> Bool {
            let isHere = word.withUTF8Buffer { self.bytes[self.position...].starts(with: $0) }
            if isHere { self.position += word.utf8CodeUnitCount }
            return isHere
        }

        private func malformed(_ message: String) -> Malformed {
            Malformed(column: self.position + 1, message: message)
        }
    }
}
