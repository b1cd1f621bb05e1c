/// HTTP/1 framing of a body on its way out: what stands before and after the data of one piece.
package struct BodyWriter {
    /// Writes the framing of `piece` into `frames`, where its trailer lines stand already. Both results point there and
    /// are empty for a body that a length or the close ends. A piece without data that is not the end needs nothing.
    package static func frame(
        _ piece: BodyPiece, as framing: BodyFraming, frames: UnsafeMutableRawBufferPointer
    ) -> (before: UnsafeRawBufferPointer, after: UnsafeRawBufferPointer) {
        let nothing = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(frames)[0..<0])
        guard framing == .chunked, piece.data > 0 || piece.isEnd else { return (nothing, nothing) }
        var before = nothing
        if piece.data > 0 {
            var size = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: frames[0..<BodyFrames.sizeRoom]))
            size.append(hex: UInt64(piece.data))
            size.append("\r\n")
            before = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(frames)[0..<size.count])
        }
        var tail = ByteWriter(
            UnsafeMutableRawBufferPointer(rebasing: frames[BodyFrames.sizeRoom..<BodyFrames.trailerOffset]))
        tail.append("\r\n0\r\n")
        // The line end of the data is left out where there is none.
        let start = BodyFrames.sizeRoom + (piece.data > 0 ? 0 : BodyFrames.lineEnd)
        var end = BodyFrames.sizeRoom + BodyFrames.lineEnd
        if piece.isEnd {
            end = BodyFrames.trailerOffset + piece.trailerBytes
            var blank = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: frames[end..<end + BodyFrames.lineEnd]))
            blank.append("\r\n")
            end += BodyFrames.lineEnd
        }
        return (before, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(frames)[start..<end]))
    }
}
