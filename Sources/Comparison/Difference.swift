/// One thing in which two answers differ.
package struct Difference: Sendable, Equatable {
    package enum Kind: Sendable, Hashable {
        case status(old: UInt16, new: UInt16)
        /// In lower case.
        case header(String)
        /// In JSON: the old side alone has it.
        case missing
        /// In JSON: the new side alone has it.
        case extra
        case type
        /// Also of bodies that are not JSON on both sides, which are compared by bytes.
        case value
        /// The same elements in another order.
        case order
        /// Arrays with unequal numbers of elements; these are not compared further.
        case length
        /// A name that an object has more than once, with other values: whoever reads it may take either.
        case duplicate
        /// Bodies in codings that are not undone here, with other bytes.
        case encoding
        /// There is more to compare than is compared, and what was compared is not the whole.
        case tooLarge
        /// One side alone answered.
        case noAnswer

        /// Public: reports, store keys.
        package var name: String {
            switch self {
            case .status(let old, let new): "status \(old) → \(new)"
            case .header(let name): "header:\(name)"
            case .missing: "missing"
            case .extra: "extra"
            case .type: "type"
            case .value: "value"
            case .order: "order"
            case .length: "length"
            case .duplicate: "duplicate"
            case .encoding: "encoding"
            case .tooLarge: "too-large"
            case .noAnswer: "no-answer"
            }
        }

        /// The kind of that name; nil: there is none.
        package init?(name: String) {
            switch name {
            case "missing": self = .missing
            case "extra": self = .extra
            case "type": self = .type
            case "value": self = .value
            case "order": self = .order
            case "length": self = .length
            case "duplicate": self = .duplicate
            case "encoding": self = .encoding
            case "too-large": self = .tooLarge
            case "no-answer": self = .noAnswer
            case _ where name.hasPrefix("header:"): self = .header(String(name.dropFirst(7)))
            case _ where name.hasPrefix("status "):
                let words = name.split(separator: " ")
                guard words.count == 4, let old = UInt16(words[1]), let new = UInt16(words[3]) else { return nil }
                self = .status(old: old, new: new)
            default: return nil
            }
        }

        /// The same whichever side is called old. Chance has no direction, so what is asked about chance must have none.
        var undirected: Kind {
            switch self {
            case .status(let old, let new) where old > new: .status(old: new, new: old)
            case .extra: .missing
            default: self
            }
        }
    }

    package var kind: Kind
    /// Where in the JSON text, indices as `[*]`; empty for what is not in one.
    package var path: String
    /// The same with the index on the old side, or on the new one where only that has it.
    package var place: String
    /// What each side has there, redacted and cut; nil where it has nothing.
    package var old: String?
    package var new: String?

    package init(kind: Kind, path: String = "", place: String = "", old: String? = nil, new: String? = nil) {
        self.kind = kind
        self.path = path
        self.place = place
        self.old = old
        self.new = new
    }
}
