import NIOCore

/// Stands before TLS: whoever begins with something else is told so in words that a client of plain HTTP reads, before it sends
/// more, and the connection ends.
final class PlainRequestHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The first byte of TLS: a record of a handshake (RFC 8446 5.1).
    private static let handshake: UInt8 = 22
    private enum State { case first, passing, over }
    private var state = State.first

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.state {
        case .over: return
        case .passing: return context.fireChannelRead(data)
        case .first: break
        }
        let bytes = self.unwrapInboundIn(data)
        guard let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else { return }
        guard first != Self.handshake else {
            self.state = .passing
            return context.fireChannelRead(data)
        }
        self.state = .over
        let body = "This port speaks TLS: use https.\n"
        let answer = context.channel.allocator.buffer(
            string: "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: "
                + "\(body.utf8.count)\r\n\r\n\(body)")
        context.writeAndFlush(self.wrapOutboundOut(answer), promise: nil)
        context.close(promise: nil)
    }
}

/// Stands where TLS should, while there is no certificate to show: nothing is read, and the connection ends. Thrown instead, it
/// would end the listener.
final class DeafHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}

@available(*, unavailable)
extension PlainRequestHandler: Sendable {}

@available(*, unavailable)
extension DeafHandler: Sendable {}
