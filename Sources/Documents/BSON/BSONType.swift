/// The type code that stands before every element of a BSON document.
@usableFromInline package enum BSONType: UInt8, Sendable {
    case double = 0x01
    case string = 0x02
    case document = 0x03
    case array = 0x04
    case binary = 0x05
    case undefined = 0x06
    case objectID = 0x07
    case bool = 0x08
    case date = 0x09
    case null = 0x0A
    case regex = 0x0B
    case dbPointer = 0x0C
    case code = 0x0D
    case symbol = 0x0E
    case codeWithScope = 0x0F
    case int32 = 0x10
    case timestamp = 0x11
    case int64 = 0x12
    case decimal128 = 0x13
    case maxKey = 0x7F
    case minKey = 0xFF
}

/// Bytes that are not BSON. A database answered them, so they are data, never a reason to trap.
@usableFromInline package enum BSONError: Error, Equatable, Sendable {
    /// A length, a terminator or a fixed-size value does not fit into the bytes at hand.
    case malformed(offset: Int)
    /// An element has a type code that BSON does not define.
    case unknownType(UInt8, offset: Int)
    /// Documents nested deeper than ``BSONLimit/depth``.
    case tooDeep
}

package enum BSONLimit {
    /// More than the nesting that a MongoDB server stores (180); deeper documents come from nobody and would only cost stack.
    package static let depth = 200
}
