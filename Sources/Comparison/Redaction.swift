import JSONText

/// Keeps what belongs to users out of reports: the value is replaced by its length and a keyed hash, so that equal ones can be
/// told from others and nothing else can be learnt.
package struct Redaction: Sendable {
    /// Fields that are always covered.
    private static let headers: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key",
    ]
    /// `pass(word|wd)|secret|token|api_?key|session|e?mail|phone|iban`, found anywhere in a name, in any case.
    private static let words = [
        "password", "passwd", "secret", "token", "apikey", "api_key", "session", "mail", "phone", "iban",
    ]
    /// Bytes of a value that are shown.
    package static let valueLimit = 256
    private static let targetLimit = 1_024

    private let paths: [JSONPath]
    private let query: Set<String>
    /// Drawn when the process starts: a hash of one process says nothing in another.
    private let key: UInt64

    /// `query`: names whose values are covered in targets, beside those that are always.
    package init(paths: [JSONPath] = [], query: [String] = [], key: UInt64) {
        self.paths = paths
        self.query = Set(query.map { $0.lowercased() })
        self.key = key
    }

    /// Whether a member, a query's value or a field of that name is somebody's own.
    package static func isPrivate(_ name: String) -> Bool {
        let name = name.lowercased()
        return self.words.contains { name.contains($0) } || self.headers.contains(name)
    }

    /// `‹12 bytes, #a1b2›`
    package func covered(_ value: some StringProtocol) -> String {
        // Keyed by the process on top of the key.
        var hasher = Hasher()
        hasher.combine(self.key)
        var copy = String(value)
        copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        let digits = String(UInt16(truncatingIfNeeded: hasher.finalize()), radix: 16)
        let count = value.utf8.count
        return
            "‹\(count) \(count == 1 ? "byte" : "bytes"), #\(String(repeating: "0", count: 4 - digits.count))\(digits)›"
    }

    /// A field's value as it may be shown.
    func field(_ name: String, _ value: String) -> String {
        // What one is sent on to is a target too, with what the one who sends thinks nobody else sees.
        Self.isPrivate(name) ? self.covered(value) : Self.cut(self.coveredTarget(value))
    }

    /// A request's target with the values of private names covered, cut at 1,024 bytes.
    package func target(_ target: String) -> String { Self.cut(self.coveredTarget(target), at: Self.targetLimit) }

    /// What stands behind `?` and `#` is pairs. By bytes: what would join a mark to one character with it must not hide it.
    private func coveredTarget(_ target: String) -> String {
        let isMark: (UInt8) -> Bool = { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
        let bytes = target.utf8
        guard var mark = bytes.firstIndex(where: isMark) else { return self.coveredUser(target[...]) }
        var shown = self.coveredUser(target[..<mark])
        while mark < bytes.endIndex {
            let start = bytes.index(after: mark)
            let end =
                bytes[start...].firstIndex { isMark($0) || $0 == UInt8(ascii: "&") || $0 == UInt8(ascii: ";") }
                ?? bytes.endIndex
            shown += target[mark..<start] + self.coveredPair(target[start..<end])
            mark = end
        }
        return shown
    }

    /// Who an absolute URL asks as (RFC 3986 3.2.1). `target`: up to its query.
    private func coveredUser(_ target: Substring) -> String {
        var rest = target.utf8
        while let colon = rest.firstIndex(of: UInt8(ascii: ":")) {
            rest = rest[rest.index(after: colon)...]
            guard rest.starts(with: "//".utf8) else { continue }
            let start = rest.index(rest.startIndex, offsetBy: 2)
            let end = rest[start...].firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
            guard let sign = rest[start..<end].lastIndex(of: UInt8(ascii: "@")) else { return String(target) }
            return "\(target[..<start])\(self.covered(target[start..<sign]))\(target[sign...])"
        }
        return String(target)
    }

    private func coveredPair(_ pair: Substring) -> String {
        guard let sign = pair.utf8.firstIndex(of: UInt8(ascii: "=")) else { return String(pair) }
        let name = pair[..<sign]
        guard Self.isPrivate(Self.decoded(name)) || self.query.contains(Self.decoded(name).lowercased()) else {
            return String(pair)
        }
        return "\(name)=\(self.covered(pair[pair.utf8.index(after: sign)...]))"
    }

    /// A name could be written with escapes to keep its value readable.
    private static func decoded(_ name: Substring) -> String {
        guard name.utf8.contains(UInt8(ascii: "%")) else { return String(name) }
        var bytes: [UInt8] = []
        var rest = name.utf8[...]
        while let byte = rest.popFirst() {
            let pair = rest.prefix(2)
            if byte == UInt8(ascii: "%"), pair.count == 2, let value = UInt8(String(Substring(pair)), radix: 16) {
                bytes.append(value)
                rest.removeFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A place in a JSON text as it may be shown: the names inside what is private are as private as their values.
    func path(_ steps: [JSONStep], indices: Bool) -> String {
        let place = self.isPrivate([]) ? 0 : steps.indices.first { self.isPrivate(steps[...$0]) }.map { $0 + 1 }
        return steps.path(indices: indices, coveredFrom: place ?? steps.count)
    }

    /// A JSON value as it may be shown, cut; what is private inside it is covered too.
    func json(_ value: JSONValue, at steps: [JSONStep]) -> String {
        var text = ""
        var steps = steps
        if steps.indices.contains(where: { self.isPrivate(steps[...$0]) }) || self.isPrivate([]) {
            return self.covered(Self.whole(value))
        }
        self.write(value, at: &steps, into: &text)
        return Self.cut(text)
    }

    private func isPrivate(_ steps: ArraySlice<JSONStep>) -> Bool {
        if case .name(let name)? = steps.last, Self.isPrivate(name) { return true }
        return !self.paths.isEmpty && self.paths.contains { $0.matches(Array(steps)) }
    }

    private func write(_ value: JSONValue, at steps: inout [JSONStep], into text: inout String) {
        guard text.utf8.count <= Self.valueLimit else { return }
        switch value.content {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let digits): text += digits
        // A link to the next page may bring what its reader is known by.
        case .string(let string): text += Self.quoted(self.coveredTarget(string))
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() where text.utf8.count <= Self.valueLimit {
                if index > 0 { text += "," }
                self.write(element, under: .index(index), at: &steps, into: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() where text.utf8.count <= Self.valueLimit {
                if index > 0 { text += "," }
                text += Self.quoted(member.name) + ":"
                self.write(member.value, under: .name(member.name), at: &steps, into: &text)
            }
            text += "}"
        }
    }

    private func write(
        _ value: JSONValue, under step: JSONStep, at steps: inout [JSONStep], into text: inout String
    ) {
        steps.append(step)
        if self.isPrivate(steps[...]) {
            text += self.covered(Self.whole(value))
        } else {
            self.write(value, at: &steps, into: &text)
        }
        steps.removeLast()
    }

    /// The value whole, for its hash.
    private static func whole(_ value: JSONValue) -> String {
        switch value.content {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let digits): digits
        case .string(let string): string
        case .array(let elements): "[" + elements.map(self.whole).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\($0.name):\(self.whole($0.value))" }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ string: String) -> String {
        var text = "\""
        for scalar in string.unicodeScalars.prefix(Self.valueLimit + 1) {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case "\n": text += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }

    /// At most so many bytes of it, whole characters.
    static func cut(_ text: String, at limit: Int = Self.valueLimit) -> String {
        guard text.utf8.count > limit else { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: limit)
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return text[..<end] + "…"
    }
}
