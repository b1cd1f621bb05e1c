/// Tells whether bytes that come in pieces are one JSON object or array (RFC 8259), and keeps none of them.
///
/// Accepts what `JSONParser` accepts, up to the same depth.
struct JSONCheck {
    /// Nesting allowed, as the parser allows it.
    private static let depthLimit = 256

    private enum Expected {
        case value, valueOrEnd, key, keyOrEnd, colon, commaOrEnd, nothing
    }

    private enum Number {
        case sign, zero, integer, point, fraction, exponent, exponentSign, exponentDigits

        /// Whether a number may end here.
        var isWhole: Bool {
            switch self {
            case .zero, .integer, .fraction, .exponentDigits: true
            default: false
            }
        }

        /// What the next byte makes of it; nil when it is none of the number's.
        func next(_ byte: UInt8) -> Number? {
            let isDigit = (0x30...0x39).contains(byte)
            switch self {
            case .sign: return byte == 0x30 ? .zero : isDigit ? .integer : nil
            case .zero, .integer:
                if isDigit { return self == .integer ? .integer : nil }
                return byte == 0x2E ? .point : Self.isExponent(byte) ? .exponent : nil
            case .point: return isDigit ? .fraction : nil
            case .fraction: return isDigit ? .fraction : Self.isExponent(byte) ? .exponent : nil
            case .exponent:
                return isDigit ? .exponentDigits : byte == 0x2B || byte == 0x2D ? .exponentSign : nil
            case .exponentSign, .exponentDigits: return isDigit ? .exponentDigits : nil
            }
        }

        private static func isExponent(_ byte: UInt8) -> Bool { byte | 0x20 == 0x65 }
    }

    private enum Token {
        case none, string, escape
        /// A number of hexadecimal digits to come.
        case unicode(Int)
        /// A word, and how much of it has come.
        case word([UInt8], Int)
        case number(Number)
    }

    private var expected = Expected.value
    private var token = Token.none
    private var isKey = false
    /// What is open: true for an object.
    private var open: [Bool] = []
    private var isBroken = false

    /// Whether all that has come is one object or array and nothing else.
    var isWhole: Bool {
        guard !isBroken, expected == .nothing, case .none = token else { return false }
        return true
    }

    mutating func take(_ bytes: some Sequence<UInt8>) {
        if isBroken { return }
        for byte in bytes where !take(byte) {
            isBroken = true
            return
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        switch token {
        case .none: return structure(byte)
        case .string:
            if byte == 0x22 {
                token = .none
                if isKey { expected = .colon } else { endValue() }
            } else if byte == 0x5C {
                token = .escape
            } else {
                return byte >= 0x20
            }
            return true
        case .escape:
            if byte == 0x75 {
                token = .unicode(4)
                return true
            }
            token = .string
            return #""\/bfnrt"#.utf8.contains(byte)
        case .unicode(let left):
            token = left == 1 ? .string : .unicode(left - 1)
            return (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20)
        case .word(let word, let count):
            guard word[count] == byte else { return false }
            token = .word(word, count + 1)
            if count + 1 == word.count {
                token = .none
                endValue()
            }
            return true
        case .number(let number):
            if let next = number.next(byte) {
                token = .number(next)
                return true
            }
            guard number.isWhole else { return false }
            token = .none
            endValue()
            return structure(byte)
        }
    }

    private mutating func structure(_ byte: UInt8) -> Bool {
        if byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { return true }
        switch expected {
        case .value: return beginValue(byte)
        case .valueOrEnd: return byte == 0x5D ? end(isObject: false) : beginValue(byte)
        case .keyOrEnd where byte == 0x7D: return end(isObject: true)
        case .key, .keyOrEnd:
            isKey = true
            token = .string
            return byte == 0x22
        case .colon:
            expected = .value
            return byte == 0x3A
        case .commaOrEnd:
            guard let isObject = open.last else { return false }
            if byte == 0x2C {
                expected = isObject ? .key : .value
                return true
            }
            return byte == (isObject ? 0x7D : 0x5D) && end(isObject: isObject)
        case .nothing: return false
        }
    }

    private mutating func beginValue(_ byte: UInt8) -> Bool {
        // At the top nothing but an object or an array counts.
        guard open.count < Self.depthLimit, !open.isEmpty || byte == 0x7B || byte == 0x5B else { return false }
        switch byte {
        case 0x7B:
            open.append(true)
            expected = .keyOrEnd
        case 0x5B:
            open.append(false)
            expected = .valueOrEnd
        case 0x22:
            isKey = false
            token = .string
        case 0x74: token = .word(Array("true".utf8), 1)
        case 0x66: token = .word(Array("false".utf8), 1)
        case 0x6E: token = .word(Array("null".utf8), 1)
        case 0x2D: token = .number(.sign)
        case 0x30: token = .number(.zero)
        case 0x31...0x39: token = .number(.integer)
        default: return false
        }
        return true
    }

    private mutating func end(isObject: Bool) -> Bool {
        guard open.popLast() == isObject else { return false }
        endValue()
        return true
    }

    private mutating func endValue() {
        expected = open.isEmpty ? .nothing : .commaOrEnd
    }
}
