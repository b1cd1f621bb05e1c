import NIOCore
import NIOHTTP1

/// Counts the requests of a connection that are under way, answers from the cache what the byte-level short cut leaves,
/// says in one form whether the connection is to end and ends it after a last response, asks for bodies that wait to be asked
/// for, and refuses what takes too long.
final class ExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let answers: KeptAnswers
    private let state: ConnectionState
    private let limits: ConnectionLimits
    /// The answer to the request being read, once its head has found one.
    private var kept: (reply: Reply, head: HTTPRequestHead)?
    /// The process is about to end, and has said so in the response that is being written.
    private var isLast = false
    /// The client's last request has come: what it sends after that is nobody's.
    private var isClosing = false
    /// The request being read is one that comes after the last.
    private var isDropping = false
    /// The head of a response has left, its end has not.
    private var isAnswering = false
    /// A client waits to be asked for its body.
    private var owesContinue = false
    /// What came was no HTTP.
    private var isBroken = false
    /// What is said of that is not sent: the connection ends without another word.
    private var isHushed = false
    private var isStopping = false
    /// A piece of a body, until it is known what comes after it: the last one leaves together with the end, so that a client
    /// that has the whole answer finds the next one's turn come.
    private var piece: (data: NIOAny, promise: EventLoopPromise<Void>?)?
    private var bodyTimer: Scheduled<Void>?

    init(_ answers: KeptAnswers, _ state: ConnectionState, _ limits: ConnectionLimits) {
        self.answers = answers
        self.state = state
        self.limits = limits
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        bodyTimer?.cancel()
        bodyTimer = nil
        piece.take()?.promise?.fail(ChannelError.ioOnClosedChannel)
    }

    // MARK: requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        state.parts += 1
        switch unwrapInboundIn(data) {
        case .head(var head):
            state.heads += 1
            state.isReading = true
            isDropping = isClosing
            if isDropping { return }
            if state.outstanding == 0, context.channel.isWritable, let reply = answers.reply(to: head) {
                kept = (reply, head)
                return
            }
            state.outstanding += 1
            if head.isLast {
                isClosing = true
                state.isEnding = true
                // The only form that those behind know, and all that tells them of an old version.
                head.headers.replaceOrAdd(name: "Connection", value: "close")
            }
            if head.expectsContinue { askForBody(context) }
            context.fireChannelRead(wrapInboundOut(.head(head)))
        case .body:
            if kept == nil, !isDropping { context.fireChannelRead(data) }
        case .end:
            end(context, data)
        }
    }

    private func end(_ context: ChannelHandlerContext, _ data: NIOAny) {
        state.isReading = false
        owesContinue = false
        bodyTimer?.cancel()
        bodyTimer = nil
        if isDropping { return }
        guard let (reply, head) = kept.take() else { return context.fireChannelRead(data) }
        context.write(wrapOutboundOut(.head(answers.head(of: reply, to: head))), promise: nil)
        guard head.method == .GET, let body = reply.body else {
            return context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
        let isWatched = body.lease != nil && body.count >= Connections.watchedBody
        if isWatched { context.triggerUserOutboundEvent(BodyBegins(), promise: nil) }
        // Shared by all who send it: a client that is slow holds no memory of its own.
        for piece in body.pieces { context.write(wrapOutboundOut(.body(.byteBuffer(piece))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if isWatched { context.triggerUserOutboundEvent(BodyEnds(body: body), promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if state.isReading, bodyTimer == nil { limitBody(context, isStopping ? limits.lastBody : limits.body) }
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError {
            isBroken = true
            state.isEnding = true
        }
        context.fireErrorCaught(error)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let refusal = event as? Refusal { return refuse(context, refusal) }
        if event is ChannelShouldQuiesceEvent {
            isStopping = true
            // Who has not sent a whole request by now must not keep the process.
            if let timer = bodyTimer.take() {
                timer.cancel()
                limitBody(context, limits.lastBody)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: what takes too long

    private func limitBody(_ context: ChannelHandlerContext, _ time: TimeAmount) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        bodyTimer = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            let (handler, context) = bound.value
            // Nothing is read meanwhile: what is missing may be waiting to be.
            guard context.channel.isWritable else { return handler.limitBody(context, time) }
            handler.bodyTimer = nil
            handler.refuse(context, .timeout)
        }
    }

    /// Ends the connection, and says why where there is room for an answer.
    private func refuse(_ context: ChannelHandlerContext, _ refusal: Refusal) {
        let status: HTTPResponseStatus =
            switch refusal {
            case .timeout: .requestTimeout
            case .tooLong: .requestHeaderFieldsTooLarge
            case .busy: .serviceUnavailable
            }
        let isFree = state.outstanding == (state.isReading ? 1 : 0) && !isAnswering
        if isFree, !isBroken, state.isReading || !isClosing {
            answers.ledger.record(refusal: status)
            var fields: HTTPHeaders = ["Content-Length": "0", "Connection": "close"]
            if refusal == .busy { fields.add(name: "Retry-After", value: "2") }
            let head = HTTPResponseHead(version: .http1_1, status: status, headers: fields)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
        isClosing = true
        state.isEnding = true
        context.close(promise: nil)
    }

    // MARK: responses

    /// Now, or after the answers that go before this one's.
    private func askForBody(_ context: ChannelHandlerContext) {
        owesContinue = state.outstanding > 1
        guard !owesContinue else { return }
        let head = HTTPResponseHead(version: .http1_1, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            // Every answer of ours has a date; what is said of broken input has none.
            if isBroken, head.status == .badRequest, !head.headers.contains(name: "Date") {
                // A request whose answer went before its body was read has had it.
                isHushed = state.isReading && state.outstanding == 0
                if isHushed { promise?.succeed(); return }
                answers.ledger.record(refusal: .badRequest)
            }
            isAnswering = true
            // Said because the process is about to end: nobody behind this handler does anything about it.
            isLast = !answers.isOpen && head.headers["Connection"].contains("close")
            context.write(data, promise: promise)
        case .body:
            writePiece(context)
            piece = (data, promise)
        case .end:
            if isHushed { promise?.succeed(); return }
            writePiece(context)
            isAnswering = false
            if state.outstanding > 0 { state.outstanding -= 1 }
            context.write(data, promise: promise)
            if owesContinue, state.outstanding == 1 { askForBody(context) }
            guard isLast, state.outstanding == 0 else { return }
            context.flush()
            context.close(promise: nil)
        }
    }

    private func writePiece(_ context: ChannelHandlerContext) {
        guard let (data, promise) = piece.take() else { return }
        context.write(data, promise: promise)
    }
}

@available(*, unavailable)
extension ExchangeHandler: Sendable {}

extension HTTPRequestHead {
    /// Whether the client wants the connection to end after this request, or is too old to have it kept without a word. Also
    /// when it asks for another protocol (RFC 9110, sections 7.8 and 9.3.6): none is spoken here, and the codec reads nothing
    /// that follows.
    fileprivate var isLast: Bool {
        if method == .CONNECT || asksForUpgrade { return true }
        var isKept = false
        for value in headers["Connection"] {
            for option in value.split(separator: ",") {
                let option = option.trimming { $0 == " " || $0 == "\t" }.utf8
                if option.lowercasedEquals("close") { return true }
                if option.lowercasedEquals("keep-alive") { isKept = true }
            }
        }
        return version.minor == 0 && !isKept
    }

    /// In every form in which the codec could take it for one.
    private var asksForUpgrade: Bool {
        headers.contains(name: "Upgrade") && headers["Connection"].contains { $0.lowercased().contains("upgrade") }
    }

    fileprivate var expectsContinue: Bool {
        version == .http1_1 && headers["Expect"].contains { $0.utf8.lowercasedEquals("100-continue") }
    }
}

extension Substring {
    fileprivate func trimming(_ isBlank: (Character) -> Bool) -> Substring {
        var rest = drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return rest
    }
}
