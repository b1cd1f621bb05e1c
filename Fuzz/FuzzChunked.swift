import HTTPWire

/// The chunked decoder gives the same data, end and error whether its input comes at once or in pieces, and its ranges
/// stay inside the input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChunked(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    let whole = decode(bytes, piece: max(1, bytes.count))
    let pieces = decode(bytes, piece: Int(start[0] & 15) + 1)
    precondition(whole.data == pieces.data && whole.ended == pieces.ended, "pieces decode differently")
    // What a longer look refuses, a shorter one may still be waiting for; never the other way round.
    if pieces.failed { precondition(whole.failed, "only pieces are refused") }
    if whole.failed, whole.data.count == pieces.data.count { precondition(pieces.failed, "only the whole is refused") }
    return 0
}

private struct Outcome {
    var data: [UInt8] = []
    var ended = false
    var failed = false
}

private func decode(_ bytes: [UInt8], piece: Int) -> Outcome {
    var decoder = ChunkedDecoder(extensionLimit: 64, trailerLimit: 256, trailerCount: 8)
    var outcome = Outcome()
    var held: [UInt8] = []
    var offset = 0
    while offset < bytes.count {
        let end = min(bytes.count, offset + piece)
        held += bytes[offset..<end]
        offset = end
        var cursor = 0
        var waiting = false
        while !waiting {
            do throws(ChunkError) {
                switch try decoder.step(held.span, at: cursor) {
                case .data(let range, let next):
                    precondition(Int(range.upper) <= held.count && next >= cursor)
                    outcome.data += held[Int(range.lower)..<Int(range.upper)]
                    cursor = next
                case .trailer(let name, let value, let next):
                    precondition(name.upper <= value.lower && Int(value.upper) <= next && next <= held.count)
                    cursor = next
                case .needMore(let consumed):
                    precondition(consumed >= cursor && consumed <= held.count)
                    held.removeFirst(consumed)
                    waiting = true
                case .end(let next):
                    precondition(next <= held.count)
                    outcome.ended = true
                    return outcome
                }
            } catch {
                outcome.failed = true
                return outcome
            }
        }
    }
    return outcome
}
