import Glibc
import NIOCore

/// Stands between the socket and the HTTP codec: answers what is kept with bytes made before, and passes on the rest.
///
/// Whole requests without bodies are passed on one at a time, so that the codec holds no part of a request when the next one
/// comes. What is not so simple (bodies, requests sent before the last one is answered, what is no HTTP) switches the short
/// cut off for the rest of the connection.
///
/// While answers wait to be taken nothing is read, and what has been read is held: a client that asks and asks without reading
/// fills nobody's memory but its own. An answer that nothing has to wait for goes to the kernel past the channel: its queue of
/// writes costs more than all the rest. Also closes the connection when it is idle or its head takes too long, and closes no
/// connection whose last answer has not gone out.
final class ShortcutHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The longest beginning of a head that is kept here; the codec has its own limit.
    private static let heldLimit = 16 * 1024
    /// How much is given to the codec at a time, so that what it holds is known well enough.
    private static let portion = 16 * 1024
    /// The most that the codec holds of a head, of trailers, or of what stands between a body's chunks.
    private static let codecLimit = 80 * 1024
    /// What the codec's copies of so much take.
    private static let codecMemory = 3 * codecLimit

    /// nil when every request has to be seen by those behind.
    private let answers: LoopAnswers?
    private let connections: LoopConnections
    private let state: ConnectionState
    private let limits: ConnectionLimits
    private var isOff = false
    /// The connection is about to end: whatever still comes is nobody's.
    private var isRefused = false
    /// It has been ended to make room. The channel leaves us a turn later.
    private var isCut = false
    /// nil until the channel is open, and for a channel that has none.
    private var socket: ChannelSocket?
    /// The channel may have something to send, which what goes past it must not overtake.
    private var mayWait = false
    /// This turn's bytes were a request whose answer has gone to the kernel.
    private var didAnswer = false
    /// Whether this turn's bytes are of interest to the handlers behind.
    private var didPassOn = false
    /// The beginning of a head, or what waits for answers to be taken.
    private var held: ByteBuffer?
    /// Something was answered by the short cut.
    private var hasShortcut = false
    /// A write or a flush may call back before it returns.
    private var isWorking = false
    /// Somebody behind wants to read while nothing is read.
    private var wantsRead = false
    /// The client has sent its last, and those behind have not been told.
    private var isInputClosed = false
    private(set) var lastActivity = NIODeadline.now()
    /// What the codec has been given that has made no part of a request yet, in bytes.
    private var unread = 0
    /// The memory for it, once it is much.
    private var headLease: MemoryLease?
    /// Large bodies that have not gone out, and whose memory is held as long.
    private var sending = 0
    /// What waits to be sent is looked at until it has gone out.
    private var isWatched = false
    /// How much the channel has been given to send, in bytes.
    private var given = 0
    /// How much of it had gone out when that was looked at last, and when there was more of it than before.
    private var taken = 0
    private(set) var lastTaken = NIODeadline.now()
    private var context: ChannelHandlerContext?
    private var idleCheck: Scheduled<Void>?
    private var headTimer: Scheduled<Void>?
    /// What waited to be sent when the connection was last found idle.
    private var unsent = 0

    init(
        _ answers: LoopAnswers?, _ connections: LoopConnections, _ state: ConnectionState, _ limits: ConnectionLimits
    ) {
        self.answers = answers
        self.connections = connections
        self.state = state
        self.limits = limits
        isOff = answers == nil
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        scheduleIdleCheck(context, in: limits.idle)
        if context.channel.isActive { open(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        open(context)
        context.fireChannelActive()
    }

    private func open(_ context: ChannelHandlerContext) {
        socket = ChannelSocket(context)
        if !connections.open(self) { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        connections.close(self)
        self.context = nil
        socket = nil
        headLease = nil
        idleCheck?.cancel()
        idleCheck = nil
        endHeadTimer()
        held = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastActivity = .now()
        unsent = 0
        if isRefused { return }
        var buffer = unwrapInboundIn(data)
        if held == nil, answer(buffer, context) { return }
        if held?.writeBuffer(&buffer) == nil { held = buffer }
        work(context)
    }

    /// Answers bytes that are, from the first to the last, those of a request that was answered in this second.
    private func answer(_ request: ByteBuffer, _ context: ChannelHandlerContext) -> Bool {
        guard !isOff, !isWorking, !state.isEnding, state.outstanding == 0, !state.isReading,
            let socket, let answers, isClear(context),
            let response = answers.response(toKnown: request.readableBytesSpan, at: lastActivity)
        else { return false }
        hasShortcut = true
        didAnswer = send(response, past: socket, context)
        return true
    }

    /// Sends an answer past the channel, and what the kernel does not take through it.
    ///
    /// - Returns: whether the kernel has taken all.
    private func send(
        _ answer: KeptAnswers.Ready, past socket: ChannelSocket, _ context: ChannelHandlerContext
    ) -> Bool {
        let sent: Int
        if let body = answer.body {
            sent = socket.send(answer.bytes, body.pieces)
            if sent == answer.bytes.readableBytes + body.count { return true }
        } else {
            sent = socket.send(answer.bytes)
            if sent == answer.bytes.readableBytes { return true }
        }
        give(answer, from: sent, context)
        context.flush()
        settle(context)
        return false
    }

    /// Hands an answer to the channel's queue of writes, without its first `sent` bytes. A large body's memory is held until
    /// the last byte has gone out.
    private func give(_ answer: KeptAnswers.Ready, from sent: Int, _ context: ChannelHandlerContext) {
        var passed = sent
        func give(_ part: ByteBuffer) {
            guard passed < part.readableBytes else { return passed -= part.readableBytes }
            var rest = part
            rest.moveReaderIndex(forwardBy: passed)
            passed = 0
            self.give(rest, context)
        }
        give(answer.bytes)
        guard let body = answer.body else { return }
        // Shared by all who send it: a client that is slow holds no memory of its own.
        for piece in body.pieces { give(piece) }
        guard body.lease != nil else { return }
        sending += 1
        watch(context)
        hold(body, context)
    }

    /// Lets a body go when everything that was given to the channel until now has gone out.
    private func hold(_ body: Body, _ context: ChannelHandlerContext) {
        let sent = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        sent.futureResult.whenComplete { _ in
            withExtendedLifetime(body) { bound.value.hasSent() }
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    /// Whether the channel has nothing to send.
    private func isClear(_ context: ChannelHandlerContext) -> Bool {
        if mayWait { mayWait = unsentBytes(context) > 0 }
        return !mayWait
    }

    /// Answers or passes on what is held, as far as answers are being taken.
    private func work(_ context: ChannelHandlerContext) {
        guard !isWorking, var buffer = held.take() else { return }
        isWorking = true
        defer { isWorking = false }
        var didWrite = false
        work: while buffer.readableBytes > 0 {
            if !context.channel.isWritable {
                // Perhaps the socket takes it all at once.
                if didWrite { context.flush() }
                didWrite = false
                guard context.channel.isWritable else { break }
            }
            guard !isOff, let answers else {
                passOn(context, buffer)
                buffer = ByteBuffer()
                break
            }
            switch RequestPeek.look(buffer.readableBytesSpan, from: 0) {
            case .request(let length, let target, let isPlain, let accepted, let origin):
                endHeadTimer()
                if isPlain, !state.isEnding, state.outstanding == 0, !state.isReading,
                    let response = answers.response(
                        to: buffer.readableBytesSpan, length: length, target: target, accepting: accepted,
                        from: origin)
                {
                    buffer.moveReaderIndex(forwardBy: length)
                    hasShortcut = true
                    // Alone it goes past the channel; of many that come together, one call sends all.
                    if !didWrite, buffer.readableBytes == 0, let socket, isClear(context) {
                        // Whoever had begun this request before was at work until now.
                        if send(response, past: socket, context) { settle(context) }
                    } else {
                        give(response, from: 0, context)
                        didWrite = true
                    }
                } else if state.outstanding == 0, let request = buffer.readSlice(length: length) {
                    passOn(context, request)
                } else {
                    isOff = true
                }
            case .incomplete where buffer.readableBytes < Self.heldLimit && state.outstanding == 0:
                beginHeadTimer(context)
                break work
            case .incomplete, .unclear:
                isOff = true
            }
        }
        if buffer.readableBytes > 0 { held = buffer }
        if didWrite { context.flush() }
        // Also where the socket became full in the middle, and what was written has been flushed already.
        if didWrite || !context.channel.isWritable { settle(context) }
    }

    /// Hands bytes to the channel's queue of writes.
    private func give(_ bytes: ByteBuffer, _ context: ChannelHandlerContext, promise: EventLoopPromise<Void>? = nil) {
        given += bytes.readableBytes
        mayWait = true
        context.write(wrapOutboundOut(bytes), promise: promise)
    }

    /// After something was sent or read: what the kernel has not taken is watched, and who has nothing to do says so.
    private func settle(_ context: ChannelHandlerContext) {
        if !isClear(context) { return watch(context) }
        if !isWatched, state.outstanding == 0, !state.isReading, headTimer == nil { connections.rests(self) }
    }

    /// Those behind tell whether this is the middle of a head: no request is under way, and none begins with it.
    private func passOn(_ context: ChannelHandlerContext, _ buffer: ByteBuffer) {
        var rest = buffer
        while let portion = rest.readSlice(length: min(rest.readableBytes, Self.portion)), portion.readableBytes > 0 {
            guard isRoom(for: portion.readableBytes, context) else { return }
            didPassOn = true
            let (heads, parts) = (state.heads, state.parts)
            let isBetween = !state.isReading
            context.fireChannelRead(wrapInboundOut(portion))
            if isBetween, heads == state.heads { beginHeadTimer(context) } else { endHeadTimer() }
            if parts == state.parts {
                unread += portion.readableBytes
            } else {
                unread = 0
                headLease = nil
            }
        }
    }

    /// Whether the codec may hold so much more; else the connection ends.
    private func isRoom(for count: Int, _ context: ChannelHandlerContext) -> Bool {
        if isRefused { return false }
        if unread + count > Self.codecLimit { return refuse(context, .tooLong) }
        guard unread >= Self.portion, headLease == nil else { return true }
        headLease = connections.budget.leaseNow(Self.codecMemory)
        return headLease != nil || refuse(context, .busy)
    }

    private func refuse(_ context: ChannelHandlerContext, _ refusal: Refusal) -> Bool {
        isRefused = true
        endHeadTimer()
        context.fireUserInboundEventTriggered(refusal)
        return false
    }

    private func passOnRest(_ context: ChannelHandlerContext) {
        isOff = true
        guard let rest = held.take() else { return }
        passOn(context, rest)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if didAnswer {
            didAnswer = false
            // Without the way through those behind, who have heard nothing of it and wait for nothing.
            context.read()
        }
        guard didPassOn else { return }
        didPassOn = false
        context.fireChannelReadComplete()
        settle(context)
    }

    func read(context: ChannelHandlerContext) {
        if context.channel.isWritable { context.read() } else { wantsRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !isWorking {
            work(context)
            if context.channel.isWritable {
                if isInputClosed { closeInput(context) }
                if wantsRead {
                    wantsRead = false
                    context.read()
                }
            }
            channelReadComplete(context: context)
        }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        passOnRest(context)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        isInputClosed = true
        // What is held may be requests whose turn comes when answers are taken again.
        if context.channel.isWritable || held == nil { closeInput(context) }
    }

    private func closeInput(_ context: ChannelHandlerContext) {
        isInputClosed = false
        passOnRest(context)
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        lastActivity = .now()
        // There is more to be sent than was known of.
        unsent = 0
        give(unwrapOutboundIn(data), context, promise: promise)
    }

    func flush(context: ChannelHandlerContext) {
        context.flush()
        settle(context)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .all { isRefused = true }
        guard mode == .all, unsentBytes(context) > 0 else { return context.close(mode: mode, promise: promise) }
        // Closing would throw away what waits to be sent. An empty write ends when everything before it has gone out.
        let sent = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        sent.futureResult.whenComplete { _ in bound.value.close(mode: mode, promise: promise) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    // MARK: giving way

    /// How much a connection is worth that another one could have the place of, the least first.
    enum Worth: Int {
        /// It has never asked for anything.
        case nothing
        /// It has stopped: it takes no more of an answer, or sends no more of a request.
        case stopped
        /// It has nothing to do now, and will have: a proxy's, or a browser's.
        case resting
    }

    /// What it is worth; nil while it is at work.
    ///
    /// - Parameter limit: what has not moved since then has stopped.
    func worth(before limit: NIODeadline) -> Worth? {
        guard let context, !isWorking, !isCut else { return nil }
        if isWatched { return lastTaken < limit ? .stopped : nil }
        if state.isReading || headTimer != nil, hasAsked { return lastActivity < limit ? .stopped : nil }
        guard state.outstanding == 0, unsentBytes(context) == 0 else { return nil }
        return hasAsked ? .resting : .nothing
    }

    /// What waits to be sent.
    var unsentBytes: Int { context.map(unsentBytes) ?? 0 }

    /// Whether it has ever asked for anything.
    private var hasAsked: Bool { state.heads > 0 || hasShortcut }

    /// Begins to look at what is taken.
    private func watch(_ context: ChannelHandlerContext) {
        guard !isWatched else { return }
        isWatched = true
        lastTaken = .now()
        taken = given - unsentBytes(context)
        connections.beginsToSend(self)
        // Of large bodies those who send them tell the end.
        if sending == 0 { awaitTaken(context) }
    }

    /// Notes whether something has been taken since the last look.
    func noteTaken() {
        guard let context else { return }
        let left = unsentBytes(context)
        if given - left > taken { lastTaken = .now() }
        taken = given - left
    }

    private func awaitTaken(_ context: ChannelHandlerContext) {
        let sent = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        sent.futureResult.whenSuccess { bound.value.endWatch() }
        // Ends when everything before it has gone out.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    /// Everything has gone out that there was to send; perhaps there is more by now.
    private func endWatch() {
        guard isWatched, sending == 0, let context else { return }
        if unsentBytes(context) > 0 { return awaitTaken(context) }
        isWatched = false
        connections.hasSent(self)
        settle(context)
    }

    /// Ends the connection at once. What the kernel still holds goes too: nobody reads it.
    func cut() {
        guard let context else { return }
        isCut = true
        // On the loop this is done before it returns.
        _ = (context.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        context.close(promise: nil)
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        switch event {
        case is BodyBegins:
            sending += 1
            watch(context)
            promise?.succeed()
        case let end as BodyEnds:
            hold(end.body, context)
            promise?.succeed()
        default: context.triggerUserOutboundEvent(event, promise: promise)
        }
    }

    private func hasSent() {
        sending -= 1
        endWatch()
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
        if quiet < limits.idle { return scheduleIdleCheck(context, in: limits.idle - quiet) }
        // Nothing said, but perhaps something is being made, or taken slowly.
        let left = unsentBytes(context)
        if left == 0 && state.outstanding > 0 || left > 0 && left != unsent {
            unsent = left
            return scheduleIdleCheck(context, in: limits.idle)
        }
        if left > 0 { cut() } else { context.close(promise: nil) }
    }

    private func beginHeadTimer(_ context: ChannelHandlerContext) {
        guard headTimer == nil else { return }
        scheduleHeadTimer(context, in: limits.head)
    }

    private func scheduleHeadTimer(_ context: ChannelHandlerContext, in time: TimeAmount) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        headTimer = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            let (handler, context) = bound.value
            // Answers go before this one's, or wait to be taken: then nothing is read.
            guard handler.state.outstanding == 0, context.channel.isWritable else {
                return handler.scheduleHeadTimer(context, in: .seconds(1))
            }
            handler.headTimer = nil
            context.fireUserInboundEventTriggered(Refusal.timeout)
        }
    }

    private func endHeadTimer() {
        headTimer?.cancel()
        headTimer = nil
    }
}

@available(*, unavailable)
extension ShortcutHandler: Sendable {}
