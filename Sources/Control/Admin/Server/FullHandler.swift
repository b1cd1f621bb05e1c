import NIOCore

/// Ends a connection that the admin API has no place for, with an answer that says so: whatever it asks, it may ask again.
final class FullHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long the client may take to read the answer, and to end what it sends.
    private let linger: TimeAmount
    private var timer: Scheduled<Void>?

    init(linger: TimeAmount) { self.linger = linger }

    func channelActive(context: ChannelHandlerContext) {
        let body = "Every connection of the admin API has a request under way. Try again.\n"
        let answer = context.channel.allocator.buffer(
            string: "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\n"
                + "Connection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        context.writeAndFlush(self.wrapOutboundOut(answer), promise: nil)
        context.close(mode: .output, promise: nil)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.linger) {
            bound.value.close(promise: nil)
        }
        context.fireChannelActive()
    }

    /// Unread bytes would make the close a reset, and take the answer away.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.timer?.cancel() }
}

@available(*, unavailable)
extension FullHandler: Sendable {}
