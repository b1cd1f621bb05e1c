/// What one request's forwarding depends on besides its route. Kept with the connection, of which most of it speaks: then
/// only what changes is set for each request, and no array is counted.
package struct RequestContext {
    /// How the client reached us.
    package enum Scheme: Sendable {
        case http, https
    }

    /// The peer's address as text.
    package var peer: [UInt8]
    package var scheme: Scheme
    /// Whether the peer may speak for clients behind it.
    package var isPeerTrusted: Bool
    /// Written as 32 hexadecimal digits if the request brings none that is believed.
    package var requestID: (UInt64, UInt64)
    /// `Connection: upgrade` goes along.
    package var upgrades: Bool
    /// The endpoint's own authority if the route asks for it; else nil.
    package var endpointHost: [UInt8]?

    package init(
        peer: [UInt8], scheme: Scheme = .http, isPeerTrusted: Bool, requestID: (UInt64, UInt64), upgrades: Bool,
        endpointHost: [UInt8]?
    ) {
        self.peer = peer
        self.scheme = scheme
        self.isPeerTrusted = isPeerTrusted
        self.requestID = requestID
        self.upgrades = upgrades
        self.endpointHost = endpointHost
    }
}
