import JSONText

/// A value of the document with its path. Each reading method gives the value in the wanted form, or reports why it is
/// not of that form and gives nil, so that reading goes on and finds the other problems too.
struct Node {
    let value: JSONValue
    /// Such as `$.routes[1].name`.
    let path: String
    let report: ProblemReport

    func fail(_ message: String) {
        self.report.add(self.path, line: self.value.line, message)
    }

    /// Reports that this is of the wrong form. `expected` completes "expected …".
    func failExpecting(_ expected: String) {
        self.fail("expected \(expected), found \(self.value.kind)")
    }

    // MARK: plain values

    func bool() -> Bool? {
        guard case .bool(let value) = self.value.content else {
            self.failExpecting("true or false")
            return nil
        }
        return value
    }

    /// `expected` completes "expected …".
    func string(_ expected: String = "a string") -> String? {
        guard case .string(let text) = self.value.content else {
            self.failExpecting(expected)
            return nil
        }
        return text
    }

    /// A string that `form` turns into a value; nil of `form` is the wrong form.
    func parsed<Value>(_ expected: String, _ form: (String) -> Value?) -> Value? {
        guard case .string(let text) = self.value.content, let value = form(text) else {
            self.failExpecting(expected)
            return nil
        }
        return value
    }

    func integer<Value: FixedWidthInteger>(_ range: ClosedRange<Value>) -> Value? {
        guard case .number(let digits) = self.value.content, let value = Value(digits), range.contains(value) else {
            self.failExpecting("an integer from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return value
    }

    /// One of these words. Others are answered with the nearest.
    func word<Value>(_ words: [(String, Value)]) -> Value? {
        let names = words.map { $0.0.quoted }
        let expected =
            names.count == 1 ? names[0] : names.dropLast().joined(separator: ", ") + " or \(names.last ?? "")"
        guard case .string(let text) = self.value.content else {
            self.failExpecting(expected)
            return nil
        }
        if let found = words.first(where: { $0.0 == text }) { return found.1 }
        let suggestion = Suggestion.text(for: text, among: words.map(\.0))
        self.fail("expected \(expected), found \(self.value.kind)\(suggestion)")
        return nil
    }

    /// Milliseconds. A length of zero is taken only where `range` has it.
    func duration(_ range: ClosedRange<UInt32>) -> UInt32? {
        guard case .string(let text) = self.value.content, let value = Quantity.milliseconds(text) else {
            self.failExpecting("a duration such as \"2s\" or \"200ms\"")
            return nil
        }
        guard let short = UInt32(exactly: value), range.contains(short) else {
            self.fail(
                "expected a duration from \(Quantity.text(milliseconds: range.lowerBound)) to "
                    + "\(Quantity.text(milliseconds: range.upperBound)), found \(text.quoted)")
            return nil
        }
        return short
    }

    /// Bytes.
    func size<Value: FixedWidthInteger>(_ range: ClosedRange<Value>) -> Value? {
        let bytes: UInt64?
        switch self.value.content {
        case .number(let digits): bytes = UInt64(digits)
        case .string(let text): bytes = Quantity.bytes(text)
        default: bytes = nil
        }
        guard let bytes else {
            self.failExpecting("a size such as \"64KiB\" or a number of bytes")
            return nil
        }
        guard let value = Value(exactly: bytes), range.contains(value) else {
            self.fail("expected a size from \(range.lowerBound) to \(range.upperBound) bytes, found \(self.value.kind)")
            return nil
        }
        return value
    }

    // MARK: lists and objects

    /// At least `minimum` and at most `maximum` elements.
    func elements(_ expected: String = "a list", minimum: Int = 0, maximum: Int = 10_000) -> [Node]? {
        guard case .array(let elements) = self.value.content else {
            self.failExpecting(expected)
            return nil
        }
        guard elements.count >= minimum else {
            self.fail("expected at least \(minimum == 1 ? "one element" : "\(minimum) elements")")
            return nil
        }
        guard elements.count <= maximum else {
            self.fail("expected at most \(maximum) elements, found \(elements.count)")
            return nil
        }
        return elements.enumerated().map { index, value in
            Node(value: value, path: Self.path(self.path, index), report: self.report)
        }
    }

    /// A list, or one element without its brackets.
    func oneOrMore(_ expected: String, maximum: Int = 1_000) -> [Node]? {
        if case .array = self.value.content { return self.elements(minimum: 1, maximum: maximum) }
        if case .null = self.value.content {
            self.failExpecting(expected)
            return nil
        }
        return [self]
    }

    /// The members of an object whose names the operator chooses, in written order, the first of each name: repeated
    /// names have been reported for the whole document.
    func members(_ expected: String = "an object", maximum: Int = 10_000) -> [(name: String, node: Node)]? {
        guard case .object(let members) = self.value.content else {
            self.failExpecting(expected)
            return nil
        }
        guard members.count <= maximum else {
            self.fail("expected at most \(maximum) members, found \(members.count)")
            return nil
        }
        var seen: Set<String> = []
        return members.compactMap { member in
            guard seen.insert(member.name).inserted else { return nil }
            return (member.name, self.child(member))
        }
    }

    /// An object with known keys; every other key is reported.
    func section(_ keys: SectionKeys, _ expected: String = "an object") -> Section? {
        guard case .object = self.value.content else {
            self.failExpecting(expected)
            return nil
        }
        return Section(node: self, keys: keys)
    }

    /// The value of a key, if this is an object that has it.
    func member(_ key: String) -> Node? {
        self.value[key].map { Node(value: $0, path: Self.path(self.path, key), report: self.report) }
    }

    func child(_ member: JSONMember) -> Node {
        Node(value: member.value, path: Self.path(self.path, member.name), report: self.report)
    }

    /// Bytes of a path. It is cut while it is made: thousands of values below a name of a megabyte would otherwise each
    /// cost that megabyte.
    private static let pathLimit = 200
    private static let cut = "…"

    /// `$.a` with `b` is `$.a.b`; a name that would not be plain there, or is long, stands in brackets.
    static func path(_ parent: String, _ name: String) -> String {
        let isPlain =
            !name.isEmpty && name.utf8.count <= 80
            && name.utf8.allSatisfy { byte in
                Character(Unicode.Scalar(byte)).isASCIIWordOrHyphen || byte == UInt8(ascii: "$")
            }
        return self.path(parent, step: isPlain ? ".\(name)" : "[\(name.quoted)]")
    }

    static func path(_ parent: String, _ index: Int) -> String { self.path(parent, step: "[\(index)]") }

    private static func path(_ parent: String, step: String) -> String {
        if parent.hasSuffix(self.cut) { return parent }
        let path = parent + step
        // A step is never cut in two: what stands there can be found in the file.
        return path.utf8.count <= self.pathLimit - self.cut.utf8.count ? path : parent + self.cut
    }
}

extension Character {
    /// A letter, a digit, `_` or `-`.
    var isASCIIWordOrHyphen: Bool { self.isASCII && (self.isLetter || self.isNumber || self == "_" || self == "-") }
}
