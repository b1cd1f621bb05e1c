/// What a `Priority` field, or the value of a PRIORITY_UPDATE frame, says of a stream's urgency (RFC 9218 4): a dictionary of
/// structured fields (RFC 8941 3.2), of which `u` alone is used. `i` changes nothing: streams of one urgency are served in turn.
package struct PriorityField: Sendable {
    /// The urgency of a stream of which nothing is said: 0 is the most urgent, 7 the least.
    package static let normal: UInt8 = 3

    private var said = Self.normal
    private var isMalformed = false

    package init() {}

    /// Takes one line of the field: several are one dictionary, whose later members stand for the earlier (RFC 8941 3.2).
    package mutating func add(_ line: UnsafeRawBufferPointer) {
        var reader = DictionaryReader(line)
        while let member = reader.next() {
            guard member.isUrgency else { continue }
            // A value of another type, or out of range, is ignored (RFC 9218 4).
            self.said = member.integer.map { 0...7 ~= $0 ? UInt8($0) : Self.normal } ?? Self.normal
        }
        if reader.isMalformed { self.isMalformed = true }
    }

    /// nil: the field is malformed, and says nothing.
    package var urgency: UInt8? { self.isMalformed ? nil : self.said }

    package static func urgency(of value: UnsafeRawBufferPointer) -> UInt8? {
        var field = Self()
        field.add(value)
        return field.urgency
    }

    /// Whether a field of that name, in lower case, is this one.
    @inline(__always)
    package static func isName(_ name: UnsafeRawBufferPointer) -> Bool {
        let text: StaticString = "priority"
        guard name.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<name.count where name[index] != text.utf8Start[index] { return false }
        return true
    }
}

/// The members of a dictionary one after the other (RFC 8941 4.2.2). Nothing is kept of what nobody asks for, but all of it must
/// be well formed.
private struct DictionaryReader {
    struct Member {
        /// Its key is `u`.
        var isUrgency: Bool
        /// Its value, if that is an integer.
        var integer: Int?
    }

    private let bytes: UnsafeRawBufferPointer
    private var at = 0
    private var isFirst = true
    private(set) var isMalformed = false

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        self.skip { $0 == 0x20 }
    }

    /// nil: there are no more, or what follows is malformed.
    mutating func next() -> Member? {
        guard !self.isMalformed, self.isFirst || self.takeComma() else { return nil }
        if self.isFirst {
            self.isFirst = false
            guard self.at < self.bytes.count else { return nil }
        }
        var member = Member(isUrgency: false, integer: nil)
        let start = self.at
        guard self.takeKey() else { return self.fail() }
        member.isUrgency = self.at == start + 1 && self.bytes[start] == 0x75
        if self.take("=") {
            guard self.peek == 0x28 ? self.takeInnerList() : self.takeBare(&member.integer) else { return self.fail() }
        }
        guard self.takeParameters() else { return self.fail() }
        return member
    }

    private mutating func fail() -> Member? {
        self.isMalformed = true
        return nil
    }

    /// What stands between two members; false at the end.
    private mutating func takeComma() -> Bool {
        self.skip { $0 == 0x20 || $0 == 0x09 }
        guard self.at < self.bytes.count else { return false }
        let isComma = self.take(",")
        self.skip { $0 == 0x20 || $0 == 0x09 }
        // Another member must follow.
        guard isComma, self.at < self.bytes.count else {
            self.isMalformed = true
            return false
        }
        return true
    }

    private var peek: UInt8? { self.at < self.bytes.count ? self.bytes[self.at] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = self.peek, UInt32(byte) == character.value else { return false }
        self.at += 1
        return true
    }

    /// Passes over bytes and answers how many.
    @discardableResult
    private mutating func skip(while isPart: (UInt8) -> Bool) -> Int {
        let start = self.at
        while let byte = self.peek, isPart(byte) { self.at += 1 }
        return self.at - start
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 <= 9 }
    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    private mutating func takeKey() -> Bool {
        guard let first = self.peek, first &- 0x61 < 26 || first == 0x2A else { return false }
        // `_`, `-`, `.` and `*` beside small letters and digits.
        self.skip { $0 &- 0x61 < 26 || Self.isDigit($0) || $0 == 0x5F || $0 == 0x2D || $0 == 0x2E || $0 == 0x2A }
        return true
    }

    private mutating func takeParameters() -> Bool {
        while self.take(";") {
            self.skip { $0 == 0x20 }
            guard self.takeKey() else { return false }
            if self.take("="), !self.takeBare() { return false }
        }
        return true
    }

    private mutating func takeInnerList() -> Bool {
        guard self.take("(") else { return false }
        while true {
            let blanks = self.skip { $0 == 0x20 }
            if self.take(")") { return true }
            let isFirst = self.bytes[self.at - blanks - 1] == 0x28
            guard isFirst || blanks > 0, self.takeBare(), self.takeParameters() else { return false }
        }
    }

    private mutating func takeBare() -> Bool {
        var ignored: Int?
        return self.takeBare(&ignored)
    }

    /// One value that is no list (RFC 8941 3.3).
    private mutating func takeBare(_ integer: inout Int?) -> Bool {
        guard let first = self.peek else { return false }
        switch first {
        case 0x22: return self.takeString()
        case 0x3A:
            self.at += 1
            self.skip { Self.isLetter($0) || Self.isDigit($0) || $0 == 0x2B || $0 == 0x2F || $0 == 0x3D }
            return self.take(":")
        case 0x3F:
            self.at += 1
            return self.take("0") || self.take("1")
        case 0x2D, 0x30...0x39: return self.takeNumber(&integer)
        case 0x2A: return self.takeToken()
        default: return Self.isLetter(first) && self.takeToken()
        }
    }

    private mutating func takeString() -> Bool {
        self.at += 1
        while let byte = self.peek {
            self.at += 1
            if byte == 0x22 { return true }
            guard byte >= 0x20, byte < 0x7F else { return false }
            if byte == 0x5C, !self.take("\""), !self.take("\\") { return false }
        }
        return false
    }

    private mutating func takeToken() -> Bool {
        self.skip { byte in
            switch byte {
            case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x2F, 0x3A, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
            default: Self.isLetter(byte) || Self.isDigit(byte)
            }
        }
        return true
    }

    /// An integer of fifteen digits at most, or a decimal of twelve and three.
    private mutating func takeNumber(_ integer: inout Int?) -> Bool {
        let isNegative = self.take("-")
        let start = self.at
        let digits = self.skip(while: Self.isDigit)
        guard digits > 0, digits <= 15 else { return false }
        if self.take(".") {
            guard digits <= 12 else { return false }
            return 1...3 ~= self.skip(while: Self.isDigit)
        }
        var value = 0
        for index in start..<self.at { value = value * 10 + Int(self.bytes[index] &- 0x30) }
        integer = isNegative ? -value : value
        return true
    }
}
