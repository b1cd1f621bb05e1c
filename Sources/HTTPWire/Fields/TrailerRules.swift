/// Which fields may come behind a body: none that `OwnFields` keeps in heads, none that the route removes or sets, and of a
/// request none whose name has a `_`, unless the configuration keeps those.
package struct TrailerRules: Sendable {
    private let edits: FieldEdits
    private let underscores: RequestPolicy.Underscores
    private let userHeader: [UInt8]

    /// Of responses, where names with a `_` mislead nobody.
    package init(edits: FieldEdits = .none, underscores: RequestPolicy.Underscores = .keep) {
        self.userHeader = []
        self.edits = edits
        self.underscores = underscores
    }

    /// Of requests: what their heads are held to.
    package init(requests policy: RequestPolicy) {
        self.edits = policy.edits
        self.underscores = policy.underscores
        self.userHeader = policy.userHeader
    }

    func keep(_ name: ByteRange, in source: borrowing Span<UInt8>) -> Bool {
        guard OwnFields.mayFollow(FieldIndex.shared.name(source, name)), !self.edits.drops(name, in: source) else {
            return false
        }
        for position in name.bounds where source[position] == 0x5F {
            return self.underscores == .keep && !FieldIndex.shared.isDisguise(source, name)
                && !FieldIndex.isDisguise(source, name, of: self.userHeader)
        }
        return true
    }
}
