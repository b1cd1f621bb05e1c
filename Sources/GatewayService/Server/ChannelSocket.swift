import Glibc
import NIOCore

/// The socket of a connection, for bytes that go to the kernel past the channel's queue of writes.
///
/// To be used on the connection's event loop, while the channel is open, and when it has nothing else to send.
struct ChannelSocket {
    /// As many parts go to the kernel by one call.
    private static let mostParts = 16

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

    /// The same for a head and the pieces of its body, by one call.
    func send(_ head: ByteBuffer, _ pieces: [ByteBuffer]) -> Int {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.mostParts) { parts in
            send(head, pieces, 0, parts)
        }
    }

    /// - Parameters:
    ///   - part: what goes into the place `count` of `parts`.
    ///   - pieces: those that follow, from `count` on.
    private func send(
        _ part: ByteBuffer, _ pieces: [ByteBuffer], _ count: Int, _ parts: UnsafeMutableBufferPointer<iovec>
    ) -> Int {
        part.withUnsafeReadableBytes { bytes in
            let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
            parts.initializeElement(at: count, to: iovec(iov_base: base, iov_len: bytes.count))
            // The pointers are good within these calls.
            if count < pieces.count, count + 1 < parts.count {
                return send(pieces[count], pieces, count + 1, parts)
            }
            var message = msghdr()
            message.msg_iov = parts.baseAddress
            message.msg_iovlen = count + 1
            return max(0, sendmsg(descriptor, &message, CInt(MSG_DONTWAIT | MSG_NOSIGNAL)))
        }
    }
}
