/// Bounds of one connection; announced where the protocol has words for them, and unchanged for its life.
package struct SessionLimits: Sendable, Equatable {
    /// Streams at a time; a further one is refused.
    package var concurrentStreams = 100
    /// Resets, received or sent for the peer's fault: so many at once, and a tenth of that each second.
    package var resets = 100
    /// Acknowledgements and resets that the peer does not read.
    package var unsentControl = 100
    /// The most that a stream's window grows to, in bytes; it begins with 64 KiB.
    package var streamWindow = 1 << 20
    /// Of all streams together, in bytes: windows grow within it. A client opens no stream beyond it; a server, whose clients open
    /// them, gives each its first 64 KiB all the same.
    package var connectionWindow = 4 << 20
    /// Bytes of a request's fields (RFC 9113 6.5.2), and of a compressed header block.
    package var headerBytes = 32_768

    package init() {}

    /// 64 KiB: what every stream begins with.
    package static let firstWindow = 65_536
}
