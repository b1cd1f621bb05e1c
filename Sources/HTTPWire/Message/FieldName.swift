/// Field names on which the proxy acts. Everything else is `.other`. Classified once, when the head is parsed.
package enum FieldName: UInt8, Sendable {
    case other, host, connection, contentLength, transferEncoding, te, trailer, upgrade, keepAlive, proxyConnection,
        expect, via, forwarded, xForwardedFor, xForwardedProto, xForwardedHost, xForwardedPort, xRealIP, xRequestID,
        cookie, accept, http2Settings, proxyAuthenticate, proxyAuthorization, date, server, xBalancerReason,
        retryAfter, location, maxForwards

    /// Meant for this connection only (RFC 9110 7.6.1).
    package var isHopByHop: Bool {
        switch self {
        case .connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade, .http2Settings: true
        default: false
        }
    }

    /// Fields that no `Connection` option may take away: framing, routing, and what the proxy itself answers for.
    var mayBeNominated: Bool {
        switch self {
        case .host, .contentLength, .transferEncoding, .via, .forwarded, .xForwardedFor, .xForwardedProto,
            .xForwardedHost, .xRequestID:
            false
        default: true
        }
    }

    static func classify(_ bytes: borrowing Span<UInt8>, _ name: ByteRange) -> FieldName {
        switch name.count {
        case 2: return Self.check(bytes, name, "te", .te)
        case 3: return Self.check(bytes, name, "via", .via)
        case 4:
            switch bytes[Int(name.lower)] | 0x20 {
            case 0x68: return Self.check(bytes, name, "host", .host)
            case 0x64: return Self.check(bytes, name, "date", .date)
            default: return .other
            }
        case 6:
            switch bytes[Int(name.lower)] | 0x20 {
            case 0x61: return Self.check(bytes, name, "accept", .accept)
            case 0x63: return Self.check(bytes, name, "cookie", .cookie)
            case 0x65: return Self.check(bytes, name, "expect", .expect)
            case 0x73: return Self.check(bytes, name, "server", .server)
            default: return .other
            }
        case 7:
            switch bytes[Int(name.lower)] | 0x20 {
            case 0x75: return Self.check(bytes, name, "upgrade", .upgrade)
            case 0x74: return Self.check(bytes, name, "trailer", .trailer)
            default: return .other
            }
        case 8: return Self.check(bytes, name, "location", .location)
        case 9:
            switch bytes[Int(name.lower)] | 0x20 {
            case 0x66: return Self.check(bytes, name, "forwarded", .forwarded)
            case 0x78: return Self.check(bytes, name, "x-real-ip", .xRealIP)
            default: return .other
            }
        case 10:
            switch bytes[Int(name.lower)] | 0x20 {
            case 0x63: return Self.check(bytes, name, "connection", .connection)
            case 0x6B: return Self.check(bytes, name, "keep-alive", .keepAlive)
            default: return .other
            }
        case 11: return Self.check(bytes, name, "retry-after", .retryAfter)
        case 12:
            switch bytes[Int(name.lower)] | 0x20 {
            case 0x78: return Self.check(bytes, name, "x-request-id", .xRequestID)
            case 0x6D: return Self.check(bytes, name, "max-forwards", .maxForwards)
            default: return .other
            }
        case 14:
            switch bytes[Int(name.lower)] | 0x20 {
            case 0x63: return Self.check(bytes, name, "content-length", .contentLength)
            case 0x68: return Self.check(bytes, name, "http2-settings", .http2Settings)
            default: return .other
            }
        case 15: return Self.check(bytes, name, "x-forwarded-for", .xForwardedFor)
        case 16:
            switch bytes[Int(name.upper) - 1] | 0x20 {
            case 0x6E: return Self.check(bytes, name, "proxy-connection", .proxyConnection)
            case 0x74:
                let host = Self.check(bytes, name, "x-forwarded-host", .xForwardedHost)
                return host == .other ? Self.check(bytes, name, "x-forwarded-port", .xForwardedPort) : host
            default: return .other
            }
        case 17:
            switch bytes[Int(name.lower)] | 0x20 {
            case 0x74: return Self.check(bytes, name, "transfer-encoding", .transferEncoding)
            case 0x78:
                let proto = Self.check(bytes, name, "x-forwarded-proto", .xForwardedProto)
                return proto == .other ? Self.check(bytes, name, "x-balancer-reason", .xBalancerReason) : proto
            default: return .other
            }
        case 18: return Self.check(bytes, name, "proxy-authenticate", .proxyAuthenticate)
        case 19: return Self.check(bytes, name, "proxy-authorization", .proxyAuthorization)
        default: return .other
        }
    }

    private static func check(
        _ bytes: borrowing Span<UInt8>, _ name: ByteRange, _ text: StaticString, _ id: FieldName
    ) -> FieldName {
        ASCII.hasPrefixIgnoringCase(bytes, name, lowercase: text) ? id : .other
    }
}
