import HTTPWire

/// Bodies in the chunked coding, read in pieces, come to what a slow decoder makes of the whole (the one that the unit tests
/// have): the same data, end or refusal. What is written of them is read back as the same body.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChunked(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    let side: MessageSide = start[0] & 16 == 0 ? .request : .response
    let wanted = ReferenceChunks.decode(
        bytes, isPaddingTaken: side == .response, extensionLimit: Limits.extensions, trailerLimit: Limits.trailers)
    let read = readBody(bytes, of: side, piece: Int(start[0] & 15) + 1)
    switch wanted {
    case .whole(let data, _, let end):
        precondition(!read.failed && read.data == data && read.end == end, "a whole body reads differently")
        let again = ReferenceChunks.decode(
            read.written, isPaddingTaken: false, extensionLimit: 0, trailerLimit: 2 * Limits.trailers)
        guard case .whole(let copy, _, let copyEnd) = again else { preconditionFailure("our own body is none") }
        precondition(copy == data && copyEnd == read.written.count, "our own body is another one")
    case .incomplete(let data):
        precondition(!read.failed && read.data == data && read.end == nil, "a cut body reads differently")
    case .broken(let data):
        precondition(read.failed && data.starts(with: read.data), "a broken body is taken")
    }
    return 0
}

private enum Limits {
    static let extensions = 64
    static let trailers = 256
}

private struct ReadBody {
    var data: [UInt8] = []
    /// Framed anew.
    var written: [UInt8] = []
    var end: Int?
    var failed = false
}

private func readBody(_ input: [UInt8], of side: MessageSide, piece size: Int) -> ReadBody {
    var reader = BodyReader(
        .chunked, of: side, extensionLimit: Limits.extensions, trailerLimit: Limits.trailers)
    let frames = UnsafeMutableRawBufferPointer.allocate(
        byteCount: BodyFrames.room(trailerLimit: Limits.trailers), alignment: 1)
    defer { frames.deallocate() }
    var read = ReadBody()
    var held: [UInt8] = []
    var offset = 0
    while offset < input.count, !reader.isEnded {
        let next = min(input.count, offset + size)
        held += input[offset..<next]
        offset = next
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: held.count, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: held)
        do throws(ChunkError) {
            let piece = try reader.take(buffer, frames: frames, trailers: TrailerRules())
            precondition(piece.data <= piece.consumed && piece.consumed <= held.count)
            read.data += buffer[..<piece.data]
            let (before, after) = BodyWriter.frame(piece, as: .chunked, frames: frames)
            read.written += Array(before) + buffer[..<piece.data] + Array(after)
            held = Array(buffer[piece.consumed...])
            if piece.isEnd { read.end = offset - held.count }
        } catch {
            read.failed = true
            return read
        }
    }
    return read
}
