import NIOCore
import NIOHTTP1

/// Counts the requests of a connection that are under way, answers from the cache what the byte-level short cut leaves,
/// speaks HTTP/1.0 to who does, and ends the connection after a last response.
final class ExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let answers: KeptAnswers
    private let state: ConnectionState
    /// The answer to the request being read, once its head has found one.
    private var kept: (reply: Reply, head: HTTPRequestHead)?
    private var isLast = false

    init(_ answers: KeptAnswers, _ state: ConnectionState) {
        self.answers = answers
        self.state = state
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(var head):
            if state.outstanding == 0, let reply = answers.reply(to: head) {
                kept = (reply, head)
                return
            }
            state.outstanding += 1
            if head.version.minor == 0, !head.isKeepAlive {
                // The version is lost on the way up; the header says the same.
                head.headers.replaceOrAdd(name: "Connection", value: "close")
            }
            context.fireChannelRead(wrapInboundOut(.head(head)))
        case .body:
            if kept == nil { context.fireChannelRead(data) }
        case .end:
            guard let (reply, head) = kept.take() else { return context.fireChannelRead(data) }
            context.write(wrapOutboundOut(.head(answers.head(of: reply, to: head))), promise: nil)
            if head.method == .GET, let body = reply.body {
                context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            // Said because the process is about to end: nobody behind this handler does anything about it.
            isLast = !answers.isOpen && head.headers["Connection"].contains("close")
            context.write(data, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            if state.outstanding > 0 { state.outstanding -= 1 }
            context.write(data, promise: promise)
            guard isLast, state.outstanding == 0 else { return }
            context.flush()
            context.close(promise: nil)
        }
    }
}

@available(*, unavailable)
extension ExchangeHandler: Sendable {}
