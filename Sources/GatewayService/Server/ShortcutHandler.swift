import NIOCore

/// What the handlers of one connection know together. Lives on its event loop.
final class ConnectionState {
    /// Requests passed on whose answers have not left yet. Only when there are none may an answer overtake.
    var outstanding = 0
}

@available(*, unavailable)
extension ConnectionState: Sendable {}

/// Stands between the socket and the HTTP codec: answers what is kept with bytes made before, and passes on the rest.
///
/// Whole requests without bodies are passed on one at a time, so that the codec holds no part of a request when the next one
/// comes. What is not so simple (bodies, requests sent before the last one is answered, what is no HTTP) switches the short
/// cut off for the rest of the connection. Also closes the connection when it is idle, and closes no connection whose last
/// answer has not gone out.
final class ShortcutHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The longest beginning of a head that is kept here; the codec has its own limit.
    private static let heldLimit = 16 * 1024

    /// nil when every request has to be seen by those behind.
    private let answers: LoopAnswers?
    private let state: ConnectionState
    private let idleTimeout: TimeAmount
    private var isOff = false
    /// Whether this turn's bytes are of interest to the handlers behind.
    private var didPassOn = false
    /// The beginning of a head.
    private var held: ByteBuffer?
    private var lastActivity = NIODeadline.now()
    private var idleCheck: Scheduled<Void>?
    /// What waited to be sent when the connection was last found idle.
    private var unsent = 0

    init(_ answers: LoopAnswers?, _ state: ConnectionState, idleTimeout: TimeAmount) {
        self.answers = answers
        self.state = state
        self.idleTimeout = idleTimeout
        isOff = answers == nil
    }

    func handlerAdded(context: ChannelHandlerContext) {
        scheduleIdleCheck(context, in: idleTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        idleCheck = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastActivity = .now()
        guard !isOff, let answers else {
            didPassOn = true
            return context.fireChannelRead(data)
        }
        var buffer = unwrapInboundIn(data)
        if var begun = held.take() {
            begun.writeBuffer(&buffer)
            buffer = begun
        }
        var didWrite = false
        while buffer.readableBytes > 0 {
            switch RequestPeek.look(buffer.readableBytesSpan, from: 0) {
            case .request(let length, let target, let isPlain):
                if isPlain, state.outstanding == 0,
                    let response = answers.response(to: buffer.readableBytesSpan, target: target)
                {
                    buffer.moveReaderIndex(forwardBy: length)
                    context.write(wrapOutboundOut(response), promise: nil)
                    didWrite = true
                } else if state.outstanding == 0, let request = buffer.readSlice(length: length) {
                    didPassOn = true
                    context.fireChannelRead(wrapInboundOut(request))
                } else {
                    turnOff(context, &buffer)
                }
            case .incomplete where buffer.readableBytes < Self.heldLimit && state.outstanding == 0:
                held = buffer
                buffer = ByteBuffer()
            case .incomplete, .unclear:
                turnOff(context, &buffer)
            }
        }
        if didWrite { context.flush() }
    }

    private func turnOff(_ context: ChannelHandlerContext, _ buffer: inout ByteBuffer) {
        isOff = true
        didPassOn = true
        context.fireChannelRead(wrapInboundOut(buffer))
        buffer = ByteBuffer()
    }

    private func passOnHeld(_ context: ChannelHandlerContext) {
        guard let begun = held.take() else { return }
        isOff = true
        context.fireChannelRead(wrapInboundOut(begun))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard didPassOn else { return }
        didPassOn = false
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        passOnHeld(context)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { passOnHeld(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        lastActivity = .now()
        context.write(data, promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all, unsentBytes(context) > 0 else { return context.close(mode: mode, promise: promise) }
        // Closing would throw away what waits to be sent. An empty write ends when everything before it has gone out.
        let sent = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        sent.futureResult.whenComplete { _ in bound.value.close(mode: mode, promise: promise) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    private func unsentBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    private func scheduleIdleCheck(_ context: ChannelHandlerContext, in time: TimeAmount) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        idleCheck = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            let (handler, context) = bound.value
            handler.checkIdle(context)
        }
    }

    private func checkIdle(_ context: ChannelHandlerContext) {
        let quiet = NIODeadline.now() - lastActivity
        if quiet < idleTimeout { return scheduleIdleCheck(context, in: idleTimeout - quiet) }
        // Nothing said, but perhaps something is being made, or taken slowly.
        let left = unsentBytes(context)
        if state.outstanding > 0 || left > 0 && left != unsent {
            unsent = left
            return scheduleIdleCheck(context, in: idleTimeout)
        }
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension ShortcutHandler: Sendable {}
