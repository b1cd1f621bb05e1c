import NIOCore
import NIOHTTP1

/// Keeps the deadlines and bounds of one connection: whatever the client does, every wait ends, and it can make us read no
/// more than one head and one body over their limits.
final class AdminExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// What the running deadline is for.
    private enum Wait {
        case head
        case body
        case answer
        case idle
        case linger
    }

    private let limits: AdminLimits
    private let connections: AdminConnections
    private var wait: Wait?
    private var timer: Scheduled<Void>?
    /// Requests whose answers have not left yet.
    private var outstanding = 0
    /// A request's head has come, its end has not.
    private var isReading = false
    /// An answer's head has left, its end has not.
    private var isAnswering = false
    /// The answer under way goes on for as long as its client takes it.
    private var isStreaming = false
    private var headBytes = 0
    private var bodyBytes = 0
    /// The client's bytes are dropped from now on, and the connection ends behind the answers that are owed.
    private var isLast = false
    private var isLingering = false

    init(limits: AdminLimits, connections: AdminConnections) {
        self.limits = limits
        self.connections = connections
    }

    func channelActive(context: ChannelHandlerContext) {
        self.arm(.head, context)
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = nil
    }

    // MARK: requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isLast else { return }
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.outstanding += 1
            self.isReading = true
            self.headBytes = 0
            self.bodyBytes = 0
            self.connections.setBusy(context.channel)
            self.arm(.body, context)
            context.fireChannelRead(data)
            // What is announced as too large need not come to be refused.
            if let length = head.headers.first(name: "Content-Length").flatMap({ Int($0) }),
                length > self.limits.bodyBytes
            {
                self.refuseRest(context)
            }
        case .body(let bytes):
            self.bodyBytes += bytes.readableBytes
            // The one that goes over the limit is passed on, so that whoever reads the body sees it.
            context.fireChannelRead(data)
            if self.bodyBytes > self.limits.bodyBytes { self.refuseRest(context) }
        case .end:
            self.isReading = false
            context.fireChannelRead(data)
            self.settle(context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let arrived = event as? BytesArrived {
            if self.wait == .idle { self.arm(.head, context) }
            if self.wait == .head {
                self.headBytes += arrived.count
                if self.headBytes > 2 * self.limits.headBytes { self.refuse(context, .requestHeaderFieldsTooLarge) }
            }
            return
        }
        if self.isLingering, let event = event as? ChannelEvent, event == .inputClosed {
            context.close(promise: nil)
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func refuseRest(_ context: ChannelHandlerContext) {
        self.isLast = true
        self.isReading = false
        if self.outstanding == 0 { self.linger(context) } else { self.arm(.answer, context) }
    }

    // MARK: answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch self.unwrapOutboundIn(data) {
        case .head(var head):
            self.isAnswering = true
            self.isStreaming = head.headers.first(name: "Content-Type") == EventStream.contentType
            // Refused before its body has come: the rest is not waited for, which would hold one of few places meanwhile.
            if self.isReading, head.status.code >= 200 {
                self.isLast = true
                self.isReading = false
            }
            if self.isLast { head.headers.replaceOrAdd(name: "Connection", value: "close") }
            context.write(self.wrapOutboundOut(.head(head)), promise: promise)
        case .body where self.isStreaming:
            let written = promise ?? context.eventLoop.makePromise()
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            // Each part that is taken is an answer of its own to the deadline.
            written.futureResult.assumeIsolated().whenSuccess {
                let (handler, context) = bound.value
                if handler.isStreaming, handler.wait == .answer { handler.arm(.answer, context) }
            }
            context.write(data, promise: written)
        case .body:
            context.write(data, promise: promise)
        case .end:
            self.isAnswering = false
            self.isStreaming = false
            let written = promise ?? context.eventLoop.makePromise()
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            written.futureResult.assumeIsolated().whenSuccess {
                let (handler, context) = bound.value
                handler.answered(context)
            }
            context.write(data, promise: written)
        }
    }

    /// The client's kernel has taken an answer.
    private func answered(_ context: ChannelHandlerContext) {
        if self.outstanding > 0 { self.outstanding -= 1 }
        if self.outstanding == 0, self.isLast { return self.linger(context) }
        self.settle(context)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output {
            self.isLast = true
            self.isLingering = true
            self.arm(.linger, context)
        }
        context.close(mode: mode, promise: promise)
    }

    // MARK: deadlines

    /// Lets the deadline run that the connection's state asks for.
    private func settle(_ context: ChannelHandlerContext) {
        guard !self.isLingering, !self.isReading else { return }
        if self.outstanding > 0 { return self.arm(.answer, context) }
        self.connections.setIdle(context.channel)
        self.arm(.idle, context)
    }

    private func arm(_ wait: Wait, _ context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.wait = wait
        let time =
            switch wait {
            case .head: self.limits.head
            case .body: self.limits.body
            case .answer: self.limits.answer
            case .idle: self.limits.idle
            case .linger: self.limits.linger
            }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            let (handler, context) = bound.value
            handler.expire(wait, context)
        }
    }

    private func expire(_ wait: Wait, _ context: ChannelHandlerContext) {
        switch wait {
        case .head where self.headBytes > 0, .body: self.refuse(context, .requestTimeout)
        case .head, .idle, .answer, .linger: context.close(promise: nil)
        }
    }

    /// Ends the connection, and says why where there is room for an answer.
    private func refuse(_ context: ChannelHandlerContext, _ status: HTTPResponseStatus) {
        guard self.outstanding == (self.isReading ? 1 : 0), !self.isAnswering else {
            return context.close(promise: nil)
        }
        let head = HTTPResponseHead(
            version: .http1_1, status: status, headers: ["Content-Length": "0", "Connection": "close"])
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
        self.linger(context)
    }

    private func linger(_ context: ChannelHandlerContext) {
        guard !self.isLingering else { return }
        self.isLast = true
        self.isLingering = true
        // Whoever comes next may have its place.
        self.connections.setIdle(context.channel)
        self.arm(.linger, context)
        context.close(mode: .output, promise: nil)
    }
}

@available(*, unavailable)
extension AdminExchangeHandler: Sendable {}
