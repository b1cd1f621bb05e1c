/// One whole frame (RFC 9113 6). Ranges count from the start of the bytes that the reader was given.
package enum Frame: Equatable, Sendable {
    /// `flow`: bytes that count against the windows, padding included (6.1).
    case data(stream: UInt32, content: Range<Int>, flow: Int, isEnd: Bool)
    case headers(HeaderBlock)
    case priority(stream: UInt32)
    case reset(stream: UInt32, code: ErrorCode)
    case settings(entries: Range<Int>)
    case settingsAcknowledged
    case ping(UInt64, isAcknowledgement: Bool)
    case goAway(last: UInt32, code: ErrorCode)
    case windowUpdate(stream: UInt32, increment: Int)
    /// RFC 9218 7.1. `stream`: the one that it is about.
    case priorityUpdate(stream: UInt32, value: Range<Int>)
    case unknown
    /// A fault of one stream only.
    case malformed(stream: UInt32, code: ErrorCode)
}

/// HEADERS with its CONTINUATIONs: a field block in one or several pieces (RFC 9113 4.3).
package struct HeaderBlock: Equatable, Sendable {
    package var stream: UInt32
    package var isEnd: Bool
    /// The piece in HEADERS itself.
    package var first: Range<Int>
    /// Where the frames behind HEADERS begin and end; empty for nearly all.
    package var continuations: Range<Int>
    /// END_HEADERS is there. Else the block is larger than may come in one piece, and more of it follows.
    package var isWhole: Bool

    package init(
        stream: UInt32, isEnd: Bool, first: Range<Int>, continuations: Range<Int>, isWhole: Bool = true
    ) {
        self.stream = stream
        self.isEnd = isEnd
        self.first = first
        self.continuations = continuations
        self.isWhole = isWhole
    }
}

/// The pieces of a field block, one after the other.
package struct BlockPieces {
    private let bytes: UnsafeRawBufferPointer
    private let end: Int
    private let isWhole: Bool
    private var first: Range<Int>?
    /// Where the next CONTINUATION begins.
    private var cursor: Int

    /// `bytes`: what the reader was given.
    package init(_ block: HeaderBlock, in bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        self.end = block.continuations.upperBound
        self.isWhole = block.isWhole
        self.first = block.first
        self.cursor = block.continuations.lowerBound
    }

    /// `isLast`: no piece of the block follows, here or in what is still to come.
    package mutating func next() -> (piece: UnsafeRawBufferPointer, isLast: Bool)? {
        if let first {
            self.first = nil
            return (UnsafeRawBufferPointer(rebasing: self.bytes[first]), self.isWhole && self.cursor == self.end)
        }
        guard self.cursor < self.end else { return nil }
        let start = self.cursor + FrameReader.headerSize
        self.cursor = start + FrameReader.length(self.bytes, at: self.cursor)
        return (
            UnsafeRawBufferPointer(rebasing: self.bytes[start..<self.cursor]), self.isWhole && self.cursor == self.end
        )
    }
}

package enum FrameType {
    package static let data: UInt8 = 0
    package static let headers: UInt8 = 1
    package static let priority: UInt8 = 2
    package static let reset: UInt8 = 3
    package static let settings: UInt8 = 4
    package static let pushPromise: UInt8 = 5
    package static let ping: UInt8 = 6
    package static let goAway: UInt8 = 7
    package static let windowUpdate: UInt8 = 8
    package static let continuation: UInt8 = 9
    package static let priorityUpdate: UInt8 = 16
}

package enum FrameFlag {
    package static let endStream: UInt8 = 0x1
    package static let acknowledgement: UInt8 = 0x1
    package static let endHeaders: UInt8 = 0x4
    package static let padded: UInt8 = 0x8
    package static let priority: UInt8 = 0x20
}
