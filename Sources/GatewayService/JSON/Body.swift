import NIOCore

/// A body in pieces: a long one is never one piece of memory, neither while it is made nor while it is kept or sent. All
/// who send it share the pieces.
package struct Body: Sendable, Equatable {
    /// The length of each piece but the last. Memory comes in powers of two.
    static let pieceLength = 256 * 1024

    /// The longest body that is made: far more than any answer, and far less than would end the process.
    package static let largest = 256 << 20

    package private(set) var pieces: [ByteBuffer] = []
    /// The length of all pieces together, in bytes.
    package private(set) var count = 0

    package init() {}

    init(_ text: String) {
        self.init(text.utf8)
    }

    init(_ bytes: some Collection<UInt8>) {
        var rest = bytes[...]
        while !rest.isEmpty {
            append(ByteBuffer(bytes: rest.prefix(Self.pieceLength)))
            rest = rest.dropFirst(Self.pieceLength)
        }
    }

    mutating func append(_ piece: ByteBuffer) {
        count += piece.readableBytes
        pieces.append(piece)
    }

    /// The memory that it takes, which may be more than it fills.
    var storage: Int { pieces.reduce(0) { $0 + $1.storageCapacity } }

    /// Everything in one piece. A copy, for bodies that are short.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for piece in pieces { bytes.append(contentsOf: piece.readableBytesView) }
        return bytes
    }
}
