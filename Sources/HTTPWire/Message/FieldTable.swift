/// One header field: where its name and its value (without surrounding white space) stand.
package struct Field: Equatable, Sendable {
    package var name: ByteRange
    package var value: ByteRange
    package var id: FieldName
    /// Named by a `Connection` option: meant for this hop, not passed on.
    package var nominated: Bool

    package init(name: ByteRange, value: ByteRange, id: FieldName, nominated: Bool = false) {
        self.name = name
        self.value = value
        self.id = id
        self.nominated = nominated
    }
}

/// The fields of one head. Reserve once, reuse for every head.
package struct FieldTable: Sendable {
    private var fields: ContiguousArray<Field> = []

    package init(capacity: Int = 128) {
        self.fields.reserveCapacity(capacity)
    }

    package var count: Int { self.fields.count }

    package subscript(index: Int) -> Field { self.fields[index] }

    package mutating func append(_ field: Field) {
        self.fields.append(field)
    }

    package mutating func removeAll() {
        self.fields.removeAll(keepingCapacity: true)
    }

    package func first(_ id: FieldName) -> Field? {
        for field in self.fields where field.id == id { return field }
        return nil
    }

    mutating func nominate(_ index: Int) {
        self.fields[index].nominated = true
    }
}
