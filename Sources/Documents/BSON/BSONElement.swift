/// One element of a document: its type and where its name and value lie in the bytes that were scanned.
///
/// Plain offsets and no reference, so that walking a document neither copies nor retains anything. An element is only
/// meaningful together with the bytes it was read from.
@usableFromInline package struct BSONElement: Sendable, Equatable {
    @usableFromInline package let type: BSONType
    /// The name without its terminator.
    @usableFromInline package let name: Range<Int>
    /// The value without the type code and the name. Always large enough for the fixed part of its type.
    @usableFromInline package let value: Range<Int>

    @inlinable
    package init(type: BSONType, name: Range<Int>, value: Range<Int>) {
        self.type = type
        self.name = name
        self.value = value
    }
}

/// Walks the elements of one document, in stored order.
@usableFromInline package struct BSONScanner: Sendable {
    @usableFromInline var position: Int
    /// Where the document's terminator stands.
    @usableFromInline let end: Int

    /// Starts at the document whose length prefix stands at `start`.
    ///
    /// - Throws: ``BSONError/malformed(offset:)`` when the document does not fit into `bytes`.
    @inlinable
    package init(document start: Int, in bytes: Span<UInt8>) throws(BSONError) {
        let length = try bytes.documentLength(at: start)
        self.position = start + 4
        self.end = start + length - 1
    }

    /// The next element, or nil at the end of the document.
    @inlinable
    package mutating func next(in bytes: Span<UInt8>) throws(BSONError) -> BSONElement? {
        guard position < end else { return nil }
        guard let type = BSONType(rawValue: bytes[position]) else {
            throw .unknownType(bytes[position], offset: position)
        }
        let nameStart = position + 1
        let nameEnd = try bytes.terminator(from: nameStart, before: end)
        let valueStart = nameEnd + 1
        let length = try Self.length(of: type, at: valueStart, before: end, in: bytes)
        guard length <= end - valueStart else { throw .malformed(offset: valueStart) }
        position = valueStart + length
        return BSONElement(type: type, name: nameStart..<nameEnd, value: valueStart..<position)
    }

    /// The bytes a value takes. Every length that the sender chose is checked against what is left before it is used.
    @inlinable
    static func length(
        of type: BSONType, at start: Int, before end: Int, in bytes: Span<UInt8>
    ) throws(BSONError) -> Int {
        switch type {
        case .undefined, .null, .minKey, .maxKey: return 0
        case .bool: return 1
        case .int32: return 4
        case .double, .date, .timestamp, .int64: return 8
        case .objectID: return 12
        case .decimal128: return 16
        case .string, .code, .symbol:
            return 4 + (try bytes.prefixedLength(at: start, before: end, least: 1))
        case .binary:
            return 5 + (try bytes.prefixedLength(at: start, before: end, least: 0))
        case .dbPointer:
            return 4 + (try bytes.prefixedLength(at: start, before: end, least: 1)) + 12
        case .document, .array:
            let length = try bytes.prefixedLength(at: start, before: end, least: 5)
            guard length <= end - start, bytes[start + length - 1] == 0 else { throw .malformed(offset: start) }
            return length
        case .codeWithScope:
            return try bytes.prefixedLength(at: start, before: end, least: 14)
        case .regex:
            let pattern = try bytes.terminator(from: start, before: end)
            return try bytes.terminator(from: pattern + 1, before: end) + 1 - start
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Runs `body` with these bytes, which must be one whole document.
    ///
    /// - Throws: ``StoreError/malformed(_:)`` when they are not; what `body` throws.
    func withDocument<Value>(_ body: (Span<UInt8>) throws -> Value) throws -> Value {
        try withMemoryRebound(to: UInt8.self) { buffer in
            let bytes = buffer.span
            guard (try? bytes.documentLength(at: 0)) == bytes.count else {
                throw StoreError.malformed(.malformed(offset: 0))
            }
            return try body(bytes)
        }
    }
}

extension Span<UInt8> {
    /// The length of the document at `start`, after checking that it is there as a whole and ends with a zero.
    @inlinable
    package func documentLength(at start: Int) throws(BSONError) -> Int {
        let length = try prefixedLength(at: start, before: count, least: 5)
        guard length <= count - start, self[start + length - 1] == 0 else { throw .malformed(offset: start) }
        return length
    }

    /// The little-endian number at `offset`. The caller has checked that it is there; the load checks again.
    @inlinable
    package func load<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type, at offset: Int) -> Number {
        Number(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }

    @inlinable
    func prefixedLength(at start: Int, before end: Int, least: Int) throws(BSONError) -> Int {
        guard start >= 0, end - start >= 4 else { throw .malformed(offset: start) }
        let length = Int(load(Int32.self, at: start))
        guard length >= least else { throw .malformed(offset: start) }
        return length
    }

    @inlinable
    func terminator(from start: Int, before end: Int) throws(BSONError) -> Int {
        var index = start
        while index < end {
            if self[index] == 0 { return index }
            index += 1
        }
        throw .malformed(offset: start)
    }
}
