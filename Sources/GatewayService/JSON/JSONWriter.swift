import Documents

/// Writes JSON the way `JSON.stringify` does, straight from BSON bytes: no tree between the two.
///
/// What is finished is moved into a ``Body``, a piece at a time, whenever ``cut()`` is called.
package struct JSONWriter: Sendable {
    /// What has been written and not been cut off.
    package private(set) var bytes: [UInt8] = []
    private var finished = Body()
    private let largest: Int
    private var meter = MemoryMeter(free: Body.pieceLength * 2)

    /// - Parameters:
    ///   - capacity: how long the text will be, if that is known.
    ///   - largest: how long it may become.
    package init(capacity: Int = 0, largest: Int = Body.largest) {
        self.largest = largest
        bytes.reserveCapacity(min(capacity, Body.pieceLength * 2))
    }

    /// Moves whole pieces out of the way. To be called between the items of a long list.
    ///
    /// - Throws: ``ResourceError/tooLong`` when there is more than anybody should be sent, ``ResourceError/outOfMemory`` when
    ///   there is more than there is memory for.
    package mutating func cut() throws(ResourceError) {
        // What is left is never empty: its last byte tells whether a comma is due.
        guard bytes.count > Body.pieceLength else { return }
        let end = (bytes.count - 1) / Body.pieceLength * Body.pieceLength
        finished.append(bytes[..<end])
        bytes.removeFirst(end)
        if finished.count > largest { throw .tooLong(largest) }
        guard meter.covers(finished.count) else { throw .outOfMemory }
    }

    /// All that has been written.
    package func body() -> Body {
        var body = finished
        body.append(bytes[...])
        return body
    }

    // MARK: Structure

    package mutating func beginObject() {
        separate()
        bytes.append(UInt8(ascii: "{"))
    }

    package mutating func endObject() {
        bytes.append(UInt8(ascii: "}"))
    }

    package mutating func beginArray() {
        separate()
        bytes.append(UInt8(ascii: "["))
    }

    package mutating func endArray() {
        bytes.append(UInt8(ascii: "]"))
    }

    /// A key that needs no escapes.
    package mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    /// A key of any text.
    package mutating func key(text name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
    }

    /// A comma, unless this is the first thing in its object or array or the value of a key. The last byte tells: text
    /// always ends with a quote, so these bytes can only be structure.
    private mutating func separate() {
        switch bytes.last {
        case nil, UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: ":"): break
        default: bytes.append(UInt8(ascii: ","))
        }
    }

    // MARK: Values

    package mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    package mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    package mutating func number(_ value: Double) {
        separate()
        JavaScriptNumber.write(value, to: &bytes)
    }

    package mutating func number(_ value: Int) {
        separate()
        JavaScriptNumber.write(Int64(value), to: &bytes)
    }

    package mutating func string(_ value: String) {
        separate()
        var value = value
        value.withUTF8 { escape($0) }
    }

    /// A whole document.
    ///
    /// - Parameter withoutIdentity: leaves out `_id` and `__v` at the top level.
    package mutating func document(
        at start: Int, in source: Span<UInt8>, withoutIdentity: Bool = false
    ) throws(BSONError) {
        separate()
        try object(at: start, in: source, omitting: withoutIdentity ? .identity : .nothing, depth: 0)
    }

    /// A whole document but for one top-level field.
    package mutating func document(
        at start: Int, in source: Span<UInt8>, without omitted: String
    ) throws(BSONError) {
        separate()
        try object(at: start, in: source, omitting: .field(omitted), depth: 0)
    }

    /// A key with the value as stored; nothing at all when the field is missing.
    package mutating func copy(
        _ name: StaticString, _ element: BSONElement?, in source: Span<UInt8>
    ) throws(BSONError) {
        guard let element, element.type != .undefined else { return }
        key(name)
        try value(element, in: source, depth: 0)
    }

    /// A stored value on its own; undefined becomes null.
    package mutating func value(_ element: BSONElement, in source: Span<UInt8>) throws(BSONError) {
        separate()
        try value(element, in: source, depth: 0)
    }
}

/// Members that an object is written without.
private enum Omission {
    case nothing
    /// `_id` and `__v`.
    case identity
    case field(String)

    func covers(_ element: BSONElement, in source: Span<UInt8>) -> Bool {
        switch self {
        case .nothing: false
        case .identity: source.isIdentity(element)
        case .field(let name): source.name(of: element, equals: name)
        }
    }
}

extension JSONWriter {
    /// A document. Keys that look like array indexes come first and ascending, as JavaScript has it, then the others as stored.
    private mutating func object(
        at start: Int, in source: Span<UInt8>, omitting omission: Omission, depth: Int
    ) throws(BSONError) {
        guard depth < BSONLimit.depth else { throw .tooDeep }
        bytes.append(UInt8(ascii: "{"))
        let mark = bytes.count
        var indexed: [(index: UInt32, element: BSONElement)] = []
        var scanner = try BSONScanner(document: start, in: source)
        while let element = try scanner.next(in: source) {
            if element.type == .undefined || omission.covers(element, in: source) { continue }
            if let index = source.arrayIndex(element.name) {
                indexed.append((index, element))
            } else {
                try member(element, in: source, depth: depth)
            }
        }
        if !indexed.isEmpty { try insert(&indexed, at: mark, in: source, depth: depth) }
        bytes.append(UInt8(ascii: "}"))
    }

    /// Members before all that has been written since `mark`, which is moved and not written again: what an object holds may
    /// hold such keys itself, and so on downwards.
    private mutating func insert(
        _ members: inout [(index: UInt32, element: BSONElement)], at mark: Int, in source: Span<UInt8>, depth: Int
    ) throws(BSONError) {
        members.sort { $0.index < $1.index }
        let others = Array(bytes[mark...])
        bytes.removeLast(others.count)
        for (_, element) in members { try member(element, in: source, depth: depth) }
        guard !others.isEmpty else { return }
        separate()
        bytes.append(contentsOf: others)
    }

    private mutating func member(_ element: BSONElement, in source: Span<UInt8>, depth: Int) throws(BSONError) {
        separate()
        source.extracting(element.name).withUnsafeBufferPointer { escape($0) }
        bytes.append(UInt8(ascii: ":"))
        try value(element, in: source, depth: depth + 1)
    }

    private mutating func value(_ element: BSONElement, in source: Span<UInt8>, depth: Int) throws(BSONError) {
        let start = element.value.lowerBound
        switch element.type {
        case .double: JavaScriptNumber.write(Double(bitPattern: source.load(UInt64.self, at: start)), to: &bytes)
        case .int32: JavaScriptNumber.write(Int64(source.load(Int32.self, at: start)), to: &bytes)
        case .int64: long(source.load(Int64.self, at: start))
        case .string, .symbol:
            guard let text = source.textRange(of: element) else { throw .malformed(offset: start) }
            source.extracting(text).withUnsafeBufferPointer { escape($0) }
        case .document: try object(at: start, in: source, omitting: .nothing, depth: depth)
        case .array: try array(at: start, in: source, depth: depth)
        case .objectID: hexadecimal(source, element.value)
        case .bool: bytes.append(contentsOf: (source[start] == 0 ? "false" : "true").utf8)
        case .date: DateText.write(milliseconds: source.load(Int64.self, at: start), to: &bytes)
        case .null, .undefined: bytes.append(contentsOf: "null".utf8)
        case .regex, .minKey, .maxKey: bytes.append(contentsOf: "{}".utf8)
        case .timestamp:
            bytes.append(contentsOf: "{\"$timestamp\":\"\(source.load(UInt64.self, at: start))\"}".utf8)
        case .decimal128:
            let decimal = Decimal128(
                low: source.load(UInt64.self, at: start), high: source.load(UInt64.self, at: start + 8))
            bytes.append(contentsOf: "{\"$numberDecimal\":\"\(decimal.text)\"}".utf8)
        case .binary:
            bytes.append(UInt8(ascii: "\""))
            Base64.write(source.extracting((start + 5)..<element.value.upperBound), to: &bytes)
            bytes.append(UInt8(ascii: "\""))
        case .code:
            guard let text = source.textRange(of: element) else { throw .malformed(offset: start) }
            bytes.append(contentsOf: "{\"code\":".utf8)
            source.extracting(text).withUnsafeBufferPointer { escape($0) }
            bytes.append(UInt8(ascii: "}"))
        case .dbPointer, .codeWithScope: bytes.append(contentsOf: "{}".utf8)
        }
    }

    private mutating func array(at start: Int, in source: Span<UInt8>, depth: Int) throws(BSONError) {
        guard depth < BSONLimit.depth else { throw .tooDeep }
        bytes.append(UInt8(ascii: "["))
        var scanner = try BSONScanner(document: start, in: source)
        while let element = try scanner.next(in: source) {
            separate()
            try value(element, in: source, depth: depth + 1)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    /// The driver keeps an int64 that a double cannot hold as an object of two halves, which has no JSON form of its own.
    private mutating func long(_ value: Int64) {
        if value.magnitude <= 1 << 53 {
            JavaScriptNumber.write(value, to: &bytes)
        } else {
            let low = Int32(truncatingIfNeeded: value)
            let high = Int32(truncatingIfNeeded: value >> 32)
            bytes.append(contentsOf: "{\"low\":\(low),\"high\":\(high),\"unsigned\":false}".utf8)
        }
    }

    private mutating func hexadecimal(_ source: Span<UInt8>, _ range: Range<Int>) {
        // An ObjectId is twelve bytes; a longer one does not exist.
        var text = InlineArray<26, UInt8>(repeating: UInt8(ascii: "\""))
        var end = 1
        for index in range where end < 25 {
            text[end] = Self.hexDigit(source[index] >> 4)
            text[end + 1] = Self.hexDigit(source[index] & 0xF)
            end += 2
        }
        text.span.extracting(0..<(end + 1)).withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    /// Text in quotes. Runs without escapes are copied whole; what is not UTF-8 becomes the replacement character.
    private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        var isASCII = true
        for index in 0..<text.count {
            let byte = text[index]
            if byte >= 0x80 { isASCII = false }
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            copyRun(text, start..<index, isASCII: isASCII)
            escape(byte)
            start = index + 1
            isASCII = true
        }
        copyRun(text, start..<text.count, isASCII: isASCII)
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func copyRun(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, isASCII: Bool) {
        let run = UnsafeBufferPointer(rebasing: text[range])
        if isASCII {
            bytes.append(contentsOf: run)
        } else {
            bytes.append(contentsOf: String(decoding: run, as: UTF8.self).utf8)
        }
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0..<0x20:
            bytes.append(contentsOf: "u00".utf8)
            bytes.append(Self.hexDigit(byte >> 4))
            bytes.append(Self.hexDigit(byte & 0xF))
        default: bytes.append(byte)
        }
    }
}

extension Span<UInt8> {
    fileprivate func isIdentity(_ element: BSONElement) -> Bool {
        name(of: element, equals: "_id") || name(of: element, equals: "__v")
    }

    /// The number of a key that JavaScript takes for an array index: canonical decimal, 0 to 4294967294.
    fileprivate func arrayIndex(_ name: Range<Int>) -> UInt32? {
        guard let first = name.first, (0x30...0x39).contains(self[first]), name.count <= 10 else { return nil }
        if self[first] == 0x30 && name.count > 1 { return nil }
        var value: UInt64 = 0
        for index in name {
            guard (0x30...0x39).contains(self[index]) else { return nil }
            value = value * 10 + UInt64(self[index] - 0x30)
        }
        return value < UInt64(UInt32.max) ? UInt32(value) : nil
    }
}
