/// What a route asks of a request besides host and path, as bytes.
struct RouteConditions: Sendable {
    struct HeaderCondition: Sendable {
        /// Lower case.
        var name: ContiguousArray<UInt8>
        /// nil: any value.
        var value: ContiguousArray<UInt8>?
    }

    /// Empty: any. Case-sensitive (RFC 9110 §9.1).
    private let methods: ContiguousArray<ContiguousArray<UInt8>>
    /// A bit for each listener that will do (`RouteMatcher.bit`); all bits: any.
    private let listeners: UInt64
    /// All must hold.
    let headers: ContiguousArray<HeaderCondition>
    /// How many there are: each header is one, a list of methods is one, a list of listeners is one.
    let count: Int

    init(_ match: MatchSpec, listeners: UInt64) {
        self.listeners = listeners
        self.methods = match.methods.isEmpty ? [] : ContiguousArray(match.methods.map { ContiguousArray($0.utf8) })
        self.headers =
            match.headers.isEmpty
            ? []
            : ContiguousArray(
                match.headers.map { header in
                    HeaderCondition(
                        name: ContiguousArray(header.name.utf8.map(ByteTable.folded)),
                        value: header.value.map { ContiguousArray($0.utf8) })
                })
        self.count =
            self.headers.count + (self.methods.isEmpty ? 0 : 1) + (match.listeners.isEmpty ? 0 : 1)
    }

    func hold(
        method: borrowing Span<UInt8>, listener: UInt64, bytes: borrowing Span<UInt8>,
        fields: borrowing Span<FieldReference>
    ) -> Bool {
        if self.count == 0 { return true }
        if self.listeners != .max, self.listeners & listener == 0 { return false }
        if !self.methods.isEmpty, !self.allows(method) { return false }
        for index in self.headers.indices where !self.isMet(index, bytes, fields) { return false }
        return true
    }

    private func allows(_ method: borrowing Span<UInt8>) -> Bool {
        for index in self.methods.indices
        where Self.equal(method, 0, method.count, self.methods[index], folding: false) {
            return true
        }
        return false
    }

    /// Of several fields with the name, any one will do.
    private func isMet(_ index: Int, _ bytes: borrowing Span<UInt8>, _ fields: borrowing Span<FieldReference>) -> Bool {
        for place in fields.indices {
            let field = fields[place]
            guard
                Self.equal(
                    bytes, Int(field.nameLower), Int(field.nameUpper), self.headers[index].name, folding: true)
            else { continue }
            guard let value = self.headers[index].value else { return true }
            if Self.equal(bytes, Int(field.valueLower), Int(field.valueUpper), value, folding: false) { return true }
        }
        return false
    }

    private static func equal(
        _ bytes: borrowing Span<UInt8>, _ lower: Int, _ upper: Int, _ key: ContiguousArray<UInt8>, folding: Bool
    ) -> Bool {
        // A reference that does not lie in the bytes names no field.
        guard upper - lower == key.count, lower >= 0, upper <= bytes.count else { return false }
        for offset in key.indices {
            let byte = bytes[lower + offset]
            if (folding ? ByteTable.folded(byte) : byte) != key[offset] { return false }
        }
        return true
    }
}
