import HTTPWire
import Reactor

/// The trailers behind a body that was taken in: lines as they go out. Owns memory only while it holds some.
struct KeptTrailers {
    private var lines = ByteQueue()

    var isEmpty: Bool { self.lines.isEmpty }

    /// Takes the lines that the last piece left in `frames`.
    mutating func takeOver(_ piece: BodyPiece, from frames: UnsafeMutableRawBufferPointer, pool: inout BufferPool) {
        guard piece.trailerBytes > 0 else { return }
        self.lines.append(
            UnsafeRawBufferPointer(
                rebasing: UnsafeRawBufferPointer(frames)[BodyFrames.trailerOffset...].prefix(piece.trailerBytes)),
            pool: &pool)
    }

    /// Puts the lines back to where a piece's trailers stand. Answers how many bytes they are.
    func putBack(into frames: UnsafeMutableRawBufferPointer) -> Int {
        guard !self.lines.isEmpty else { return 0 }
        UnsafeMutableRawBufferPointer(rebasing: frames[BodyFrames.trailerOffset...]).copyMemory(from: self.lines.bytes)
        return self.lines.count
    }

    mutating func clear(pool: inout BufferPool) { self.lines.clear(pool: &pool) }
}
