/// Field names on which the proxy acts. Everything else is `.other`. Classified once, when the head is parsed.
package enum FieldName: UInt8, Sendable, CaseIterable {
    case other

    // What frames a message, or is meant for one connection.
    case host, connection, contentLength, transferEncoding, te, trailer, upgrade, keepAlive, proxyConnection,
        http2Settings,
        expect, proxyAuthenticate, proxyAuthorization
    /// `Proxy`, which CGI makes the variable that names the proxy of its own requests.
    case proxy

    // What says where a request came from and what it was.
    case via, forwarded, xForwardedFor, xForwardedProto, xForwardedHost, xRequestID
    /// X-Forwarded-Port, X-Forwarded, X-Forwarded-* of any kind.
    case xForwardedOther
    /// The client's address, as one product or another calls it.
    case clientAddress
    /// The target or host before somebody rewrote it.
    case originalTarget

    /// What a proxy that ends TLS says about its client's certificate (RFC 9440).
    case clientCertificate

    // Our own.
    case xBalancerReason, xBalancerHops, xBalancerMirror

    case cookie, accept, date, maxForwards, authorization
    case contentType
    /// Makes sense in a head only.
    case headOnly

    /// Every name that is known, in lower case.
    static let known: [(text: StaticString, name: FieldName)] = [
        ("host", .host), ("connection", .connection), ("content-length", .contentLength),
        ("transfer-encoding", .transferEncoding), ("te", .te), ("trailer", .trailer), ("upgrade", .upgrade),
        ("keep-alive", .keepAlive), ("proxy-connection", .proxyConnection), ("http2-settings", .http2Settings),
        ("expect", .expect), ("proxy-authenticate", .proxyAuthenticate),
        ("proxy-authentication-info", .proxyAuthenticate), ("proxy-authorization", .proxyAuthorization),
        ("proxy", .proxy),

        ("via", .via), ("forwarded", .forwarded), ("x-forwarded-for", .xForwardedFor),
        ("x-forwarded-proto", .xForwardedProto), ("x-forwarded-host", .xForwardedHost),
        ("x-forwarded", .xForwardedOther), ("x-request-id", .xRequestID),

        ("x-real-ip", .clientAddress), ("client-ip", .clientAddress), ("x-client-ip", .clientAddress),
        ("true-client-ip", .clientAddress), ("x-cluster-client-ip", .clientAddress),
        ("cf-connecting-ip", .clientAddress), ("cf-connecting-ipv6", .clientAddress),
        ("fastly-client-ip", .clientAddress), ("x-original-forwarded-for", .clientAddress),
        ("forwarded-for", .clientAddress), ("x-remote-ip", .clientAddress), ("x-remote-addr", .clientAddress),
        ("x-originating-ip", .clientAddress), ("x-azure-clientip", .clientAddress),
        ("x-envoy-external-address", .clientAddress), ("x-proxyuser-ip", .clientAddress),

        ("x-original-host", .originalTarget), ("x-original-url", .originalTarget),
        ("x-rewrite-url", .originalTarget),

        ("client-cert", .clientCertificate), ("client-cert-chain", .clientCertificate),

        ("x-balancer-reason", .xBalancerReason), ("x-balancer-hops", .xBalancerHops),
        ("x-balancer-mirror", .xBalancerMirror),

        ("cookie", .cookie), ("accept", .accept), ("date", .date), ("max-forwards", .maxForwards),

        ("content-type", .contentType), ("content-encoding", .headOnly), ("content-range", .headOnly),
        ("authorization", .authorization), ("www-authenticate", .headOnly), ("set-cookie", .headOnly),
        ("cache-control", .headOnly), ("pragma", .headOnly), ("age", .headOnly), ("expires", .headOnly),
        ("location", .headOnly), ("retry-after", .headOnly), ("vary", .headOnly), ("warning", .headOnly),
        ("range", .headOnly), ("if-match", .headOnly), ("if-none-match", .headOnly), ("if-range", .headOnly),
        ("if-modified-since", .headOnly), ("if-unmodified-since", .headOnly),
    ]
}
