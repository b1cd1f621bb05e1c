/// A JSON number as the decimal that its digits say: no precision is lost, whatever its size.
package struct DecimalNumber: Sendable, Equatable {
    /// Significant digits, 0…9, the first and the last not 0; none is zero.
    private var digits: [UInt8]
    /// Of ten, for the last digit.
    private var exponent: Int
    private var isNegative: Bool
    /// An exponent beyond all measure, as written: such a number equals only what is written alike.
    private var beyond: [UInt8]

    /// More digits of an exponent than this cannot be a count of anything.
    private static let exponentDigits = 15
    /// Numbers are subtracted from one another only within this many places, or a short text could cost a long computation.
    private static let places = 512

    /// Nil if the text is no JSON number (RFC 8259 §6).
    package init?(_ text: some StringProtocol) {
        var bytes = Array(text.utf8)[...]
        self.isNegative = bytes.first == UInt8(ascii: "-")
        if self.isNegative { bytes = bytes.dropFirst() }
        let whole = Self.digits(of: &bytes)
        guard !whole.isEmpty, whole.count == 1 || whole.first != 0 else { return nil }
        var fraction: [UInt8] = []
        if bytes.first == UInt8(ascii: ".") {
            bytes = bytes.dropFirst()
            fraction = Self.digits(of: &bytes)
            guard !fraction.isEmpty else { return nil }
        }
        var power: [UInt8] = []
        var isPowerNegative = false
        if let byte = bytes.first, byte | 0x20 == UInt8(ascii: "e") {
            bytes = bytes.dropFirst()
            if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
                isPowerNegative = sign == UInt8(ascii: "-")
                bytes = bytes.dropFirst()
            }
            power = Self.digits(of: &bytes)
            guard !power.isEmpty else { return nil }
        }
        guard bytes.isEmpty else { return nil }
        self.beyond = []
        self.exponent = 0
        self.digits = Array((whole + fraction).drop { $0 == 0 })
        guard !self.digits.isEmpty else {
            self.isNegative = false
            return
        }
        power = Array(power.drop { $0 == 0 })
        if power.count > Self.exponentDigits {
            self.beyond = self.digits + [isPowerNegative ? 11 : 10] + power + [12] + Array("\(fraction.count)".utf8)
            self.digits = []
            return
        }
        let magnitude = power.reduce(0) { $0 * 10 + Int($1) }
        self.exponent = (isPowerNegative ? -magnitude : magnitude) - fraction.count
        while self.digits.last == 0 {
            self.digits.removeLast()
            self.exponent += 1
        }
    }

    private static func digits(of bytes: inout ArraySlice<UInt8>) -> [UInt8] {
        let digits = bytes.prefix { (0x30...0x39).contains($0) }
        bytes = bytes.dropFirst(digits.count)
        return digits.map { $0 - 0x30 }
    }

    private init(digits: ArraySlice<UInt8>, exponent: Int) {
        let leading = digits.drop { $0 == 0 }
        var trailing = leading
        while trailing.last == 0 { trailing.removeLast() }
        self.digits = Array(trailing)
        self.exponent = self.digits.isEmpty ? 0 : exponent + leading.count - trailing.count
        self.isNegative = false
        self.beyond = []
    }

    package static let zero = DecimalNumber(digits: [], exponent: 0)

    package var isZero: Bool { self.digits.isEmpty && self.beyond.isEmpty }
    package var isBelowZero: Bool { self.isNegative }

    /// Whether the two differ by at most `absolute` + `relative` × the larger magnitude, computed without rounding. Numbers of
    /// more than 512 places, or that far apart, are alike only if they are equal.
    package func isWithin(absolute: DecimalNumber, relative: DecimalNumber, of other: DecimalNumber) -> Bool {
        if self == other { return true }
        guard self.beyond.isEmpty, other.beyond.isEmpty else { return false }
        guard !(absolute.isZero && relative.isZero) else { return false }
        let first = self.magnitude
        let second = other.magnitude
        let larger = Self.isLess(first, second) ? second : first
        let smaller = Self.isLess(first, second) ? first : second
        guard
            let difference = self.isNegative == other.isNegative
                ? Self.difference(larger, smaller) : Self.sum(larger, smaller),
            let room = Self.product(relative.magnitude, larger).flatMap({ Self.sum($0, absolute.magnitude) })
        else { return false }
        return !Self.isLess(room, difference)
    }

    /// For sorting and hashing: one text for all ways to write a number.
    var canonical: String {
        guard self.beyond.isEmpty else {
            return (self.isNegative ? "-" : "") + "?" + self.beyond.map { "\($0)" }.joined(separator: ".")
        }
        let digits = String(decoding: self.digits.map { $0 + 0x30 }, as: UTF8.self)
        return digits.isEmpty ? "0" : "\(self.isNegative ? "-" : "")\(digits)e\(self.exponent)"
    }

    // MARK: magnitudes

    private var magnitude: DecimalNumber {
        var copy = self
        copy.isNegative = false
        return copy
    }

    /// The power of ten just above the number.
    private var height: Int { self.exponent + self.digits.count }

    private static func isLess(_ first: DecimalNumber, _ second: DecimalNumber) -> Bool {
        if first.digits.isEmpty || second.digits.isEmpty { return first.digits.isEmpty && !second.digits.isEmpty }
        if first.height != second.height { return first.height < second.height }
        // Digits of the same places, from the first on: a shorter one goes on with zeros.
        return first.digits.lexicographicallyPrecedes(second.digits)
    }

    /// Both as digits of the same places, one more in front for a carry. Nil beyond `places`.
    private static func aligned(
        _ first: DecimalNumber, _ second: DecimalNumber
    ) -> (first: [UInt8], second: [UInt8], exponent: Int)? {
        if first.digits.isEmpty {
            return ([UInt8](repeating: 0, count: second.digits.count + 1), [0] + second.digits, second.exponent)
        }
        if second.digits.isEmpty {
            return ([0] + first.digits, [UInt8](repeating: 0, count: first.digits.count + 1), first.exponent)
        }
        let low = min(first.exponent, second.exponent)
        let high = max(first.height, second.height)
        guard high - low <= Self.places else { return nil }
        func spread(_ number: DecimalNumber) -> [UInt8] {
            [UInt8](repeating: 0, count: 1 + high - number.height) + number.digits
                + [UInt8](repeating: 0, count: number.exponent - low)
        }
        return (spread(first), spread(second), low)
    }

    private static func sum(_ first: DecimalNumber, _ second: DecimalNumber) -> DecimalNumber? {
        guard let (first, other, exponent) = self.aligned(first, second) else { return nil }
        var total = first
        var carry: UInt8 = 0
        for index in total.indices.reversed() {
            let digit = total[index] + other[index] + carry
            total[index] = digit % 10
            carry = digit / 10
        }
        return DecimalNumber(digits: total[...], exponent: exponent)
    }

    /// The first is not less than the second.
    private static func difference(_ first: DecimalNumber, _ second: DecimalNumber) -> DecimalNumber? {
        guard let (first, other, exponent) = self.aligned(first, second) else { return nil }
        var rest = first
        var borrow: UInt8 = 0
        for index in rest.indices.reversed() {
            let taken = other[index] + borrow
            borrow = rest[index] < taken ? 1 : 0
            rest[index] = rest[index] + 10 * borrow - taken
        }
        return DecimalNumber(digits: rest[...], exponent: exponent)
    }

    private static func product(_ first: DecimalNumber, _ second: DecimalNumber) -> DecimalNumber? {
        guard !first.digits.isEmpty, !second.digits.isEmpty else { return .zero }
        guard first.digits.count + second.digits.count <= self.places else { return nil }
        var columns = [Int](repeating: 0, count: first.digits.count + second.digits.count)
        for (row, digit) in first.digits.enumerated() {
            for (column, other) in second.digits.enumerated() { columns[row + column + 1] += Int(digit) * Int(other) }
        }
        var carry = 0
        for index in columns.indices.reversed() {
            columns[index] += carry
            carry = columns[index] / 10
            columns[index] %= 10
        }
        return DecimalNumber(digits: columns.map { UInt8($0) }[...], exponent: first.exponent + second.exponent)
    }
}
