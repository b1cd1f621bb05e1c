/// Says where a request came from: Via (RFC 9110 7.6.3), X-Forwarded-*, Forwarded (RFC 7239), X-Request-ID; except what the route
/// sets or removes. Where no Via tells of the pass, X-Balancer-Hops does.
enum OriginWriter {
    static func write(
        _ head: RequestHead, fields: FieldList, source: borrowing Span<UInt8>, policy: RequestPolicy,
        context: borrowing RequestContext, carried: RequestRewriter.Carried, into writer: inout ByteWriter
    ) {
        if policy.writesVia {
            // Not one call of either: choosing first would count a reference.
            if head.minorVersion == 0 {
                writer.append(bytes: policy.viaLines.old)
            } else {
                writer.append(bytes: policy.viaLines.current)
            }
        } else {
            writer.append("X-Balancer-Hops: ")
            writer.append(decimal: UInt64(PassCount.hops(fields, in: source) + 1))
            writer.append("\r\n")
        }
        let edited = policy.edits.origin
        if policy.xForwarded {
            if !edited.contains(.xForwardedFor) {
                writer.append("X-Forwarded-For: ")
                if carried.forwardedFor { self.writeAddresses(fields, source: source, into: &writer) }
                context.peer.write(into: &writer)
                writer.append("\r\n")
            }
            if !carried.proto, !edited.contains(.xForwardedProto) {
                switch context.scheme {
                case .http: writer.append("X-Forwarded-Proto: http\r\n")
                case .https: writer.append("X-Forwarded-Proto: https\r\n")
                }
            }
            if !carried.host, !head.host.isEmpty, !edited.contains(.xForwardedHost) {
                writer.append("X-Forwarded-Host: ")
                writer.append(source, head.host)
                writer.append("\r\n")
            }
        }
        if policy.forwarded, !edited.contains(.forwarded) {
            self.writeForwarded(head, source: source, context: context, into: &writer)
        }
        if policy.requestID, !carried.requestID, !edited.contains(.requestID) {
            writer.append("X-Request-ID: ")
            writer.append(paddedHex: context.requestID.0)
            writer.append(paddedHex: context.requestID.1)
            writer.append("\r\n")
        }
    }

    /// Several fields mean one list (RFC 9110 5.3): joined, so that no upstream reads only the first.
    private static func writeAddresses(
        _ fields: FieldList, source: borrowing Span<UInt8>, into writer: inout ByteWriter
    ) {
        for index in 0..<fields.count where fields[index].id == .xForwardedFor && !fields[index].value.isEmpty {
            writer.append(source, fields[index].value)
            writer.append(", ")
        }
    }

    private static func writeForwarded(
        _ head: RequestHead, source: borrowing Span<UInt8>, context: borrowing RequestContext,
        into writer: inout ByteWriter
    ) {
        let isV6 = context.peer.isV6
        writer.append(isV6 ? "Forwarded: for=\"[" : "Forwarded: for=")
        context.peer.write(into: &writer)
        if isV6 { writer.append("]\"") }
        switch context.scheme {
        case .http: writer.append(";proto=http")
        case .https: writer.append(";proto=https")
        }
        if !head.host.isEmpty {
            // Quoted always: a host with a port is no token.
            writer.append(";host=\"")
            writer.append(source, head.host)
            writer.append("\"")
        }
        writer.append("\r\n")
    }
}
