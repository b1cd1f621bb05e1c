import Documents

/// JavaScript's ways with numbers: how it prints them and how it reads them from text and from stored values.
package enum JavaScriptNumber {
    /// Appends `Number.prototype.toString` of a value; NaN and the infinities become `null`, as JSON.stringify has it.
    package static func write(_ value: Double, to bytes: inout [UInt8]) {
        guard value.isFinite else {
            bytes.append(contentsOf: "null".utf8)
            return
        }
        // Below 2^53 every integral double is that integer, and its digits are the shortest.
        if value.magnitude < 0x1p53, value == value.rounded(.towardZero) {
            write(Int64(value), to: &bytes)
            return
        }
        if (1e-4..<0x1p53).contains(value.magnitude) {
            // Here the standard library lays the same digits out alike.
            var text = value.description
            text.withUTF8 { bytes.append(contentsOf: $0) }
            return
        }
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        let (digits, point) = shortestDigits(value.magnitude)
        layOut(digits, point: point, to: &bytes)
    }

    package static func write(_ value: Int64, to bytes: inout [UInt8]) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = value.magnitude
        // Twenty digits hold every 64-bit number.
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var start = 20
        repeat {
            start -= 1
            digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        digits.span.extracting(start..<20).withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }

    /// The text of a number outside JSON, where NaN and the infinities have names.
    package static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        var bytes: [UInt8] = []
        write(value, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The fewest decimal digits that read back as `value`, which lies in 0.d₁d₂… × 10^point. The standard library
    /// prints the same digits, only laid out by other rules.
    private static func shortestDigits(_ value: Double) -> (digits: [UInt8], point: Int) {
        var digits: [UInt8] = []
        var point: Int?
        var exponent = 0
        var iterator = value.description.utf8.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "."): point = digits.count
            case UInt8(ascii: "e"):
                var negative = false
                while let next = iterator.next() {
                    switch next {
                    case UInt8(ascii: "-"): negative = true
                    case UInt8(ascii: "+"): break
                    default: exponent = exponent * 10 + Int(next - UInt8(ascii: "0"))
                    }
                }
                if negative { exponent = -exponent }
            default: digits.append(byte)
            }
        }
        var place = (point ?? digits.count) + exponent
        while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }
        let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(min(zeros, digits.count - 1))
        place -= zeros
        return (digits, place)
    }

    /// ECMAScript's Number::toString(10): plain up to 21 digits before the point and 6 zeros after it, else an exponent.
    private static func layOut(_ digits: [UInt8], point: Int, to bytes: inout [UInt8]) {
        let zero = UInt8(ascii: "0")
        switch point {
        case digits.count...21 where digits.count <= 21:
            bytes.append(contentsOf: digits)
            bytes.append(contentsOf: repeatElement(zero, count: point - digits.count))
        case 1...21:
            bytes.append(contentsOf: digits[..<point])
            bytes.append(UInt8(ascii: "."))
            bytes.append(contentsOf: digits[point...])
        case -5...0:
            bytes.append(contentsOf: "0.".utf8)
            bytes.append(contentsOf: repeatElement(zero, count: -point))
            bytes.append(contentsOf: digits)
        default:
            bytes.append(digits[0])
            if digits.count > 1 {
                bytes.append(UInt8(ascii: "."))
                bytes.append(contentsOf: digits[1...])
            }
            bytes.append(UInt8(ascii: "e"))
            bytes.append(UInt8(ascii: point > 0 ? "+" : "-"))
            write(Int64((point - 1).magnitude), to: &bytes)
        }
    }
}

extension JavaScriptNumber {
    /// JavaScript's `Number(text)`: NaN for what is no number, 0 for blanks alone.
    package static func parse(_ text: String) -> Double {
        let trimmed = text.unicodeScalars.trimmed(where: isSpace)
        let bytes = Array(String(String.UnicodeScalarView(trimmed)).utf8)
        if bytes.isEmpty { return 0 }
        if bytes.count > 2, bytes[0] == UInt8(ascii: "0") {
            switch bytes[1] | 0x20 {
            case UInt8(ascii: "x"): return integer(bytes[2...], radix: 16)
            case UInt8(ascii: "o"): return integer(bytes[2...], radix: 8)
            case UInt8(ascii: "b"): return integer(bytes[2...], radix: 2)
            default: break
            }
        }
        guard let prefix = decimalPrefix(bytes), prefix.length == bytes.count else { return .nan }
        return prefix.value
    }

    /// JavaScript's `parseFloat(text)`: the number at the start of the text, whatever follows it.
    package static func parsePrefix(_ text: String) -> Double {
        let trimmed = text.unicodeScalars.drop(while: isSpace)
        return decimalPrefix(Array(String(String.UnicodeScalarView(trimmed)).utf8))?.value ?? .nan
    }

    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x20, 0xA0, 0x2028, 0x2029, 0xFEFF: true
        default: scalar.properties.generalCategory == .spaceSeparator
        }
    }

    private static func integer(_ digits: ArraySlice<UInt8>, radix: Double) -> Double {
        var value = 0.0
        for byte in digits {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, Double(digit) < radix else { return .nan }
            value = value * radix + Double(digit)
        }
        return value
    }

    /// The longest decimal literal at the start of `bytes`, by JavaScript's grammar.
    private static func decimalPrefix(_ bytes: [UInt8]) -> (value: Double, length: Int)? {
        var index = 0
        func digits() -> [UInt8] {
            let start = index
            while index < bytes.count, (0x30...0x39).contains(bytes[index]) { index += 1 }
            return Array(bytes[start..<index])
        }
        var negative = false
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            negative = sign == UInt8(ascii: "-")
            index = 1
        }
        if bytes[index...].starts(with: "Infinity".utf8) {
            return (negative ? -.infinity : .infinity, index + 8)
        }
        let whole = digits()
        var fraction: [UInt8] = []
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            let point = index
            index += 1
            fraction = digits()
            if whole.isEmpty && fraction.isEmpty { index = point }
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        var text = String(decoding: [0x30] + whole + [0x2E] + fraction + [0x30], as: UTF8.self)
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            let mark = index
            index += 1
            var sign = ""
            if index < bytes.count, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
                sign = bytes[index] == UInt8(ascii: "-") ? "-" : ""
                index += 1
            }
            let exponent = digits()
            if exponent.isEmpty { index = mark } else { text += "e" + sign + String(decoding: exponent, as: UTF8.self) }
        }
        guard let value = Double(text) else { return nil }
        return (negative ? -value : value, index)
    }
}

extension String.UnicodeScalarView {
    fileprivate func trimmed(where drop: (Unicode.Scalar) -> Bool) -> Substring.UnicodeScalarView {
        var rest = self.drop(while: drop)
        while let last = rest.last, drop(last) { rest.removeLast() }
        return rest
    }
}
