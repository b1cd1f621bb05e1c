import Documents

/// Reads stored values the way JavaScript's operators do. Every function takes the bytes that the element lies in.
package enum JavaScriptValue {
    /// Whether the value counts as true: not missing, null, false, zero, NaN or the empty text.
    package static func isTruthy(_ element: BSONElement?, in bytes: Span<UInt8>) -> Bool {
        guard let element else { return false }
        switch element.type {
        case .null, .undefined: return false
        case .bool: return bytes[element.value.lowerBound] != 0
        case .double, .int32, .int64:
            let number = bytes.number(of: element) ?? 0
            return number != 0 && !number.isNaN
        case .string, .symbol: return !(bytes.textRange(of: element)?.isEmpty ?? true)
        default: return true
        }
    }

    /// Whether the field is missing or holds null.
    package static func isNullish(_ element: BSONElement?) -> Bool {
        guard let element else { return true }
        return element.type == .null || element.type == .undefined
    }

    /// `Number(value)`: a missing field is NaN, null is 0, text is parsed.
    package static func number(_ element: BSONElement?, in bytes: Span<UInt8>) -> Double {
        guard let element else { return .nan }
        let start = element.value.lowerBound
        switch element.type {
        case .double, .int32, .int64: return bytes.number(of: element) ?? .nan
        case .null: return 0
        case .bool: return bytes[start] == 0 ? 0 : 1
        case .date: return Double(bytes.load(Int64.self, at: start))
        case .string, .symbol: return JavaScriptNumber.parse(text(element, in: bytes))
        case .decimal128:
            return JavaScriptNumber.parse(
                Decimal128(low: bytes.load(UInt64.self, at: start), high: bytes.load(UInt64.self, at: start + 8)).text)
        default: return .nan
        }
    }

    /// `parseFloat(value)`: like ``number(_:in:)`` but text may go on after the number, and null is NaN.
    package static func parsedFloat(_ element: BSONElement?, in bytes: Span<UInt8>) -> Double {
        guard let element else { return .nan }
        switch element.type {
        case .string, .symbol: return JavaScriptNumber.parsePrefix(text(element, in: bytes))
        case .null, .bool, .date: return .nan
        default: return number(element, in: bytes)
        }
    }

    private static func text(_ element: BSONElement, in bytes: Span<UInt8>) -> String {
        guard let range = bytes.textRange(of: element) else { return "" }
        return bytes.text(in: range)
    }
}
