/// A JSON value (RFC 8259) that remembers the line it began on and the order of its members, so that a problem can be
/// shown where the operator wrote it.
package struct JSONValue: Sendable, Equatable {
    package enum Content: Sendable, Equatable {
        case null
        case bool(Bool)
        /// The digits as written: no precision is lost, and a number that is too big stays a number.
        case number(String)
        case string(String)
        case array([JSONValue])
        /// In written order; a repeated name appears as often as it was written.
        case object([JSONMember])
    }

    package var content: Content
    /// From 1.
    package var line: Int

    package init(_ content: Content, line: Int) {
        self.content = content
        self.line = line
    }

    /// The first member of that name, if this is an object that has one.
    package subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self.content else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// What this is, for a sentence that begins "found".
    package var kind: String {
        switch self.content {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let digits): "number \(digits.count <= 40 ? digits : String(digits.prefix(40)) + "…")"
        case .string(let text): "string \(text.quoted)"
        case .array: "a list"
        case .object: "an object"
        }
    }
}

/// A name and its value inside an object.
package struct JSONMember: Sendable, Equatable {
    package var name: String
    /// Of the name, from 1.
    package var line: Int
    package var value: JSONValue

    package init(name: String, line: Int, value: JSONValue) {
        self.name = name
        self.line = line
        self.value = value
    }
}

extension String {
    private var withoutCredentials: String {
        guard let end = self.lastIndex(of: "@"), let colon = self[..<end].firstIndex(of: ":"),
            self[colon...].hasPrefix("://")
        else { return self }
        return self[..<colon] + "://…" + self[end...]
    }

    /// In double quotes with control characters made visible, at most 80 characters of it: what an operator wrote goes
    /// into terminals and logs. User and password of a URL are not among it.
    package var quoted: String {
        var text = "\""
        for (position, scalar) in self.withoutCredentials.unicodeScalars.enumerated() {
            if position == 80 {
                text += "…"
                break
            }
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                text += "\\u{\(String(scalar.value, radix: 16))}"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
