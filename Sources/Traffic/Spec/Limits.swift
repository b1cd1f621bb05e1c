/// Bounds on what a peer can make us hold.
package struct Limits: Sendable, Equatable {
    /// Bytes of the request line; exceeded → 414.
    package var requestLine: UInt32 = 8_192
    /// Bytes of the whole head; exceeded → 431.
    package var headerBytes: UInt32 = 32_768
    /// Header fields; exceeded → 431.
    package var headerCount: UInt32 = 100
    /// Bytes of a request body; exceeded → 413. Bodies are streamed, so this guards the upstream, not our memory.
    package var body: UInt64 = 16 << 30
    /// The least average rate of a request's body, in bytes a second, once `Timeouts.requestBodyIdle` has passed since its
    /// begin; exceeded → 408. Time that the upstream makes the client wait does not count, and once a response has begun
    /// the bound is off. 0: none.
    package var requestBodyRate: UInt32 = 250
    /// Bytes that wait in this process for peers that do not take them; exceeded → the connections that hold most and move
    /// least are reset, counted.
    package var buffered: UInt64 = 256 << 20
    /// Client connections in all; exceeded → closed at accept, counted.
    package var connections: UInt32 = 65_536
    /// Client connections from one address; 0 is no bound of its own.
    package var connectionsPerClient: UInt32 = 0
    /// Interim (1xx) responses passed on for one request; those beyond are dropped, and the final response goes on.
    package var interimResponses: UInt32 = 100
    /// Bytes of a chunk's extensions and of all trailers of a message; exceeded → 400 or 502.
    package var chunkExtensionBytes: UInt32 = 4_096
    package var trailerBytes: UInt32 = 8_192
    /// Bytes of an answer that are kept to be compared with a copy's; beyond them its length and a hash.
    package var mirrorBody: UInt32 = 262_144
    /// Of clients that speak HTTP/2.
    package var http2 = HTTP2LimitsSpec()
    package var tls = TLSLimits()

    package init() {}
}

/// Bounds on the handshakes of clients.
package struct TLSLimits: Sendable, Equatable {
    /// Under way in one worker; exceeded → closed, counted.
    package var handshakes: UInt32 = 1_024
    /// Under way from one address; 0 is no bound of its own. Exceeded → closed, counted.
    package var handshakesPerClient: UInt32 = 0
    /// Steps that a worker takes in one turn, of clients' handshakes and as many of endpoints'; the others wait for the next: each
    /// may be a key exchange of a third of a millisecond, and other connections wait meanwhile.
    package var handshakesPerTurn: UInt32 = 8

    package init() {}
}
