/// A value that a filter compares with. Everything that the service's parameters and joins can be.
package enum Scalar: Hashable, Sendable {
    /// Compared byte by byte, as databases and JavaScript do: two spellings of one letter are two texts.
    case string(String)
    /// Never NaN: a parameter that is no number is refused before a query is made of it.
    case number(Double)
    case bool(Bool)
    /// Matches a null and also a field that is missing, as MongoDB does.
    case null
}

extension Scalar {
    package static func == (left: Scalar, right: Scalar) -> Bool {
        switch (left, right) {
        case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
        case (.number(let left), .number(let right)): left == right
        case (.bool(let left), .bool(let right)): left == right
        case (.null, .null): true
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .string(var text): text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        case .number(let number): hasher.combine(number)
        case .bool(let flag): hasher.combine(flag)
        case .null: break
        }
    }
}

/// What a filter asks of one field.
package enum Condition: Hashable, Sendable {
    case equals(Scalar)
    case oneOf([Scalar])
    /// A number that is not less than the bound; other types never match.
    case atLeast(Double)
    /// Any string, the empty one too.
    case isString
    /// A string with at least one ASCII digit.
    case hasDigit
}

/// One condition on one field. The field may be a dotted path through sub-documents and arrays of them.
package struct Criterion: Hashable, Sendable {
    package let field: String
    package let condition: Condition

    package init(_ field: String, _ condition: Condition) {
        self.field = field
        self.condition = condition
    }
}

/// Which documents of one collection, and in which order.
///
/// The language is a small closed set on purpose: two stores answer it alike, and a test can cover it whole.
package struct Query: Hashable, Sendable {
    package let collection: Collection
    /// All of them must hold. An array in a document matches when one of its items does.
    package let criteria: [Criterion]
    /// The field that orders the answer from greatest to least, by MongoDB's order over mixed types. Without it, and
    /// between equals, documents keep the order in which they were stored.
    package let descendingBy: String?
    /// The most documents to answer, nil for all.
    package let limit: Int?
    /// The top-level fields that will be looked at; nil for whole documents. A store may leave the others out, and `_id`.
    package let fields: [String]?

    package init(
        _ collection: Collection, _ criteria: [Criterion] = [], descendingBy: String? = nil, limit: Int? = nil,
        fields: [String]? = nil
    ) {
        self.collection = collection
        self.criteria = criteria
        self.descendingBy = descendingBy
        self.limit = limit
        self.fields = fields
    }

    /// The documents whose `field` equals `value`.
    package static func matching(
        _ collection: Collection, _ field: String, _ value: Scalar, descendingBy: String? = nil, limit: Int? = nil,
        fields: [String]? = nil
    ) -> Query {
        Query(collection, [Criterion(field, .equals(value))], descendingBy: descendingBy, limit: limit, fields: fields)
    }
}

/// A join: for each value, the one document whose `key` equals it and whose `by` is greatest.
package struct NewestQuery: Sendable {
    package let collection: Collection
    package let key: String
    package let values: [Scalar]
    package let by: String
    /// Whether a value may have thousands of documents, while most values have one among the collection's newest. A store
    /// that would read all of a value's documents then looks among the newest first. The answer is the same.
    package let hasLongHistory: Bool

    package init(
        _ collection: Collection, key: String, values: [Scalar], by: String, hasLongHistory: Bool = false
    ) {
        self.collection = collection
        self.key = key
        self.values = values
        self.by = by
        self.hasLongHistory = hasLongHistory
    }
}

/// The answer to a ``NewestQuery``.
package struct NewestBatch: Sendable {
    package var documents: DocumentBatch
    /// For each value asked, where its document starts in the batch; nil where there is none.
    package var starts: [Int?]

    package init(documents: DocumentBatch = DocumentBatch(), starts: [Int?] = []) {
        self.documents = documents
        self.starts = starts
    }
}
