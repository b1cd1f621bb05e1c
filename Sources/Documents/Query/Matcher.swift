/// Decides whether a document satisfies a filter, by MongoDB's rules.
package enum Matcher {
    /// Whether the document at `start` satisfies every criterion.
    package static func matches(
        _ criteria: [Criterion], document start: Int, in bytes: Span<UInt8>
    ) throws(BSONError) -> Bool {
        for criterion in criteria {
            let path = criterion.field.split(separator: ".").map(String.init)
            guard try matches(criterion.condition, path[...], document: start, in: bytes) else { return false }
        }
        return true
    }

    private static func matches(
        _ condition: Condition, _ path: ArraySlice<String>, document start: Int, in bytes: Span<UInt8>
    ) throws(BSONError) -> Bool {
        guard let name = path.first, let element = try bytes.element(name, inDocument: start) else {
            return acceptsMissing(condition)
        }
        let rest = path.dropFirst()
        if rest.isEmpty {
            if accepts(condition, element, in: bytes) { return true }
            guard element.type == .array else { return false }
            var items = try BSONScanner(document: element.value.lowerBound, in: bytes)
            while let item = try items.next(in: bytes) {
                if accepts(condition, item, in: bytes) { return true }
            }
            return false
        }
        switch element.type {
        case .document:
            return try matches(condition, rest, document: element.value.lowerBound, in: bytes)
        case .array:
            var items = try BSONScanner(document: element.value.lowerBound, in: bytes)
            while let item = try items.next(in: bytes) {
                if item.type == .document,
                    try matches(condition, rest, document: item.value.lowerBound, in: bytes)
                {
                    return true
                }
            }
            return false
        default:
            return acceptsMissing(condition)
        }
    }

    private static func acceptsMissing(_ condition: Condition) -> Bool {
        switch condition {
        case .equals(let value): value == .null
        case .oneOf(let values): values.contains(.null)
        case .atLeast, .isString, .hasDigit: false
        }
    }

    private static func accepts(_ condition: Condition, _ element: BSONElement, in bytes: Span<UInt8>) -> Bool {
        switch condition {
        case .equals(let value):
            return equals(value, element, in: bytes)
        case .oneOf(let values):
            return values.contains { equals($0, element, in: bytes) }
        case .atLeast(let bound):
            switch element.type {
            case .double, .int32, .int64, .decimal128:
                // Keys, not doubles: an int64 beyond 2^53 keeps its place.
                return !SortKey.make(element, in: bytes).lexicographicallyPrecedes(SortKey.make(.number(bound)))
            default: return false
            }
        case .isString:
            return element.type == .string || element.type == .symbol
        case .hasDigit:
            guard element.type == .string, let text = bytes.textRange(of: element) else { return false }
            return text.contains { (0x30...0x39).contains(bytes[$0]) }
        }
    }

    private static func equals(_ value: Scalar, _ element: BSONElement, in bytes: Span<UInt8>) -> Bool {
        switch (value, element.type) {
        case (.string(let text), .string), (.string(let text), .symbol):
            return bytes.textRange(of: element).map { bytes.matches($0, text) } ?? false
        case (.number(let number), .int32), (.number(let number), .double):
            return bytes.number(of: element) == number
        case (.number, .int64), (.number, .decimal128):
            return SortKey.make(element, in: bytes) == SortKey.make(value)
        case (.bool(let flag), .bool):
            return (bytes[element.value.lowerBound] != 0) == flag
        case (.null, .null), (.null, .undefined):
            return true
        default:
            return false
        }
    }
}
