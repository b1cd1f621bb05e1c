/// Bounds on one HTTP/2 connection.
package struct HTTP2LimitsSpec: Sendable, Equatable {
    /// Streams at a time; exceeded → REFUSED_STREAM.
    package var concurrentStreams: UInt32 = 100
    /// Streams reset at once, by the client or for its fault, and a tenth of that each second; exceeded → GOAWAY.
    package var resets: UInt32 = 100
    /// Acknowledgements and resets that the client does not read; exceeded → close.
    package var unsentControl: UInt32 = 100
    /// The most bytes of one request's body that are taken before the upstream has them; begins with 64 KiB.
    package var streamWindow: UInt32 = 1 << 20
    /// Of all streams of a connection.
    package var connectionWindow: UInt32 = 4 << 20

    package init() {}
}
