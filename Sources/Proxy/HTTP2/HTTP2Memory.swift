import Glibc
import HTTP2
import HTTPWire

/// Memory that all HTTP/2 connections of one worker share, each piece for one thing at a time.
///
/// - `request`: where the fields of a request, or of an answer, become a head, until its exchange has taken it.
/// - `block`: where an answer's fields are compressed, up to their frame.
/// - `control`: control frames of one event.
/// - `pieces`, `headers`: what one write of DATA sends, and the frames' own bytes in it.
struct HTTP2Memory: ~Copyable {
    /// DATA frames of one write.
    static let framesPerWrite = 16

    private(set) var request: UnsafeMutableRawBufferPointer
    private(set) var block: UnsafeMutableRawBufferPointer
    let control: UnsafeMutableRawBufferPointer
    let headers: UnsafeMutableRawBufferPointer
    let pieces: UnsafeMutableBufferPointer<iovec>
    /// The three digits of a status.
    let status: UnsafeMutableRawBufferPointer
    var fields = FieldArray(capacity: 128)

    /// `request` and `block` have no room before `grow`.
    init() {
        self.request = .allocate(byteCount: 0, alignment: 64)
        self.block = .allocate(byteCount: 0, alignment: 64)
        self.control = .allocate(byteCount: FrameWriter.controlRoom, alignment: 64)
        self.headers = .allocate(byteCount: Self.framesPerWrite * FrameReader.headerSize, alignment: 64)
        self.pieces = .allocate(capacity: 2 * Self.framesPerWrite + 1)
        self.pieces.initialize(repeating: iovec())
        self.status = .allocate(byteCount: 3, alignment: 8)
    }

    deinit {
        self.request.deallocate()
        self.block.deallocate()
        self.control.deallocate()
        self.headers.deallocate()
        self.pieces.deallocate()
        self.status.deallocate()
    }

    /// Makes room for heads as large as the table in force allows. `headRoom`: bytes
    /// that a head may take with what routes add.
    mutating func grow(headLimit: Int, answerLimit: Int, headRoom: Int) {
        let needed = max(RequestFields.room(limit: headLimit), AnswerFields.room(limit: answerLimit))
        if self.request.count < needed {
            self.request.deallocate()
            self.request = .allocate(byteCount: needed, alignment: 64)
        }
        if self.block.count < headRoom {
            self.block.deallocate()
            self.block = .allocate(byteCount: headRoom, alignment: 64)
        }
    }
}
