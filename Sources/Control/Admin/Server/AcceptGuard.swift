import Glibc
import NIOCore

/// Stands first at the admin API's listener. When no descriptor is free it gives one of the reserve up, and when the reserve
/// is empty it stops accepting for a while: the event loop would report the waiting connection again without end.
final class AcceptGuard: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(250)

    private let reserve: DescriptorReserve
    private var isPaused = false

    init(_ reserve: DescriptorReserve) { self.reserve = reserve }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let code = (error as? IOError)?.errnoCode,
            [EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED].contains(code)
        else { return context.fireErrorCaught(error) }
        // Not passed on: the handlers behind would take it for the listener's end.
        guard code != ECONNABORTED, !self.isPaused else { return }
        if code == EMFILE || code == ENFILE, self.reserve.spend() { return }
        self.pauseAccepting(context)
    }

    private func pauseAccepting(_ context: ChannelHandlerContext) {
        self.isPaused = true
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
            let (handler, context) = bound.value
            handler.isPaused = false
            handler.reserve.refill()
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}

@available(*, unavailable)
extension AcceptGuard: Sendable {}
