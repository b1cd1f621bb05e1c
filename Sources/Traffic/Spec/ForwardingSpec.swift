/// How requests say where they came from.
package struct ForwardingSpec: Sendable, Equatable {
    /// Peers whose `X-Forwarded-*`, `Forwarded` and `X-Request-ID` are believed.
    package var trustedProxies: [AddressBlock] = []
    /// Our pseudonym in `Via`; empty: no `Via`.
    package var via = "balancer"
    /// Send RFC 7239 `Forwarded` besides `X-Forwarded-*`.
    package var forwarded = false
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    package var xForwarded = true
    package var requestID = true
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    package var clientCertificate = false
    /// What becomes of a request's fields whose name has an underscore.
    package var underscores: Underscores = .drop
    /// How often a request may come through this balancer, told by the field that it leaves; 0 is as 1; exceeded → 508.
    package var maxPasses: UInt32 = 8

    package init() {}
}

/// CGI and its heirs read `X_Real_IP` and `X-Real-IP` as one name, so a client could write what only a proxy should.
package enum Underscores: Sendable, Equatable {
    /// The field goes no further.
    case drop
    case keep
    /// 400.
    case refuse
}
