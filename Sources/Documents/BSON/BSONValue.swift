extension Span<UInt8> {
    /// Whether the element's name is `name`.
    @inlinable
    package func name(of element: BSONElement, equals name: String) -> Bool {
        matches(element.name, name)
    }

    /// Whether the bytes in `range` are exactly the UTF-8 of `text`.
    @inlinable
    package func matches(_ range: Range<Int>, _ text: String) -> Bool {
        let utf8 = text.utf8
        guard utf8.count == range.count else { return false }
        var index = range.lowerBound
        for byte in utf8 {
            if self[index] != byte { return false }
            index += 1
        }
        return true
    }

    /// Where the text of a string, code or symbol lies, without its length and terminator.
    @inlinable
    package func textRange(of element: BSONElement) -> Range<Int>? {
        switch element.type {
        case .string, .code, .symbol: (element.value.lowerBound + 4)..<(element.value.upperBound - 1)
        default: nil
        }
    }

    /// A copy of the bytes in `range`, read as UTF-8; broken sequences become the replacement character.
    package func text(in range: Range<Int>) -> String {
        extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    /// The text of a string element, nil for any other type.
    package func string(of element: BSONElement) -> String? {
        guard element.type == .string, let range = textRange(of: element) else { return nil }
        return text(in: range)
    }

    /// The number of a double, int32 or int64 element as a double; nil for any other type.
    package func number(of element: BSONElement) -> Double? {
        let start = element.value.lowerBound
        switch element.type {
        case .double: return Double(bitPattern: load(UInt64.self, at: start))
        case .int32: return Double(load(Int32.self, at: start))
        case .int64: return Double(load(Int64.self, at: start))
        default: return nil
        }
    }

    /// The first element called `name` in the document at `start`.
    @inlinable
    package func element(_ name: String, inDocument start: Int) throws(BSONError) -> BSONElement? {
        var scanner = try BSONScanner(document: start, in: self)
        while let element = try scanner.next(in: self) {
            if matches(element.name, name) { return element }
        }
        return nil
    }
}
