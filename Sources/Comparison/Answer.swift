/// What one side answered.
package struct Answer: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package enum Body: Sendable, Equatable {
        /// Without framing; in the coding that the answer names.
        case whole([UInt8])
        /// Of a body beyond what is kept: how long it is, and a hash of it.
        case digest(length: UInt64, hash: UInt64)
    }

    package var status: UInt16
    package var fields: [Field]
    package var body: Body

    package init(status: UInt16, fields: [Field], body: Body) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// All values of a field, trimmed, in their order; nil if there is none.
    func values(_ name: String) -> [String]? {
        let values = self.fields.filter { $0.name.lowercased() == name }.map { Self.trimmed($0.value) }
        return values.isEmpty ? nil : values
    }

    /// Whether the media type is JSON: `application/json`, or one that ends in `+json` (RFC 6839 §3.1).
    var isJSON: Bool {
        guard let type = self.values("content-type")?.first else { return false }
        let essence = Self.trimmed(String(type.prefix { $0 != ";" })).lowercased()
        return essence == "application/json" || essence.hasSuffix("+json")
    }

    /// In lower case; nil for a body that is as it is.
    var coding: String? {
        let coding = (self.values("content-encoding") ?? []).joined(separator: ",").lowercased()
        return coding.isEmpty || coding == "identity" ? nil : coding
    }

    private static func trimmed(_ text: String) -> String {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let bytes = text.utf8.drop(while: isSpace)
        let end = bytes.lastIndex { !isSpace($0) }.map { bytes.index(after: $0) } ?? bytes.startIndex
        return String(text[bytes.startIndex..<end])
    }
}
