/// Deadlines in milliseconds. 0 is never allowed: every wait ends.
package struct Timeouts: Sendable, Equatable {
    /// From accept to the whole header of the PROXY protocol, where a listener awaits one; exceeded → close.
    package var proxyHeader: UInt32 = 2_000
    /// From accept, or from the header of the PROXY protocol, to the end of the TLS handshake.
    package var tlsHandshake: UInt32 = 10_000
    /// From the first byte of a request (or accept) to its complete head; exceeded → 408.
    package var requestHeader: UInt32 = 10_000
    /// Without a byte of request body from the client; exceeded → 408 or close.
    package var requestBodyIdle: UInt32 = 30_000
    /// TCP connect to an endpoint; exceeded → 504.
    package var connect: UInt32 = 1_000
    /// From the request sent to the response head; exceeded → 504.
    package var responseHeader: UInt32 = 60_000
    /// Without a byte of response body moving (from the upstream, or into a client that does not read); exceeded → close.
    package var responseBodyIdle: UInt32 = 60_000
    /// An idle keep-alive client connection; exceeded → close.
    package var keepAlive: UInt32 = 75_000
    /// An idle pooled upstream connection; exceeded → close.
    package var upstreamIdle: UInt32 = 60_000
    /// A pooled upstream connection's whole life; exceeded → not reused.
    package var upstreamLifetime: UInt32 = 3_600_000
    /// A tunnel (101) without a byte either way; exceeded → close.
    package var tunnelIdle: UInt32 = 3_600_000
    /// A tunnel one side of which has ended, without a byte from the other; exceeded → close.
    package var tunnelHalfClosed: UInt32 = 30_000
    /// How long a client may go on sending, byte after byte, what an answer that ends its connection has made useless: it is
    /// read and dropped so that the answer is not lost to a reset; exceeded → close.
    package var linger: UInt32 = 30_000
    /// Waiting for an endpoint's slot in its queue; exceeded → 503.
    package var queue: UInt32 = 1_000
    /// An HTTP/2 connection's whole life, less or more by up to a tenth; exceeded → it ends behind its running requests.
    package var connectionLifetime: UInt32 = 3_600_000
    /// An HTTP/2 client with open streams and without a frame of its; exceeded → it is asked by a PING, and given up 15 s later.
    package var http2Ping: UInt32 = 30_000
    /// What in-flight exchanges get to finish at a graceful stop.
    package var drain: UInt32 = 30_000

    package init() {}
}
