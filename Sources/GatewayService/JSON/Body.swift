import NIOCore

/// A body in pieces: a long one is never one piece of memory, neither while it is made nor while it is kept or sent. All
/// who send it share the pieces.
package struct Body: Sendable {
    /// The length of each piece but the last. Memory comes in powers of two.
    static let pieceLength = 256 * 1024

    /// The longest body that is made: far more than any answer, and far less than would end the process.
    package static let largest = 256 << 20

    package private(set) var pieces: [ByteBuffer] = []
    /// The length of all pieces together, in bytes.
    package private(set) var count = 0
    /// The memory that it is accounted for with, until the last who has it lets it go; nil for what is always there.
    var lease: MemoryLease?
    /// Its other forms; nil for a body that is only sent as it is.
    var forms: EncodedForms?
    /// What tells it from other bodies, without quotes; nil when nobody wants to know.
    var tag: String?

    package init() {}

    init(_ text: String) {
        self.init(text.utf8)
    }

    init(_ bytes: some Collection<UInt8>) {
        append(bytes[...])
    }

    /// Appends bytes after a last piece that has the full length, or none.
    mutating func append<Bytes: Collection<UInt8>>(_ bytes: Bytes) where Bytes.SubSequence == Bytes {
        var rest = bytes
        while !rest.isEmpty {
            pieces.append(ByteBuffer(bytes: rest.prefix(Self.pieceLength)))
            rest = rest.dropFirst(Self.pieceLength)
        }
        count += bytes.count
    }

    /// The memory that its pieces take, which may be more than it fills.
    var storage: Int { pieces.reduce(0) { $0 + $1.storageCapacity } }
}

extension Body: Equatable {
    /// Whether the bytes are the same.
    package static func == (left: Body, right: Body) -> Bool {
        left.count == right.count && left.pieces == right.pieces
    }
}
