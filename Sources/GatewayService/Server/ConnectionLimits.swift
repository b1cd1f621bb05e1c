import NIOCore

/// How long a client may take.
struct ConnectionLimits: Sendable {
    /// Saying nothing between two requests. Responses announce 5 s as the legacy server does, but a proxy's pool must not lose
    /// a race against that.
    let idle = TimeAmount.seconds(75)
    /// From the first byte of a head to its last.
    let head: TimeAmount
    /// From the end of a head to the end of its body.
    let body: TimeAmount
    /// The same, once the process has stopped listening.
    let lastBody = TimeAmount.seconds(1)

    init(_ configuration: GatewayConfiguration) {
        head = TimeAmount(configuration.headTimeout)
        body = TimeAmount(configuration.bodyTimeout)
    }
}

/// What the handlers of one connection know together. Lives on its event loop.
final class ConnectionState {
    /// Requests passed on whose answers have not left yet. Only when there are none may an answer overtake.
    var outstanding = 0
    /// Heads seen so far.
    var heads = 0
    /// Parts of requests seen so far: heads, pieces of bodies, ends. What has come and made none is held by the codec.
    var parts = 0
    /// Whether a head has been seen whose request has not come to its end.
    var isReading = false
    /// The last request has come, or what is no HTTP: nothing that follows is answered, and nothing may overtake its answer.
    var isEnding = false
}

@available(*, unavailable)
extension ConnectionState: Sendable {}

/// Told to the handlers behind when a connection has to end: its head has taken too long or is too long, or there is no
/// memory for it.
enum Refusal {
    case timeout, tooLong, busy
}
