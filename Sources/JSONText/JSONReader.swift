/// Reads one JSON text (RFC 8259) strictly: no comments, no trailing commas, no bare words, valid UTF-8 only, escapes
/// that make whole characters only. Depth and size are bounded, so no input can exhaust the stack or the memory.
package struct JSONReader {
    /// Bytes of a whole document.
    package static let sizeLimit = 4 << 20
    /// Arrays and objects inside each other.
    package static let depthLimit = 64

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var lineStart = 0
    /// How many values more there may be.
    private var nodes: Int
    private let nodeLimit: Int

    private init(_ bytes: [UInt8], nodes: Int) {
        self.bytes = bytes
        self.nodes = nodes
        self.nodeLimit = nodes
    }

    /// The value of a whole document, or the first place where it is not JSON. It may have `nodes` values, those in arrays and
    /// objects counted: a reader of what others send says how many, since each costs more memory than it has bytes.
    package static func read(_ bytes: [UInt8], nodes: Int = .max) throws(JSONSyntaxError) -> JSONValue {
        guard bytes.count <= self.sizeLimit else {
            throw JSONSyntaxError(
                line: 1, column: 1, message: "more than \(self.sizeLimit) bytes", isBeyondLimit: true)
        }
        var reader = JSONReader(bytes, nodes: nodes)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { throw reader.error("a byte order mark is not JSON") }
        reader.skipSpace()
        let value = try reader.readValue(depth: 0)
        reader.skipSpace()
        guard reader.position == bytes.count else {
            throw reader.error("expected the end of the document, found \(reader.found)")
        }
        return value
    }

    // MARK: values

    private mutating func readValue(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        let line = self.line
        guard self.nodes > 0 else { throw self.error("more than \(self.nodeLimit) values", isBeyondLimit: true) }
        self.nodes -= 1
        switch self.peek {
        case UInt8(ascii: "{"): return JSONValue(.object(try self.readMembers(depth: depth + 1)), line: line)
        case UInt8(ascii: "["): return JSONValue(.array(try self.readElements(depth: depth + 1)), line: line)
        case UInt8(ascii: "\""): return JSONValue(.string(try self.readString()), line: line)
        case let byte? where byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte):
            return JSONValue(.number(try self.readNumber()), line: line)
        default:
            if self.take("true") { return JSONValue(.bool(true), line: line) }
            if self.take("false") { return JSONValue(.bool(false), line: line) }
            if self.take("null") { return JSONValue(.null, line: line) }
            throw self.error("expected a value, found \(self.found)")
        }
    }

    private mutating func readMembers(depth: Int) throws(JSONSyntaxError) -> [JSONMember] {
        try self.enter(depth)
        var members: [JSONMember] = []
        if self.take(UInt8(ascii: "}")) { return members }
        while true {
            guard self.peek == UInt8(ascii: "\"") else {
                throw self.error("expected a name in double quotes, found \(self.found)")
            }
            let line = self.line
            let name = try self.readString()
            self.skipSpace()
            guard self.take(UInt8(ascii: ":")) else {
                throw self.error("expected ':' after \(name.quoted), found \(self.found)")
            }
            self.skipSpace()
            members.append(JSONMember(name: name, line: line, value: try self.readValue(depth: depth)))
            self.skipSpace()
            if self.take(UInt8(ascii: "}")) { return members }
            guard self.take(UInt8(ascii: ",")) else {
                throw self.error("expected ',' or '}', found \(self.found)")
            }
            self.skipSpace()
        }
    }

    private mutating func readElements(depth: Int) throws(JSONSyntaxError) -> [JSONValue] {
        try self.enter(depth)
        var elements: [JSONValue] = []
        if self.take(UInt8(ascii: "]")) { return elements }
        while true {
            elements.append(try self.readValue(depth: depth))
            self.skipSpace()
            if self.take(UInt8(ascii: "]")) { return elements }
            guard self.take(UInt8(ascii: ",")) else {
                throw self.error("expected ',' or ']', found \(self.found)")
            }
            self.skipSpace()
        }
    }

    /// Steps over the opening bracket.
    private mutating func enter(_ depth: Int) throws(JSONSyntaxError) {
        guard depth <= Self.depthLimit else {
            throw self.error("more than \(Self.depthLimit) levels deep", isBeyondLimit: true)
        }
        self.position += 1
        self.skipSpace()
    }

    /// RFC 8259 §6. The value is not computed: the caller knows which numbers it takes.
    private mutating func readNumber() throws(JSONSyntaxError) -> String {
        let start = self.position
        _ = self.take(UInt8(ascii: "-"))
        if !self.take(UInt8(ascii: "0")) {
            try self.readDigits()
        } else if let byte = self.peek, (0x30...0x39).contains(byte) {
            throw self.error("a number does not begin with 0")
        }
        if self.take(UInt8(ascii: ".")) { try self.readDigits() }
        if self.take(UInt8(ascii: "e")) || self.take(UInt8(ascii: "E")) {
            if !self.take(UInt8(ascii: "+")) { _ = self.take(UInt8(ascii: "-")) }
            try self.readDigits()
        }
        return String(decoding: self.bytes[start..<self.position], as: UTF8.self)
    }

    private mutating func readDigits() throws(JSONSyntaxError) {
        let start = self.position
        while let byte = self.peek, (0x30...0x39).contains(byte) { self.position += 1 }
        guard self.position > start else { throw self.error("expected a digit, found \(self.found)") }
    }

    // MARK: strings (RFC 8259 §7)

    private mutating func readString() throws(JSONSyntaxError) -> String {
        let start = self.position
        self.position += 1
        var content: [UInt8] = []
        // What lies behind the last escape, which is all of most strings, is taken as it is.
        var run = self.position
        while let byte = self.peek {
            switch byte {
            case UInt8(ascii: "\""):
                let rest = self.bytes[run..<self.position]
                self.position += 1
                let text =
                    content.isEmpty
                    ? String(validating: rest, as: UTF8.self) : String(validating: content + rest, as: UTF8.self)
                guard let text else {
                    self.position = start
                    throw self.error("a string that is not valid UTF-8")
                }
                return text
            case UInt8(ascii: "\\"):
                content += self.bytes[run..<self.position]
                self.position += 1
                try self.readEscape(into: &content)
                run = self.position
            case 0..<0x20:
                throw self.error("a control character inside a string: write it as an escape")
            default:
                self.position += 1
            }
        }
        self.position = start
        throw self.error("a string without its closing quote")
    }

    private mutating func readEscape(into content: inout [UInt8]) throws(JSONSyntaxError) {
        guard let byte = self.peek else { return }
        let plain: UInt8
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): plain = byte
        case UInt8(ascii: "b"): plain = 0x08
        case UInt8(ascii: "f"): plain = 0x0C
        case UInt8(ascii: "n"): plain = 0x0A
        case UInt8(ascii: "r"): plain = 0x0D
        case UInt8(ascii: "t"): plain = 0x09
        case UInt8(ascii: "u"):
            self.position += 1
            content.append(contentsOf: String(Character(try self.readUnicodeEscape())).utf8)
            return
        default: throw self.error("an escape that JSON does not have: \\ and \(self.found)")
        }
        self.position += 1
        content.append(plain)
    }

    /// After `\u`. Characters beyond the basic plane are two escapes; half of such a pair is no character.
    private mutating func readUnicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar {
        let first = try self.readHexQuad()
        var value = UInt32(first)
        if (0xD800...0xDBFF).contains(first) {
            guard self.take("\\u") else { throw self.error("half of a surrogate pair") }
            let second = try self.readHexQuad()
            guard (0xDC00...0xDFFF).contains(second) else { throw self.error("half of a surrogate pair") }
            value = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(value) else { throw self.error("half of a surrogate pair") }
        return scalar
    }

    private mutating func readHexQuad() throws(JSONSyntaxError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = self.peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw self.error("expected four hexadecimal digits, found \(self.found)")
            }
            value = value << 4 | UInt16(digit)
            self.position += 1
        }
        return value
    }

    // MARK: bytes

    private var peek: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek == byte else { return false }
        self.position += 1
        return true
    }

    private mutating func take(_ word: String) -> Bool {
        guard self.bytes[self.position...].starts(with: word.utf8) else { return false }
        self.position += word.utf8.count
        return true
    }

    private mutating func skipSpace() {
        while let byte = self.peek {
            switch byte {
            case 0x20, 0x09, 0x0D: self.position += 1
            case 0x0A:
                self.position += 1
                self.line += 1
                self.lineStart = self.position
            default: return
            }
        }
    }

    /// What stands here, for a message.
    private var found: String {
        guard let byte = self.peek else { return "the end of the document" }
        if (0x21...0x7E).contains(byte) { return "'\(Character(Unicode.Scalar(byte)))'" }
        switch byte {
        case 0x20: return "a space"
        case 0x0A, 0x0D: return "the end of the line"
        default: return "byte 0x\(String(byte, radix: 16))"
        }
    }

    private func error(_ message: String, isBeyondLimit: Bool = false) -> JSONSyntaxError {
        JSONSyntaxError(
            line: self.line, column: self.position - self.lineStart + 1, message: message,
            isBeyondLimit: isBeyondLimit)
    }
}

/// Where a text stops being JSON.
package struct JSONSyntaxError: Error, Sendable, Equatable {
    /// From 1.
    package var line: Int
    /// In bytes, from 1.
    package var column: Int
    package var message: String
    /// Whether the text was left because it is larger than this reader takes: it may well be JSON.
    package var isBeyondLimit: Bool
}
