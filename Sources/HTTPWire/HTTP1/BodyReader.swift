/// What one read's worth of body came to. Its data stands together at the start of the buffer that was read into.
package struct BodyPiece: Equatable, Sendable {
    /// Bytes of data.
    package var data: Int
    /// Bytes used; what follows is presented again, with more behind it, or does not belong to the body.
    package var consumed: Int
    /// The body ends with this piece. Said once.
    package var isEnd: Bool
    /// Bytes of trailer lines in the frames, behind `BodyFrames.trailerOffset`; only at the end.
    package var trailerBytes: Int

    package init(data: Int = 0, consumed: Int = 0, isEnd: Bool = false, trailerBytes: Int = 0) {
        self.data = data
        self.consumed = consumed
        self.isEnd = isEnd
        self.trailerBytes = trailerBytes
    }
}

/// One body on its way in, whatever its framing (RFC 9112 6 and 7.1). Framing that arrives is never passed on: `BodyWriter`
/// makes it anew. Holds a few integers and no bytes.
package struct BodyReader: Sendable {
    package let framing: BodyFraming
    /// Nothing of the body is still to come. `.none` and `.length(0)` have ended from the start.
    package private(set) var isEnded: Bool
    /// Bytes of data handed out so far.
    package private(set) var count: UInt64 = 0
    private var decoder: ChunkedDecoder
    /// How far the trailers were looked through, and where their last line begins; both from the first trailer on.
    private var trailerScanned = 0
    private var trailerLine = 0

    /// `side` decides what is taken that only a sloppy sender writes. Limits: bytes of chunk extensions, as
    /// `ChunkedDecoder` counts them, and of trailer lines.
    package init(_ framing: BodyFraming, of side: MessageSide = .request, extensionLimit: Int, trailerLimit: Int) {
        self.framing = framing
        self.isEnded = framing == .none || framing == .length(0)
        self.decoder = ChunkedDecoder(extensionLimit: extensionLimit, trailerLimit: trailerLimit, of: side)
    }

    /// Bytes still to come of a body whose length was announced; nil for another.
    package var remaining: UInt64? {
        guard case .length(let length) = self.framing else { return nil }
        return length - self.count
    }

    /// Decodes in place: data is moved together at the start of `bytes`. Trailer lines ("Name: value", CRLF) that `trailers`
    /// lets through are written to `frames` with the last chunk; while a read ends between them, their bytes stay unused
    /// and are presented again. After the end nothing is used. Bytes behind a body are not used either.
    /// `frames` has `BodyFrames.room(trailerLimit:)` bytes.
    package mutating func take(
        _ bytes: UnsafeMutableRawBufferPointer, frames: UnsafeMutableRawBufferPointer, trailers: borrowing TrailerRules
    ) throws(ChunkError) -> BodyPiece {
        guard !self.isEnded else { return BodyPiece() }
        if self.isChunked { return try self.takeChunks(bytes, frames: frames, trailers: trailers) }
        return self.takePlain(bytes.count)
    }

    package var isChunked: Bool {
        if case .chunked = self.framing { true } else { false }
    }

    /// As `take`, of a body that is not chunked: its bytes are data and stay where they are.
    package mutating func takePlain(_ available: Int) -> BodyPiece {
        guard !self.isEnded else { return BodyPiece() }
        switch self.framing {
        case .none, .chunked: return BodyPiece()
        case .length(let length):
            let count = Int(min(UInt64(available), length - self.count))
            self.count += UInt64(count)
            self.isEnded = self.count == length
            return BodyPiece(data: count, consumed: count, isEnd: self.isEnded)
        case .untilClose:
            self.count += UInt64(available)
            return BodyPiece(data: available, consumed: available)
        }
    }

    /// The peer has closed. True if that leaves the body whole: it had ended, or is one that the close ends.
    package mutating func inputEnded() -> Bool {
        if self.framing == .untilClose { self.isEnded = true }
        return self.isEnded
    }

    private mutating func takeChunks(
        _ bytes: UnsafeMutableRawBufferPointer, frames: UnsafeMutableRawBufferPointer, trailers: borrowing TrailerRules
    ) throws(ChunkError) -> BodyPiece {
        var piece = BodyPiece()
        while true {
            // Bound anew for each step: moving data changes the bytes.
            let source = UnsafeRawBufferPointer(bytes).bindMemory(to: UInt8.self).span
            var cursor = piece.consumed
            let step = try self.decoder.dataStep(source, cursor: &cursor)
            piece.consumed = cursor
            switch step {
            case .data(let range):
                if piece.data != Int(range.lower) {
                    UnsafeMutableRawBufferPointer(rebasing: bytes[piece.data...])
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range.bounds]))
                }
                piece.data += range.count
                self.count += UInt64(range.count)
            case .needMore: return piece
            case .trailers:
                guard try self.areTrailersWhole(source, from: cursor) else { return piece }
                try self.takeTrailers(source, into: frames, rules: trailers, &piece)
                return piece
            }
        }
    }

    /// Whether the blank line behind the trailers is there, or something that is no trailer. Each byte is looked at once.
    private mutating func areTrailersWhole(_ bytes: borrowing Span<UInt8>, from start: Int) throws(ChunkError) -> Bool {
        while true {
            let stop = ByteScan.control(bytes, from: start + self.trailerScanned)
            self.trailerScanned = stop - start
            guard stop < bytes.count, bytes[stop] != HeadParser.cr || stop + 1 < bytes.count else { break }
            guard bytes[stop] == HeadParser.cr, bytes[stop + 1] == HeadParser.lf else { throw .badTrailer }
            if self.trailerScanned == self.trailerLine { return true }
            self.trailerScanned += 2
            self.trailerLine = self.trailerScanned
        }
        guard bytes.count - start <= self.decoder.trailerLimit + BodyFrames.lineEnd else { throw .trailersTooLong }
        return false
    }

    private mutating func takeTrailers(
        _ bytes: borrowing Span<UInt8>, into frames: UnsafeMutableRawBufferPointer, rules: borrowing TrailerRules,
        _ piece: inout BodyPiece
    ) throws(ChunkError) {
        let room = max(BodyFrames.trailerOffset, frames.count - BodyFrames.lineEnd)
        var writer = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: frames[BodyFrames.trailerOffset..<room]))
        while true {
            switch try self.decoder.trailerStep(bytes, at: piece.consumed) {
            case .trailer(let name, let value, let next):
                piece.consumed = next
                guard rules.keep(name, in: bytes) else { continue }
                writer.append(bytes, name)
                writer.append(": ")
                writer.append(bytes, value)
                writer.append("\r\n")
            case .end(let next):
                guard !writer.overflowed else { throw .trailersTooLong }
                piece.consumed = next
                piece.isEnd = true
                piece.trailerBytes = writer.count
                self.isEnded = true
                return
            case .needMore: throw .badTrailer
            }
        }
    }
}
