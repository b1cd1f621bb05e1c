/// Appends BSON documents to a byte array, element by element, in the order of the calls.
package struct BSONWriter: Sendable {
    /// What has been written so far; whole documents once every ``document(_:)`` has returned.
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// Appends one top-level document.
    package mutating func document(_ body: (inout BSONWriter) -> Void) {
        let start = bytes.count
        append(Int32(0))
        body(&self)
        bytes.append(0)
        let length = Int32(truncatingIfNeeded: bytes.count - start)
        withUnsafeBytes(of: length.littleEndian) { prefix in
            for (offset, byte) in prefix.enumerated() { bytes[start + offset] = byte }
        }
    }

    /// Throws away what was written but keeps the memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    package mutating func double(_ name: String, _ value: Double) {
        head(.double, name)
        append(value.bitPattern)
    }

    package mutating func int32(_ name: String, _ value: Int32) {
        head(.int32, name)
        append(value)
    }

    package mutating func int64(_ name: String, _ value: Int64) {
        head(.int64, name)
        append(value)
    }

    /// A number the way JavaScript's driver stores it: int32 when it is integral and fits, else a double.
    package mutating func number(_ name: String, _ value: Double) {
        if let exact = Int32(exactly: value), !(value == 0 && value.sign == .minus) {
            int32(name, exact)
        } else {
            double(name, value)
        }
    }

    package mutating func string(_ name: String, _ value: String) {
        head(.string, name)
        text(value)
    }

    package mutating func bool(_ name: String, _ value: Bool) {
        head(.bool, name)
        bytes.append(value ? 1 : 0)
    }

    package mutating func null(_ name: String) {
        head(.null, name)
    }

    /// Milliseconds since 1970.
    package mutating func date(_ name: String, _ milliseconds: Int64) {
        head(.date, name)
        append(milliseconds)
    }

    /// The twelve bytes of an ObjectId, given as its four leading and eight trailing ones, both big-endian.
    package mutating func objectID(_ name: String, _ seconds: UInt32, _ rest: UInt64) {
        head(.objectID, name)
        withUnsafeBytes(of: seconds.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: rest.bigEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func subdocument(_ name: String, _ body: (inout BSONWriter) -> Void) {
        head(.document, name)
        document(body)
    }

    /// An array whose items `item` writes; it gets the index, which is also the name to write under.
    package mutating func array(_ name: String, count: Int, _ item: (inout BSONWriter, Int, String) -> Void) {
        head(.array, name)
        document { writer in
            for index in 0..<count { item(&writer, index, String(index)) }
        }
    }

    package mutating func strings(_ name: String, _ values: [String]) {
        array(name, count: values.count) { writer, index, key in writer.string(key, values[index]) }
    }

    /// A value of any type whose bytes are given as they are. For types that nothing above covers.
    package mutating func raw(_ type: BSONType, _ name: String, _ value: some Sequence<UInt8>) {
        head(type, name)
        bytes.append(contentsOf: value)
    }

    private mutating func head(_ type: BSONType, _ name: String) {
        bytes.append(type.rawValue)
        bytes.append(contentsOf: name.utf8)
        bytes.append(0)
    }

    private mutating func text(_ value: String) {
        append(Int32(truncatingIfNeeded: value.utf8.count + 1))
        bytes.append(contentsOf: value.utf8)
        bytes.append(0)
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
