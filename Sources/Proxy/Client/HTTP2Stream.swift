import HTTPWire
import Reactor

/// What a connection holds for one stream, beside what its session knows. Its queues are empty, and own nothing, while both sides
/// keep up.
struct HTTP2Stream {
    /// 0: the slot is free.
    var identifier: UInt32 = 0
    var exchange: Reference<Exchange>?

    // The request.
    /// The exchange was told that a body comes.
    var hasBody = false
    /// Body bytes that have nowhere to go yet: at most the stream's window.
    var inbound = ByteQueue()
    /// The trailers behind them.
    var trailers = KeptTrailers()
    /// The body's end has come; and has been passed on.
    var hasEnd = false
    var hasGivenEnd = false
    /// Bytes that were passed on and may still wait for the upstream's kernel.
    var lent = 0
    /// The exchange takes body bytes again.
    var wantsBody = false

    /// The client has asked for a WebSocket, and the endpoint for it with this key; and has opened it.
    var webSocket: WebSocketKey?
    var isTunnel = false

    // The answer.
    /// Body bytes that a window or the socket holds back.
    var outbound = ByteQueue()
    var answerTrailers = ByteQueue()
    /// Bytes that went since its exchange last heard that the client takes its answer.
    var moved = 0
    /// END_STREAM follows behind them.
    var endsOutput = false
    /// It was held back: its exchange waits to hear that it is clear.
    var isBlocked = false

    /// All that was given for the client has gone as far as its connection.
    var isClear: Bool { self.outbound.isEmpty && !self.endsOutput }

    mutating func clear(pool: inout BufferPool) {
        self.inbound.clear(pool: &pool)
        self.trailers.clear(pool: &pool)
        self.outbound.clear(pool: &pool)
        self.answerTrailers.clear(pool: &pool)
        self = HTTP2Stream()
    }
}
