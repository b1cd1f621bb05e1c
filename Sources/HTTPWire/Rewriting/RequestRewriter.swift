/// What a route does to every request that it forwards. One object a route, shared by reference.
package final class RequestPolicy: Sendable {
    package enum Path: Sendable {
        case keep
        /// Replaces this prefix of a path that has it up to a segment border; other paths stay as they are.
        case replace(prefix: [UInt8], with: [UInt8])
    }

    package let path: Path
    /// nil: the client's Host is kept.
    package let host: [UInt8]?
    /// Our pseudonym; empty: no Via.
    package let via: [UInt8]
    package let xForwarded: Bool
    package let forwarded: Bool
    package let requestID: Bool
    package let edits: FieldEdits

    package init(
        path: Path, host: [UInt8]?, via: [UInt8], xForwarded: Bool, forwarded: Bool, requestID: Bool,
        edits: FieldEdits
    ) {
        self.path = path
        self.host = host
        self.via = via
        self.xForwarded = xForwarded
        self.forwarded = forwarded
        self.requestID = requestID
        self.edits = edits
    }
}

/// What one request's forwarding depends on besides its route.
package struct RequestContext {
    /// The peer's address as text.
    package var peer: [UInt8]
    /// Whether the peer may speak for clients behind it.
    package var isPeerTrusted: Bool
    /// Written as 32 hexadecimal digits if the request brings none that is believed.
    package var requestID: (UInt64, UInt64)
    /// `Connection: upgrade` goes along.
    package var upgrades: Bool
    /// The endpoint's own authority if the route asks for it; else nil.
    package var endpointHost: [UInt8]?

    package init(
        peer: [UInt8], isPeerTrusted: Bool, requestID: (UInt64, UInt64), upgrades: Bool, endpointHost: [UInt8]?
    ) {
        self.peer = peer
        self.isPeerTrusted = isPeerTrusted
        self.requestID = requestID
        self.upgrades = upgrades
        self.endpointHost = endpointHost
    }
}

/// Makes the upstream request's head from the parsed one, in one pass over its fields (RFC 9110 7.6, RFC 9112 3, 7).
package enum RequestRewriter {
    package static func write(
        _ head: RequestHead, fields: FieldTable, source: borrowing Span<UInt8>, policy: RequestPolicy,
        context: borrowing RequestContext, into writer: inout ByteWriter
    ) {
        self.writeRequestLine(head, source: source, policy: policy, into: &writer)
        // Host goes first (RFC 9112 3.2). For an absolute-form target it is the target's authority.
        if let host = context.endpointHost ?? policy.host {
            writer.append("Host: ")
            writer.append(bytes: host)
            writer.append("\r\n")
        } else if !head.host.isEmpty {
            writer.append("Host: ")
            writer.append(source, head.host)
            writer.append("\r\n")
        } else {
            // An HTTP/1.0 client may send none; HTTP/1.1 towards the upstream must, even empty.
            writer.append("Host:\r\n")
        }
        let carried = self.writeFields(
            head, fields: fields, source: source, policy: policy, context: context, into: &writer)
        self.writeOrigin(
            head, fields: fields, source: source, policy: policy, context: context, carried: carried, into: &writer)
        if context.upgrades {
            writer.append("Connection: upgrade\r\nUpgrade: ")
            writer.append(source, head.upgrade)
            writer.append("\r\n")
        }
        switch head.framing {
        case .none, .untilClose: break
        case .length(let count):
            writer.append("Content-Length: ")
            writer.append(decimal: count)
            writer.append("\r\n")
        case .chunked: writer.append("Transfer-Encoding: chunked\r\n")
        }
        if !policy.edits.lines.isEmpty { writer.append(bytes: policy.edits.lines) }
        writer.append("\r\n")
    }

    private static func writeRequestLine(
        _ head: RequestHead, source: borrowing Span<UInt8>, policy: RequestPolicy, into writer: inout ByteWriter
    ) {
        writer.append(source, head.methodRange)
        writer.append(0x20)
        switch head.form {
        case .asterisk: writer.append(0x2A)
        case .authority: writer.append(source, head.target)
        case .origin, .absolute:
            // Origin-form whatever the client used (RFC 9112 3.2.2): the authority travels in Host.
            if case .replace(let prefix, let replacement) = policy.path,
                let rest = Self.rest(of: head.path, behind: prefix, source: source)
            {
                Self.writePath(replacement, rest: rest, source: source, into: &writer)
            } else if head.path.isEmpty {
                writer.append(0x2F)
            } else {
                writer.append(source, head.path)
            }
            if head.hasQuery {
                writer.append(0x3F)
                writer.append(source, head.query)
            }
        }
        writer.append(" HTTP/1.1\r\n")
    }

    /// What of the path stands behind the prefix; nil if the path does not begin with it, or it ends inside a segment.
    private static func rest(
        of path: ByteRange, behind prefix: [UInt8], source: borrowing Span<UInt8>
    ) -> ByteRange? {
        // An absolute target may leave the path out and means the root.
        if path.isEmpty, prefix.count == 1 { return path }
        guard path.count >= prefix.count else { return nil }
        let lower = Int(path.lower)
        for index in prefix.indices where source[lower + index] != prefix[index] { return nil }
        let rest = ByteRange(lower: path.lower + UInt32(prefix.count), upper: path.upper)
        guard rest.isEmpty || prefix.last == 0x2F || source[Int(rest.lower)] == 0x2F else { return nil }
        return rest
    }

    /// Joins both with one slash.
    private static func writePath(
        _ replacement: [UInt8], rest: ByteRange, source: borrowing Span<UInt8>, into writer: inout ByteWriter
    ) {
        writer.append(bytes: replacement)
        guard !rest.isEmpty else {
            if replacement.isEmpty { writer.append(0x2F) }
            return
        }
        let startsSegment = source[Int(rest.lower)] == 0x2F
        if replacement.last == 0x2F, startsSegment {
            writer.append(source, ByteRange(lower: rest.lower + 1, upper: rest.upper))
        } else {
            if replacement.last != 0x2F, !startsSegment { writer.append(0x2F) }
            writer.append(source, rest)
        }
    }

    /// Which of the fields that we write ourselves the request brought along and was believed about.
    private struct Carried {
        var expectation = false
        var maxForwards = false
        var forwardedFor = false
        var proto = false
        var host = false
        var requestID = false
    }

    private static func writeFields(
        _ head: RequestHead, fields: FieldTable, source: borrowing Span<UInt8>, policy: RequestPolicy,
        context: borrowing RequestContext, into writer: inout ByteWriter
    ) -> Carried {
        var carried = Carried()
        let trusted = context.isPeerTrusted
        let hasEdits = !policy.edits.isEmpty
        for index in 0..<fields.count {
            let field = fields[index]
            if field.nominated { continue }
            switch field.id {
            case .host, .connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .contentLength, .upgrade,
                .http2Settings, .proxyAuthenticate, .proxyAuthorization:
                continue
            case .expect:
                // Without a body there is nothing to wait for, and an upstream might answer 417.
                guard head.expectContinue, head.framing != .none, head.framing != .length(0), !carried.expectation
                else { continue }
                carried.expectation = true
                if !policy.edits.drops(field.name, in: source) { writer.append("Expect: 100-continue\r\n") }
                continue
            case .maxForwards:
                guard head.method == .trace || head.method == .options, let hops = head.maxForwards else { break }
                guard !carried.maxForwards else { continue }
                carried.maxForwards = true
                // One hop less (RFC 9110 7.6.2); the caller answers at zero.
                guard !policy.edits.drops(field.name, in: source) else { continue }
                writer.append("Max-Forwards: ")
                writer.append(decimal: UInt64(hops == 0 ? 0 : hops - 1))
                writer.append("\r\n")
                continue
            case .xForwardedFor:
                guard policy.xForwarded else {
                    guard trusted else { continue }
                    break
                }
                carried.forwardedFor = trusted
                continue
            case .xForwardedProto:
                guard trusted else { continue }
                carried.proto = true
            case .xForwardedHost:
                guard trusted else { continue }
                carried.host = true
            case .forwarded, .xForwardedPort, .xRealIP:
                guard trusted else { continue }
            case .xRequestID:
                guard policy.requestID else {
                    guard trusted else { continue }
                    break
                }
                guard trusted, !field.value.isEmpty, field.value.count <= 128 else { continue }
                carried.requestID = true
            default:
                if field.id == .other, !trusted, field.name.count > 12,
                    ASCII.hasPrefixIgnoringCase(source, field.name, lowercase: "x-forwarded-")
                {
                    continue
                }
            }
            if hasEdits, policy.edits.drops(field.name, in: source) { continue }
            writer.append(source, field.name)
            writer.append(": ")
            writer.append(source, field.value)
            writer.append("\r\n")
        }
        return carried
    }

    /// Says where the request came from: Via (RFC 9110 7.6.3), X-Forwarded-*, Forwarded (RFC 7239), X-Request-ID; except
    /// what the route sets or removes.
    private static func writeOrigin(
        _ head: RequestHead, fields: FieldTable, source: borrowing Span<UInt8>, policy: RequestPolicy,
        context: borrowing RequestContext, carried: Carried, into writer: inout ByteWriter
    ) {
        let edited = policy.edits.origin
        if !policy.via.isEmpty, !edited.contains(.via) {
            writer.append(head.minorVersion == 0 ? "Via: 1.0 " : "Via: 1.1 ")
            writer.append(bytes: policy.via)
            writer.append("\r\n")
        }
        if policy.xForwarded {
            if !edited.contains(.xForwardedFor) {
                writer.append("X-Forwarded-For: ")
                if carried.forwardedFor {
                    // Several fields mean one list (RFC 9110 5.3): join them, so that no upstream reads only the first.
                    for index in 0..<fields.count
                    where fields[index].id == .xForwardedFor && !fields[index].value.isEmpty {
                        writer.append(source, fields[index].value)
                        writer.append(", ")
                    }
                }
                writer.append(bytes: context.peer)
                writer.append("\r\n")
            }
            if !carried.proto, !edited.contains(.xForwardedProto) { writer.append("X-Forwarded-Proto: http\r\n") }
            if !carried.host, !head.host.isEmpty, !edited.contains(.xForwardedHost) {
                writer.append("X-Forwarded-Host: ")
                writer.append(source, head.host)
                writer.append("\r\n")
            }
        }
        if policy.forwarded, !edited.contains(.forwarded) {
            let isV6 = context.peer.contains(0x3A)
            writer.append(isV6 ? "Forwarded: for=\"[" : "Forwarded: for=")
            writer.append(bytes: context.peer)
            writer.append(isV6 ? "]\";proto=http" : ";proto=http")
            if !head.host.isEmpty {
                // Quoted always: a host with a port is no token.
                writer.append(";host=\"")
                writer.append(source, head.host)
                writer.append("\"")
            }
            writer.append("\r\n")
        }
        if policy.requestID, !carried.requestID, !edited.contains(.requestID) {
            writer.append("X-Request-ID: ")
            writer.append(paddedHex: context.requestID.0)
            writer.append(paddedHex: context.requestID.1)
            writer.append("\r\n")
        }
    }
}
