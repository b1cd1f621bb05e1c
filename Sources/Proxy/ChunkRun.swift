import Glibc
import HTTPWire

/// What one read's worth of chunked body came to: the data, moved together at the start of the buffer, and what must be
/// written around it. The framing that arrives is never passed on; it is made anew.
struct ChunkRun {
    /// Room for the size line at the start of the frame scratch; the tail begins behind it.
    private static let sizeRoom = 32

    /// Bytes of data, now contiguous at the start of the buffer.
    var data = 0
    /// Bytes of input used; the rest must be presented again.
    var consumed = 0
    /// The last chunk and its trailers were there.
    var ended = false
    private var trailerBytes = 0

    /// Decodes `bytes` in place. `frames` is scratch of at least 32 bytes more than the trailers' limit.
    static func decode(
        _ bytes: UnsafeMutableRawBufferPointer, decoder: inout ChunkedDecoder, frames: UnsafeMutableRawBufferPointer
    ) throws(ChunkError) -> ChunkRun {
        var run = ChunkRun()
        // "\r\n0\r\n" and the blank line stand around the trailers; they are written by `tail`.
        var trailers = ByteWriter(
            UnsafeMutableRawBufferPointer(rebasing: frames[(Self.sizeRoom + 5)..<(frames.count - 2)]))
        // Trailers go up in one piece with the last chunk. When a read ends between them, the decoder is set back to
        // the first one and its bytes are presented again; the decoder's own limit bounds how many that can be.
        var beforeTrailers: (decoder: ChunkedDecoder, consumed: Int)?
        while !run.ended {
            let source = UnsafeRawBufferPointer(bytes).bindMemory(to: UInt8.self).span
            let before = decoder
            switch try decoder.step(source, at: run.consumed) {
            case .data(let range, let next):
                if run.data != Int(range.lower), let base = bytes.baseAddress {
                    memmove(base + run.data, base + Int(range.lower), range.count)
                }
                run.data += range.count
                run.consumed = next
            case .trailer(let name, let value, let next):
                if beforeTrailers == nil { beforeTrailers = (before, run.consumed) }
                if Self.mayFollow(source, name) {
                    trailers.append(source, name)
                    trailers.append(": ")
                    trailers.append(source, value)
                    trailers.append("\r\n")
                }
                run.consumed = next
            case .needMore(let consumed):
                run.consumed = consumed
                if let beforeTrailers {
                    decoder = beforeTrailers.decoder
                    run.consumed = beforeTrailers.consumed
                }
                run.writeFrames(frames)
                return run
            case .end(let next):
                run.consumed = next
                run.ended = true
            }
        }
        run.trailerBytes = trailers.overflowed ? 0 : trailers.count
        run.writeFrames(frames)
        return run
    }

    /// Fields that frame, route or authenticate a message never come after it (RFC 9110 6.5.1).
    private static func mayFollow(_ source: borrowing Span<UInt8>, _ name: ByteRange) -> Bool {
        for forbidden in Self.forbidden where ASCII.equalsIgnoringCase(source, name, lowercase: forbidden) {
            return false
        }
        return true
    }

    private static let forbidden: [[UInt8]] = [
        "transfer-encoding", "content-length", "host", "connection", "te", "trailer", "upgrade", "keep-alive",
        "proxy-connection", "content-encoding", "content-type", "content-range", "authorization", "set-cookie",
        "cookie", "expect", "max-forwards", "cache-control", "x-forwarded-for", "x-forwarded-proto",
        "x-forwarded-host", "forwarded", "via", "x-request-id",
    ].map { Array($0.utf8) }

    private func writeFrames(_ frames: UnsafeMutableRawBufferPointer) {
        var size = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: frames[0..<Self.sizeRoom]))
        size.append(hex: UInt64(self.data))
        size.append("\r\n")
        frames[Self.sizeRoom] = 0x0D
        frames[Self.sizeRoom + 1] = 0x0A
        frames[Self.sizeRoom + 2] = 0x30
        frames[Self.sizeRoom + 3] = 0x0D
        frames[Self.sizeRoom + 4] = 0x0A
        frames[Self.sizeRoom + 5 + self.trailerBytes] = 0x0D
        frames[Self.sizeRoom + 5 + self.trailerBytes + 1] = 0x0A
    }

    /// The size line of the one chunk that carries `data`.
    func sizeLine(in frames: UnsafeMutableRawBufferPointer) -> iovec {
        var digits = 1
        var rest = self.data >> 4
        while rest > 0 {
            digits += 1
            rest >>= 4
        }
        return iovec(iov_base: frames.baseAddress, iov_len: digits + 2)
    }

    /// What follows the data: its line end, and after the end of the body the last chunk and the trailers. Empty if
    /// there is neither data nor an end.
    func tail(in frames: UnsafeMutableRawBufferPointer) -> iovec {
        let start = frames.baseAddress.map { $0 + Self.sizeRoom }
        if self.ended {
            let skip = self.data > 0 ? 0 : 2
            return iovec(iov_base: start.map { $0 + skip }, iov_len: 5 + self.trailerBytes + 2 - skip)
        }
        return iovec(iov_base: start, iov_len: self.data > 0 ? 2 : 0)
    }
}
