import NIOCore

/// What one client of the admin API may take. The API has few clients and no login, so its bounds are tight and fixed.
package struct AdminLimits: Sendable {
    /// Connections at a time; one more is answered 503 where each of them has a request under way.
    package var connections = 64
    /// Bytes of a request's head, its target included; beyond, the connection ends.
    package var headBytes = 32_768
    /// Header fields of a request.
    package var fields = 100
    /// Bytes of a request's body; beyond → 413, and the connection ends.
    package var bodyBytes = AdminJSON.bodyLimit
    /// From accept, or from the first byte of a later request, to the end of its head.
    package var head = TimeAmount.seconds(10)
    /// From the end of a head to the end of its body.
    package var body = TimeAmount.seconds(10)
    /// From the end of a request until the client has taken its answer.
    package var answer = TimeAmount.seconds(60)
    /// Between two requests of a connection. Above the usual intervals of scrapes and probes.
    package var idle = TimeAmount.seconds(75)
    /// How long a client that is refused may go on sending before the connection is closed: until then it can read why.
    package var linger = TimeAmount.seconds(2)

    package init() {}
}
