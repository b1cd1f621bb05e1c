import Glibc
import NIOCore

/// The socket of a connection, for bytes that go to the kernel past the channel's queue of writes.
///
/// To be used on the connection's event loop, while the channel is open, and when it has nothing else to send.
struct ChannelSocket {
    private let descriptor: CInt

    /// nil for a channel without a socket.
    init?(_ context: ChannelHandlerContext) {
        let operations = context.channel.pipeline.syncOperations
        guard
            let descriptor = try? operations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self, { $0 })
        else { return nil }
        self.descriptor = descriptor
    }

    /// How many of the bytes the kernel took at once. None of them also when the connection is broken: the channel, which
    /// has to be given what is left, sees that by itself.
    func send(_ bytes: ByteBuffer) -> Int {
        bytes.withUnsafeReadableBytes {
            max(0, Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_DONTWAIT | MSG_NOSIGNAL)))
        }
    }
}
