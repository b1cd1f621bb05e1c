import Glibc
import HTTPWire
import Traffic

/// The memory that all connections of one worker share. One thing uses each piece at a time:
///
/// - `input`: where a read lands. Whoever read holds it until its event has passed the bytes on, so nothing that runs inside
///   that event reads again.
/// - `head`: where a rewritten head, an answer of our own or a line of the access log is built, up to the write that sends
///   it.
/// - `frames`: a chunk's size line, and what ends a chunk, trailers included, up to the write.
/// - `changes`: an answer's head that a policy changes, up to the write. Made when it is needed first.
/// - `coded`: a piece of a body in a shorter form, up to the write. Likewise.
/// - `pieces`: what one write sends.
/// - `fields`: of the head parsed last, until the next parse.
struct WorkerMemory: ~Copyable {
    /// One read takes at most this: large enough that a megabyte needs few system calls, small enough to stay in the
    /// second-level cache until it is written out.
    static let inputSize = 262_144
    private static let headSize = 131_072
    private static let framesSize = 32_768
    /// Head, size line, data and tail of one message, and some to spare.
    private static let pieceCount = 8
    /// Two pages: below this a copy is cheaper than a second piece.
    private static let smallBody = 8_192

    private(set) var input: UnsafeMutableRawBufferPointer
    private(set) var head: UnsafeMutableRawBufferPointer
    private(set) var frames: UnsafeMutableRawBufferPointer
    private var changes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var coded = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private static let codedSize = 65_536
    let pieces: UnsafeMutableBufferPointer<iovec>
    var fields = FieldTable(capacity: 256)
    var fieldReferences: ContiguousArray<FieldReference> = []

    init() {
        self.input = .allocate(byteCount: Self.inputSize, alignment: 64)
        self.head = .allocate(byteCount: Self.headSize, alignment: 64)
        self.frames = .allocate(byteCount: Self.framesSize, alignment: 64)
        self.pieces = .allocate(capacity: Self.pieceCount)
        self.pieces.initialize(repeating: iovec())
        self.fieldReferences.reserveCapacity(128)
    }

    deinit {
        self.input.deallocate()
        self.head.deallocate()
        self.frames.deallocate()
        self.changes.deallocate()
        self.coded.deallocate()
        self.pieces.deallocate()
    }

    /// Makes room for heads as large as the table in force allows.
    mutating func grow(headRoom needed: Int, frameRoom: Int) {
        if self.frames.count < frameRoom {
            self.frames.deallocate()
            self.frames = .allocate(byteCount: frameRoom, alignment: 64)
        }
        if self.head.count < needed {
            self.head.deallocate()
            self.head = .allocate(byteCount: needed, alignment: 64)
        }
        if self.input.count < needed {
            self.input.deallocate()
            self.input = .allocate(byteCount: needed, alignment: 64)
        }
    }

    /// Room for a piece of a body in another form.
    mutating func roomForCoded() -> UnsafeMutableRawBufferPointer {
        if self.coded.isEmpty { self.coded = .allocate(byteCount: Self.codedSize, alignment: 64) }
        return self.coded
    }

    /// Room for a head with what policies add.
    mutating func roomForChanges() -> UnsafeMutableRawBufferPointer {
        if self.changes.count < self.head.count {
            self.changes.deallocate()
            self.changes = .allocate(byteCount: self.head.count, alignment: 64)
        }
        return self.changes
    }

    /// Puts together what one write sends: `headBytes` at the start of `head`, then one piece of a body, framed. Small
    /// bodies are moved behind the head.
    @inline(__always)
    borrowing func gather(
        head headBytes: Int, _ piece: BodyPiece, _ data: UnsafeRawPointer?, as framing: BodyFraming
    ) -> UnsafeMutableBufferPointer<iovec> {
        let framed = BodyWriter.frame(piece, as: framing, frames: self.frames)
        let body = framed.before.count + piece.data + framed.after.count
        if headBytes > 0, body <= Self.smallBody, headBytes + body <= self.head.count, let base = self.head.baseAddress
        {
            var end = base + headBytes
            if let before = framed.before.baseAddress {
                end.copyMemory(from: before, byteCount: framed.before.count)
                end += framed.before.count
            }
            if let data, piece.data > 0 {
                end.copyMemory(from: data, byteCount: piece.data)
                end += piece.data
            }
            if let after = framed.after.baseAddress { end.copyMemory(from: after, byteCount: framed.after.count) }
            self.pieces[0] = iovec(iov_base: base, iov_len: headBytes + body)
            return UnsafeMutableBufferPointer(rebasing: self.pieces[0..<1])
        }
        var count = 0
        if headBytes > 0 {
            self.pieces[count] = iovec(iov_base: self.head.baseAddress, iov_len: headBytes)
            count += 1
        }
        if framed.before.count > 0 {
            self.pieces[count] = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: framed.before.baseAddress), iov_len: framed.before.count)
            count += 1
        }
        if piece.data > 0 {
            self.pieces[count] = iovec(iov_base: UnsafeMutableRawPointer(mutating: data), iov_len: piece.data)
            count += 1
        }
        if framed.after.count > 0 {
            self.pieces[count] = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: framed.after.baseAddress), iov_len: framed.after.count)
            count += 1
        }
        return UnsafeMutableBufferPointer(rebasing: self.pieces[0..<count])
    }
}
