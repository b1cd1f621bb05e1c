/// Fields in memory that somebody else owns: a table's or a kept head's.
package struct FieldList {
    private let fields: UnsafeBufferPointer<Field>
    /// Which known names there are.
    package let present: FieldNameSet

    init(_ fields: UnsafeBufferPointer<Field>, present: FieldNameSet) {
        self.fields = fields
        self.present = present
    }

    package var count: Int { self.fields.count }

    @inline(__always)
    package subscript(index: Int) -> Field {
        precondition(index >= 0 && index < self.fields.count)
        return self.fields[index]
    }

    package func first(_ id: FieldName) -> Field? {
        guard self.present.contains(id) else { return nil }
        for field in self.fields where field.id == id { return field }
        return nil
    }
}
