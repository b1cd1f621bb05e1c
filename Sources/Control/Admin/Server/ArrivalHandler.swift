import NIOCore

/// Bytes have come from the client and are about to be decoded.
struct BytesArrived {
    var count: Int
}

/// Stands first at a connection and announces bytes to the handlers behind the decoder, which learn of a head only when it is
/// whole.
final class ArrivalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireUserInboundEventTriggered(BytesArrived(count: self.unwrapInboundIn(data).readableBytes))
        context.fireChannelRead(data)
    }
}

@available(*, unavailable)
extension ArrivalHandler: Sendable {}
