import Documents

/// A JSON schema, in OpenAPI 3.0's words.
struct Schema: Sendable {
    indirect enum Kind: Sendable {
        /// A number without a fraction. Everything that the programme counts, and times in milliseconds.
        case integer
        case number, string, boolean
        /// Whatever is stored.
        case any
        case array(Schema)
        /// What is stored may have more fields than are named.
        case object([Field])
        case component(Component)
    }

    struct Field: Sendable {
        let name: String
        let schema: Schema
        /// Whether every answer has it. Of what is only stored nothing is certain.
        let isAlways: Bool
    }

    let kind: Kind
    /// What it means, and in what unit.
    var text = ""
    /// As JSON; empty for none.
    var example = ""
    var isNullable = false

    init(_ kind: Kind, _ text: String = "", example: String = "", isNullable: Bool = false) {
        self.kind = kind
        self.text = text
        self.example = example
        self.isNullable = isNullable
    }

    static func integer(_ text: String, _ example: Int? = nil) -> Schema {
        Schema(.integer, text, example: example.map { "\($0)" } ?? "")
    }

    static func number(_ text: String, _ example: String = "") -> Schema { Schema(.number, text, example: example) }

    /// - Parameter example: without quotes; nothing in it needs an escape.
    static func string(_ text: String, _ example: String = "") -> Schema {
        Schema(.string, text, example: example.isEmpty ? "" : "\"\(example)\"")
    }

    static func boolean(_ text: String, _ example: Bool? = nil) -> Schema {
        Schema(.boolean, text, example: example.map { "\($0)" } ?? "")
    }

    static func list(_ items: Schema, _ text: String = "") -> Schema { Schema(.array(items), text) }

    static func component(_ component: Component) -> Schema { Schema(.component(component)) }

    static let address = Schema.string("SS58 address.", "Crymtpub2tget5AdA7qFFK76CV7BFmRxmnPqMPeinnG1Rpm")

    var orNull: Schema {
        var schema = self
        schema.isNullable = true
        return schema
    }

    /// A field that may be missing.
    func at(_ name: String) -> Field { Field(name: name, schema: self, isAlways: false) }

    /// A field that is always there.
    func always(_ name: String) -> Field { Field(name: name, schema: self, isAlways: true) }

    /// The identity that the database gives each document.
    static let identity = Schema.string("The document's identity.", "6730c97e677fa573dedd6cf2").at("_id")
    static let version = Schema.integer("A counter of the library that writes documents.", 0).at("__v")

    /// A stored document: with what the database adds.
    static func document(_ text: String, _ fields: [Field]) -> Schema {
        Schema(.object([identity] + fields + [version]), text)
    }

    /// An object within a document: with an identity of its own.
    static func item(_ text: String, _ fields: [Field]) -> Schema { Schema(.object([identity] + fields), text) }

    // MARK: writing

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        switch kind {
        case .integer:
            writer.member("type", "integer")
            writer.member("format", "int64")
        case .number:
            writer.member("type", "number")
            writer.member("format", "double")
        case .string: writer.member("type", "string")
        case .boolean: writer.member("type", "boolean")
        case .any: break
        case .array(let items):
            writer.member("type", "array")
            writer.key("items")
            items.write(to: &writer)
        case .object(let fields): write(fields, to: &writer)
        case .component(let component) where isNullable || !text.isEmpty:
            // Nothing that stands beside a reference counts.
            writer.key("allOf")
            writer.beginArray()
            Schema.component(component).write(to: &writer)
            writer.endArray()
        case .component(let component): writer.member("$ref", "#/components/schemas/\(component.rawValue)")
        }
        if isNullable {
            writer.key("nullable")
            writer.bool(true)
        }
        if !text.isEmpty { writer.member("description", text) }
        if !example.isEmpty, let value = try? JSONParser.parse(Array(example.utf8)) {
            writer.key("example")
            writer.json(value)
        }
        writer.endObject()
    }

    private func write(_ fields: [Field], to writer: inout JSONWriter) {
        writer.member("type", "object")
        let required = fields.filter(\.isAlways)
        if !required.isEmpty {
            writer.key("required")
            writer.beginArray()
            for field in required { writer.string(field.name) }
            writer.endArray()
        }
        writer.key("properties")
        writer.beginObject()
        for field in fields {
            writer.key(text: field.name)
            field.schema.write(to: &writer)
        }
        writer.endObject()
    }
}

extension JSONWriter {
    mutating func member(_ name: String, _ value: String) {
        key(text: name)
        string(value)
    }

    mutating func json(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let value): bool(value)
        case .number(let value): number(value)
        case .string(let value): string(value)
        case .array(let values):
            beginArray()
            for value in values { json(value) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                key(text: member.key)
                json(member.value)
            }
            endObject()
        }
    }
}
