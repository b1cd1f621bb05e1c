/// How the scratch is divided in which a piece's framing is made: the size line, and behind it what follows the data.
///
///     │ size line, 32 bytes │ CRLF 0 CRLF │ trailer lines │ CRLF │
package enum BodyFrames {
    /// Bytes for the size line of the one chunk that carries a piece's data.
    static let sizeRoom = 32
    /// Where the trailer lines begin: behind the line end of the data and the last chunk.
    package static let trailerOffset = 37
    static let lineEnd = 2

    /// Bytes of scratch for trailers of up to `limit` bytes: each line may grow by the blank behind its colon.
    package static func room(trailerLimit limit: Int) -> Int {
        Self.trailerOffset + limit + ChunkedDecoder.trailerCount + Self.lineEnd
    }
}
