/// The fields of one head. Made once, reused for every head.
package struct FieldTable: ~Copyable {
    private var fields: UnsafeMutableBufferPointer<Field>
    package private(set) var count = 0
    /// Which known names there are.
    package private(set) var present = FieldNameSet()
    /// Whether a name has a `_`.
    package private(set) var hasUnderscores = false
    let index = FieldIndex.shared

    /// Grows beyond `capacity` as needed.
    package init(capacity: Int = 128) {
        self.fields = .allocate(capacity: max(1, capacity))
    }

    deinit {
        self.fields.deallocate()
    }

    package subscript(index: Int) -> Field {
        precondition(index >= 0 && index < self.count)
        return self.fields[index]
    }

    package mutating func append(_ field: Field) {
        if self.count == self.fields.count { self.grow() }
        self.fields.initializeElement(at: self.count, to: field)
        self.count &+= 1
        self.present.insert(field.id)
        if field.hasUnderscore { self.hasUnderscores = true }
    }

    private mutating func grow() {
        let larger = UnsafeMutableBufferPointer<Field>.allocate(capacity: 2 * self.count)
        _ = larger.moveInitialize(fromContentsOf: UnsafeMutableBufferPointer(rebasing: self.fields[..<self.count]))
        self.fields.deallocate()
        self.fields = larger
    }

    package mutating func removeAll() {
        self.count = 0
        self.present = FieldNameSet()
        self.hasUnderscores = false
    }

    package func first(_ id: FieldName) -> Field? { self.list.first(id) }

    /// The fields as they are; to be used before the table changes.
    package var list: FieldList {
        FieldList(UnsafeBufferPointer(rebasing: self.fields[..<self.count]), present: self.present)
    }

    mutating func nominate(_ index: Int) {
        precondition(index >= 0 && index < self.count)
        self.fields[index].traits.insert(.nominated)
    }
}
