/// THE list of fields that are not simply passed on: heads both ways, trailers both ways, what `Connection` may name, and what
/// a route may change all ask here.
package enum OwnFields {
    /// They decide where a message ends or are meant for one connection (RFC 9110 7.6.1); never passed on as they came.
    @inline(__always)
    static func isHopByHop(_ name: FieldName) -> Bool {
        switch name {
        case .connection, .contentLength, .transferEncoding, .te, .upgrade, .keepAlive, .proxyConnection,
            .http2Settings,
            .proxyAuthenticate, .proxyAuthorization, .proxy:
            true
        default: false
        }
    }

    /// What proxies say about a request: where it came from and what it was. Believed, and passed on, from trusted peers
    /// only; of a stranger's nothing goes further than here but `Via`, which is a history (RFC 9110 7.6.3).
    @inline(__always)
    static func isForwarding(_ name: FieldName) -> Bool {
        switch name {
        case .via, .forwarded, .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedOther, .clientAddress,
            .originalTarget, .xRequestID:
            true
        default: false
        }
    }

    /// Written by balancers alone.
    @inline(__always)
    static func isOwn(_ name: FieldName) -> Bool {
        name == .xBalancerReason || name == .xBalancerHops || name == .xBalancerMirror
    }

    /// Whether a `Connection` option takes such a field away. Not what frames or routes the message, nor what the proxy
    /// answers for.
    static func mayBeNominated(_ name: FieldName) -> Bool {
        switch name {
        case .host, .contentLength, .transferEncoding: false
        default: !self.isForwarding(name) && !self.isOwn(name)
        }
    }

    /// Whether such a field may stand behind a body (RFC 9110 6.5.1). Not what frames, routes, authenticates or modifies the
    /// message, and nothing that proxies say.
    static func mayFollow(_ name: FieldName) -> Bool {
        switch name {
        case .host, .trailer, .expect, .cookie, .accept, .date, .maxForwards, .authorization, .clientCertificate,
            .contentType, .headOnly:
            false
        default: !self.isHopByHop(name) && !self.isForwarding(name) && !self.isOwn(name)
        }
    }

    /// What a route may do to fields of a name.
    package enum Editing: Sendable {
        case allowed
        /// `Host` has a key of its own.
        case byKey
        /// It frames the message, belongs to the connection, or is written by balancers alone.
        case refused
    }

    /// Of a name in any case. Credentials for a proxy may be set: an upstream may be one.
    package static func editing(_ name: String) -> Editing {
        let bytes = Array(name.utf8)
        switch FieldIndex.shared.name(bytes.span, ByteRange(0, bytes.count)) {
        case .host: return .byKey
        case .proxyAuthenticate, .proxyAuthorization, .proxy: return .allowed
        case .expect, .trailer: return .refused
        case let known: return self.isHopByHop(known) || self.isOwn(known) ? .refused : .allowed
        }
    }
}
