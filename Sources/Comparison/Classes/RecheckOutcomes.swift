/// What asking the old side again says of each difference.
struct RecheckOutcomes {
    private struct Place: Hashable {
        var kind: Difference.Kind
        var path: ByteText

        init(_ difference: Difference) {
            self.kind = difference.kind.undirected
            self.path = ByteText(difference.path)
        }
    }

    private let itself: Set<Place>
    private let new: Set<Place>
    /// Places at which the old side differs from itself so that nothing inside was compared.
    private let hidden: [String]

    /// `itself`: A against A′; `new`: A′ against B.
    init(itself: [Difference], new: [Difference]) {
        self.itself = Set(itself.map(Place.init))
        self.new = Set(new.map(Place.init))
        self.hidden = itself.compactMap { difference in
            switch difference.kind {
            case .status, .noAnswer, .tooLarge: ""
            // Of fields, nothing is inside.
            case .header: nil
            // A value that has no path is a whole body.
            case .value: difference.path.isEmpty ? "$" : nil
            case .encoding: "$"
            case .missing, .extra, .type, .order, .length, .duplicate: difference.path
            }
        }
    }

    func outcome(of difference: Difference) -> ClassBook.Outcome {
        let place = Place(difference)
        if self.itself.contains(place) { return self.new.contains(place) ? .repeats : .moved }
        return self.hidden.contains { Self.isInside(difference.path, $0) } ? .unknown : .stands
    }

    private static func isInside(_ path: String, _ outer: String) -> Bool {
        guard path.utf8.starts(with: outer.utf8) else { return false }
        // Everything is inside an answer.
        guard !outer.isEmpty, let next = path.utf8.dropFirst(outer.utf8.count).first else { return true }
        return next == UInt8(ascii: ".") || next == UInt8(ascii: "[")
    }
}
