/// Makes the upstream request's head from the parsed one, in one pass over its fields (RFC 9110 7.6, RFC 9112 3, 7). What goes
/// on unchanged and stands side by side is copied in one go.
package enum RequestRewriter {
    /// Answers whether the head is whole; one that outgrew its room must not be sent.
    @discardableResult
    package static func write(
        _ head: RequestHead, fields: borrowing FieldTable, source: borrowing Span<UInt8>, policy: RequestPolicy,
        context: borrowing RequestContext, into writer: inout ByteWriter
    ) -> Bool {
        self.write(head, fields: fields.list, source: source, policy: policy, context: context, into: &writer)
    }

    /// The same from fields that are kept elsewhere.
    @discardableResult
    package static func write(
        _ head: RequestHead, fields: FieldList, source: borrowing Span<UInt8>, policy: RequestPolicy,
        context: borrowing RequestContext, into writer: inout ByteWriter
    ) -> Bool {
        var run = LineRun()
        var carried = Carried()
        var next = self.writeStart(
            head, fields: fields, source: source, policy: policy, context: context, run: &run, into: &writer)
        while next < fields.count {
            let field = fields[next]
            next &+= 1
            if field.isPlain {
                if policy.edits.drops(field.name, in: source) { continue }
                run.add(field.line.lower, field.line.upper, of: source, into: &writer)
            } else if self.passes(
                field, of: head, source: source, policy: policy, isTrusted: context.isPeerTrusted, &carried)
            {
                self.write(field, of: head, source: source, run: &run, into: &writer)
            }
        }
        run.flush(source, into: &writer)
        OriginWriter.write(
            head, fields: fields, source: source, policy: policy, context: context, carried: carried, into: &writer)
        self.writeConnection(head, source: source, upgrades: context.upgrades, carried: carried, into: &writer)
        switch head.framing {
        case .length(let count) where !carried.length:
            writer.append("Content-Length: ")
            writer.append(decimal: count)
            writer.append("\r\n")
        case .chunked: writer.append("Transfer-Encoding: chunked\r\n")
        case .none, .untilClose, .length: break
        }
        if !policy.edits.lines.isEmpty { writer.append(bytes: policy.edits.lines) }
        if context.addedLines.count > 0 { writer.append(raw: context.addedLines) }
        writer.append("\r\n")
        return !writer.overflowed
    }

    /// Which of the fields that we write ourselves the request brought along, and was believed about.
    struct Carried {
        var forwardedFor = false
        var proto = false
        var host = false
        var requestID = false
        var length = false
        var expectation = false
        var maxForwards = false
        var trailers = false
    }

    // MARK: the start

    /// The request line and Host, which goes first (RFC 9112 3.2). Answers with which field to go on.
    private static func writeStart(
        _ head: RequestHead, fields: FieldList, source: borrowing Span<UInt8>, policy: RequestPolicy,
        context: borrowing RequestContext, run: inout LineRun, into writer: inout ByteWriter
    ) -> Int {
        let isOwnForm = head.form == .origin || head.form == .asterisk
        if isOwnForm, !policy.rewritesPath, head.minorVersion == 1, !head.startLine.isEmpty {
            run.add(Int(head.startLine.lower), Int(head.startLine.upper), of: source, into: &writer)
        } else {
            RequestLineWriter.write(head, source: source, policy: policy, into: &writer)
        }
        if context.endpointHost.baseAddress != nil {
            run.flush(source, into: &writer)
            writer.append("Host: ")
            writer.append(raw: context.endpointHost)
            writer.append("\r\n")
        } else if !policy.hostLine.isEmpty {
            run.flush(source, into: &writer)
            writer.append(bytes: policy.hostLine)
        } else if isOwnForm, fields.count > 0, fields[0].id == .host, fields[0].traits == .canonical {
            run.add(fields[0].line.lower, fields[0].line.upper, of: source, into: &writer)
            return 1
        } else {
            run.flush(source, into: &writer)
            // Of an absolute-form target the authority. An HTTP/1.0 client may send none; HTTP/1.1 towards the upstream
            // must, even empty.
            writer.append(head.host.isEmpty ? "Host:" : "Host: ")
            writer.append(source, head.host)
            writer.append("\r\n")
        }
        return 0
    }

    // MARK: fields

    /// Whether a field goes on; and what is noted about it if we write it ourselves.
    private static func passes(
        _ field: Field, of head: RequestHead, source: borrowing Span<UInt8>, policy: RequestPolicy, isTrusted: Bool,
        _ carried: inout Carried
    ) -> Bool {
        switch field.id {
        case .te:
            // gRPC's servers want to hear that trailers are understood (RFC 9110 10.1.4); nothing else of it is ours to say.
            if head.minorVersion == 1, self.takesTrailers(source, field.value) { carried.trailers = true }
            return false
        case .host: return false
        case .contentLength:
            // Kept in its place where it reads as we would write it.
            guard case .length = head.framing, field.traits == .canonical,
                field.value.count == 1 || source[Int(field.value.lower)] != 0x30
            else { return false }
            carried.length = true
            return true
        case .xBalancerHops: return policy.writesVia
        // Nobody's word but our own (RFC 9440 2.4).
        case .xBalancerReason, .xBalancerMirror, .clientCertificate: return false
        default: break
        }
        if field.nominated || OwnFields.isHopByHop(field.id) { return false }
        if field.hasUnderscore {
            guard policy.underscores == .keep, !FieldIndex.shared.isDisguise(source, field.name),
                !FieldIndex.isDisguise(source, field.name, of: policy.userHeader)
            else { return false }
        }
        if OwnFields.isForwarding(field.id), !self.believes(field, policy: policy, isTrusted: isTrusted, &carried) {
            return false
        }
        switch field.id {
        case .expect:
            // Once. Without a body there is nothing to wait for, and an upstream might answer 417.
            guard head.expectContinue, head.framing != .none, head.framing != .length(0), !carried.expectation
            else { return false }
            carried.expectation = true
        case .maxForwards where self.counts(head):
            guard !carried.maxForwards else { return false }
            carried.maxForwards = true
        default: break
        }
        return !policy.edits.drops(field.name, in: source)
    }

    /// Whether what a field says about the request's origin goes on as it is.
    private static func believes(
        _ field: Field, policy: RequestPolicy, isTrusted: Bool, _ carried: inout Carried
    ) -> Bool {
        if field.id == .via { return true }
        guard isTrusted else { return false }
        switch field.id {
        case .xForwardedFor:
            // Continued by ourselves; as it is where we send none.
            carried.forwardedFor = policy.xForwarded
            return !policy.xForwarded
        case .xForwardedProto: carried.proto = true
        case .xForwardedHost: carried.host = true
        case .xRequestID where policy.requestID:
            guard !field.value.isEmpty, field.value.count <= 128, !carried.requestID else { return false }
            carried.requestID = true
        default: break
        }
        return true
    }

    /// Max-Forwards binds TRACE and OPTIONS only (RFC 9110 7.6.2).
    private static func counts(_ head: RequestHead) -> Bool {
        head.maxForwards != nil && (head.method == .trace || head.method == .options)
    }

    private static func takesTrailers(_ source: borrowing Span<UInt8>, _ value: ByteRange) -> Bool {
        var elements = ElementList(value)
        while let element = elements.next(in: source) {
            if ASCII.equalsIgnoringCase(source, element, lowercase: "trailers") { return true }
        }
        return false
    }

    @inline(__always)
    private static func write(
        _ field: Field, of head: RequestHead, source: borrowing Span<UInt8>, run: inout LineRun,
        into writer: inout ByteWriter
    ) {
        switch field.id {
        case .expect:
            run.flush(source, into: &writer)
            writer.append("Expect: 100-continue\r\n")
        case .maxForwards where self.counts(head):
            run.flush(source, into: &writer)
            let hops = head.maxForwards ?? 0
            writer.append("Max-Forwards: ")
            // One less; the caller answers at zero.
            writer.append(decimal: UInt64(hops > 0 ? hops - 1 : 0))
            writer.append("\r\n")
        default: run.add(field, of: source, into: &writer)
        }
    }

    private static func writeConnection(
        _ head: RequestHead, source: borrowing Span<UInt8>, upgrades: Bool, carried: Carried,
        into writer: inout ByteWriter
    ) {
        if carried.trailers {
            writer.append("TE: trailers\r\n")
            if !upgrades { writer.append("Connection: te\r\n") }
        }
        guard upgrades else { return }
        writer.append(carried.trailers ? "Connection: upgrade, te\r\nUpgrade: " : "Connection: upgrade\r\nUpgrade: ")
        writer.append(source, head.upgrade)
        writer.append("\r\n")
    }
}
