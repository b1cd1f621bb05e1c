/// Finds, among the candidates of one bucket, those for which a request has a field that they ask for: routes that only a
/// header's value tells apart are then not looked through one by one.
///
/// Each candidate that asks for a value stands in the list of one of its fields: the one that the fewest others ask for.
struct HeaderIndex: Sendable {
    /// The list of a name and value, under the name's number.
    private var names = ByteTable()
    private var values = ByteTable()
    /// Candidates, the first to ask first.
    private(set) var lists: ContiguousArray<ContiguousArray<Int32>> = []
    /// Those that ask for no value.
    private(set) var others: ContiguousArray<Int32> = []

    /// `candidates` are routes in the order in which they are to be asked.
    init(_ candidates: ContiguousArray<Int32>, _ conditions: ContiguousArray<RouteConditions>) {
        // First how many ask for each, then who stands where.
        var wanted: ContiguousArray<Int32> = []
        for route in candidates {
            for header in conditions[Int(route)].headers {
                guard let place = self.place(of: header) else { continue }
                while wanted.count <= place { wanted.append(0) }
                wanted[place] += 1
            }
        }
        self.lists = ContiguousArray(repeating: [], count: wanted.count)
        for route in candidates {
            var best: Int?
            for header in conditions[Int(route)].headers {
                guard let place = self.place(of: header) else { continue }
                if let known = best, wanted[known] <= wanted[place] { continue }
                best = place
            }
            if let best { self.lists[best].append(route) } else { self.others.append(route) }
        }
    }

    /// The number of the list of that name and value, made if need be; nil: any value will do.
    private mutating func place(of header: RouteConditions.HeaderCondition) -> Int? {
        guard let value = header.value else { return nil }
        let name = self.names.insert(
            header.name.span, hash: Self.hash(header.name.span, 0..<header.name.count, folding: false), scope: 0,
            value: Int32(self.names.count))
        let place = self.values.insert(
            value.span, hash: Self.hash(value.span, 0..<value.count, folding: false), scope: name,
            value: Int32(self.values.count))
        return Int(place)
    }

    /// The list of candidates that ask for this field with this value.
    func list(_ bytes: borrowing Span<UInt8>, _ field: FieldReference) -> Int? {
        // A reference that does not lie in the bytes names no field.
        guard field.nameLower <= field.nameUpper, field.valueLower <= field.valueUpper,
            Int(field.nameUpper) <= bytes.count, Int(field.valueUpper) <= bytes.count
        else { return nil }
        let name = Int(field.nameLower)..<Int(field.nameUpper)
        guard
            let number = self.names.find(
                Self.hash(bytes, name, folding: true), scope: 0, in: bytes, name, folding: true)
        else { return nil }
        let value = Int(field.valueLower)..<Int(field.valueUpper)
        return self.values.find(
            Self.hash(bytes, value, folding: false), scope: number, in: bytes, value, folding: false
        ).map { Int($0) }
    }

    private static func hash(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>, folding: Bool) -> UInt64 {
        var hash = KeyHash.start
        for index in range { hash = ByteTable.step(hash, folding ? ByteTable.folded(bytes[index]) : bytes[index]) }
        return hash
    }
}
