/// Finds where a value stands in a JSON text, so that a program may change it and leave every other byte as a person wrote it.
package struct JSONPlace {
    package enum Step: Sendable, Equatable {
        case member(String)
        /// From 0.
        case element(Int)
    }

    private let bytes: [UInt8]
    private var position = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The bytes of the value at `path`, without the white space around it; nil: there is none. `bytes` is a text that `JSONReader`
    /// has taken: of anything else the answer means nothing. Of a name that is given twice the first counts.
    package static func range(of path: [Step], in bytes: [UInt8]) -> Range<Int>? {
        var place = JSONPlace(bytes)
        place.skipSpace()
        for step in path {
            switch step {
            case .member(let name): guard place.enter(member: name) else { return nil }
            case .element(let index): guard place.enter(element: index) else { return nil }
            }
        }
        let start = place.position
        guard place.skipValue() else { return nil }
        return start..<place.position
    }

    // MARK: steps

    /// Goes to the value of a member of the object that begins here.
    private mutating func enter(member name: String) -> Bool {
        guard self.take(UInt8(ascii: "{")) else { return false }
        while true {
            self.skipSpace()
            let start = self.position
            guard self.peek == UInt8(ascii: "\""), self.skipString() else { return false }
            let text = Array(self.bytes[start..<self.position])
            self.skipSpace()
            guard self.take(UInt8(ascii: ":")) else { return false }
            self.skipSpace()
            // A name may be written with escapes.
            if let value = try? JSONReader.read(text), case .string(let read) = value.content, read == name {
                return true
            }
            guard self.skipValue() else { return false }
            self.skipSpace()
            guard self.take(UInt8(ascii: ",")) else { return false }
        }
    }

    /// Goes to an element of the list that begins here.
    private mutating func enter(element index: Int) -> Bool {
        guard self.take(UInt8(ascii: "[")) else { return false }
        self.skipSpace()
        for _ in 0..<index {
            guard self.skipValue() else { return false }
            self.skipSpace()
            guard self.take(UInt8(ascii: ",")) else { return false }
            self.skipSpace()
        }
        return self.peek != UInt8(ascii: "]")
    }

    // MARK: bytes

    private var peek: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek == byte else { return false }
        self.position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = self.peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { self.position += 1 }
    }

    private mutating func skipString() -> Bool {
        guard self.take(UInt8(ascii: "\"")) else { return false }
        while let byte = self.peek {
            self.position += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return true }
        }
        return false
    }

    /// A value of any kind: brackets are counted, however deep.
    private mutating func skipValue() -> Bool {
        var depth = 0
        while let byte = self.peek {
            switch byte {
            case UInt8(ascii: "\""): guard self.skipString() else { return false }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                self.position += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                // The end of what a value with nothing in it would stand in.
                guard depth > 0 else { return false }
                depth -= 1
                self.position += 1
            case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: ":"): self.position += 1
            default:
                while let byte = self.peek, !Self.ends(byte) { self.position += 1 }
            }
            if depth == 0 { return true }
        }
        return false
    }

    /// What ends a number or a word.
    private static func ends(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"): true
        default: false
        }
    }
}
