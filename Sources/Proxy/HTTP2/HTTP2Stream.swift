import HTTPWire
import Reactor

/// What a connection holds for one stream, beside what its session knows: the same for a client's and an endpoint's. Its queues are
/// empty, and own nothing, while both sides keep up.
struct HTTP2Stream {
    /// 0: the slot is free.
    var identifier: UInt32 = 0
    var exchange: Reference<Exchange>?

    // In: a client's request, an endpoint's answer.
    /// The exchange was told that a body comes.
    var hasBody = false
    /// Body bytes that have nowhere to go yet: at most the stream's window.
    var inbound = ByteQueue()
    /// The trailers behind them.
    var trailers = KeptTrailers()
    /// The body's end has come; and has been passed on.
    var hasEnd = false
    var hasGivenEnd = false
    /// Bytes that were passed on and may still wait for the other side's kernel.
    var lent = 0
    /// The exchange takes body bytes again.
    var wantsBody = false

    /// A WebSocket was asked for, of an HTTP/1 endpoint with this key; and is open.
    var webSocket: WebSocketKey?
    var isTunnel = false
    /// What answers the key that an HTTP/1 client, or a client's side of this process, has sent with its wish.
    var webSocketAnswer: [UInt8]?

    // Out: the other one.
    /// Body bytes that a window or the socket holds back.
    var outbound = ByteQueue()
    var outboundTrailers = ByteQueue()
    /// Bytes that went since its exchange last heard that they are taken.
    var moved = 0
    /// END_STREAM follows behind them.
    var endsOutput = false
    /// It was held back: its exchange waits to hear that it is clear.
    var isBlocked = false
    /// When a window that is too small to be worth a frame is used all the same; 0: none is.
    var dribblesAt: UInt64 = 0
    /// It has no exchange: what is left goes out, at the latest by then. 0: it has, or had, one.
    var leavesAt: UInt64 = 0

    /// Frames that had come when it was opened, and when that was.
    var framesBefore: UInt64 = 0
    var openedAt: UInt64 = 0

    /// All that was given for the peer has gone as far as its connection.
    var isClear: Bool { self.outbound.isEmpty && !self.endsOutput }

    mutating func clear(pool: inout BufferPool) {
        self.inbound.clear(pool: &pool)
        self.trailers.clear(pool: &pool)
        self.outbound.clear(pool: &pool)
        self.outboundTrailers.clear(pool: &pool)
        self = HTTP2Stream()
    }
}

/// What a carrier has put off, and where it goes on.
struct HTTP2Pace {
    /// Held input that nothing has looked at.
    var hasUntried = false
    /// Held input is being used in place: its memory must stay.
    var isParsing = false
    /// A window or the socket has opened: streams that were held back may go on.
    var canSend = false
    /// The socket has: every exchange may.
    var hasCleared = false
    /// Within `resume`: what is wanted is done, or found, at its end.
    var isResuming = false
    /// The stream that is served first in the next pass.
    var nextSlot = 0
    /// Held bytes that went; and those of them, since exchanges last heard so, for which less urgent streams were passed over.
    var sent = 0
    var passedOver = 0
    /// The one that hears first that the socket is clear.
    var nextTold = 0
    /// Acknowledgements and resets: of this turn, and those that the kernel has not taken.
    var answers = 0
    var unsentAnswers = 0
    /// Bytes that a client's kernel had not acknowledged when its deadline was last looked at.
    var unacknowledged = 0
    /// Frames that came.
    var frames: UInt64 = 0
    /// When a stream's own deadline is due: one of its windows is used although it is small, or it has had long enough.
    var streamsDue = UInt64.max
}
