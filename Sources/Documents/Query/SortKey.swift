/// A value's place in MongoDB's order over all types, as bytes that compare like the values do.
///
/// One byte for the type's rank, then the value. Numbers of all types compare by value: the nearest double not above the
/// number, as sortable bits, then what an int64 has beyond it, so that 2^53 and 2^53 + 1 stay apart.
package enum SortKey {
    package enum Rank: UInt8, Sendable {
        case minKey = 1
        /// An array without items, and the deprecated undefined: before null.
        case emptyArray
        case null
        case number
        case string
        case document
        case array
        case binary
        case objectID
        case bool
        case date
        case timestamp
        case regex
        case code
        case maxKey
    }

    /// The key of a missing field, which is that of null.
    package static let null: [UInt8] = [Rank.null.rawValue]

    package static func make(_ value: Scalar) -> [UInt8] {
        switch value {
        case .string(let text): [Rank.string.rawValue] + text.utf8
        case .number(let number): numberKey(number, residual: 0)
        case .bool(let flag): [Rank.bool.rawValue, flag ? 1 : 0]
        case .null: null
        }
    }

    /// The key of an element. Arrays have none of their own; the caller looks at their items.
    package static func make(_ element: BSONElement, in bytes: Span<UInt8>) -> [UInt8] {
        let start = element.value.lowerBound
        switch element.type {
        case .minKey: return [Rank.minKey.rawValue]
        case .undefined: return [Rank.emptyArray.rawValue]
        case .null: return null
        case .double: return numberKey(Double(bitPattern: bytes.load(UInt64.self, at: start)), residual: 0)
        case .int32: return numberKey(Double(bytes.load(Int32.self, at: start)), residual: 0)
        case .int64: return integerKey(bytes.load(Int64.self, at: start))
        case .decimal128:
            let decimal = Decimal128(
                low: bytes.load(UInt64.self, at: start), high: bytes.load(UInt64.self, at: start + 8))
            return numberKey(decimal.approximation, residual: 0)
        case .string, .symbol: return raw(.string, bytes.textRange(of: element) ?? element.value, bytes)
        case .document: return raw(.document, element.value, bytes)
        case .array: return raw(.array, element.value, bytes)
        case .binary: return raw(.binary, element.value, bytes)
        case .objectID: return raw(.objectID, element.value, bytes)
        case .bool: return [Rank.bool.rawValue, bytes[start] == 0 ? 0 : 1]
        case .date: return [Rank.date.rawValue] + bigEndian(ordered(bytes.load(Int64.self, at: start)))
        case .timestamp: return [Rank.timestamp.rawValue] + bigEndian(bytes.load(UInt64.self, at: start))
        case .regex: return raw(.regex, element.value, bytes)
        case .dbPointer, .code, .codeWithScope: return raw(.code, element.value, bytes)
        case .maxKey: return [Rank.maxKey.rawValue]
        }
    }

    private static func raw(_ rank: Rank, _ range: Range<Int>, _ bytes: Span<UInt8>) -> [UInt8] {
        var key = [rank.rawValue]
        bytes.extracting(range).withUnsafeBufferPointer { key.append(contentsOf: $0) }
        return key
    }

    private static func integerKey(_ value: Int64) -> [UInt8] {
        // Double(value) rounds to nearest and may land above; step down so that the residual is never negative.
        var base = Double(value)
        if base >= 0x1p63 || Int64(base) > value { base = base.nextDown }
        return numberKey(base, residual: UInt64(bitPattern: value &- Int64(base)))
    }

    private static func numberKey(_ value: Double, residual: UInt64) -> [UInt8] {
        // NaN is less than every number; both zeros are one value.
        let bits: UInt64
        if value.isNaN {
            bits = 0
        } else {
            let pattern = (value == 0 ? 0.0 : value).bitPattern
            bits = pattern >> 63 == 1 ? ~pattern : pattern | 1 << 63
        }
        return [Rank.number.rawValue] + bigEndian(bits) + bigEndian(residual)
    }

    private static func ordered(_ value: Int64) -> UInt64 {
        UInt64(bitPattern: value) ^ (1 << 63)
    }

    private static func bigEndian(_ value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}

extension SortKey {
    /// The key that places a document in a descending order: that of the field, or of an array's greatest item.
    static func greatest(
        _ field: String, document start: Int, in bytes: Span<UInt8>
    ) throws(BSONError) -> [UInt8] {
        guard let element = try bytes.element(field, inDocument: start) else { return null }
        guard element.type == .array else { return make(element, in: bytes) }
        var greatest: [UInt8] = [Rank.emptyArray.rawValue]
        var items = try BSONScanner(document: element.value.lowerBound, in: bytes)
        while let item = try items.next(in: bytes) {
            let key = make(item, in: bytes)
            if greatest.lexicographicallyPrecedes(key) { greatest = key }
        }
        return greatest
    }
}
