import HTTPWire
import Reactor
import Traffic

/// The bytes of a probe and the meaning of what comes back. Pure.
struct ProbeExchange: Sendable {
    /// Bytes of an answer that are looked at; an expected text must be within them.
    static let limit = 65_536
    /// Bytes of a chunked body's extensions and trailers that are read past.
    private static let extensionLimit = 4_096
    private static let trailerLimit = 8_192

    let spec: ProbeSpec
    let address: SocketAddress
    /// As `UpstreamSpec.sendProxyProtocol`.
    var proxyProtocol: UInt8 = 0
    /// The announcement then comes before TLS, and not with the request.
    var speaksTLS = false
    var speaks = EndpointProtocol.http1

    /// What is sent where HTTP/2 is spoken.
    var requestOverHTTP2: [UInt8] {
        HTTP2Probe.request(self.spec, host: self.spec.host ?? self.address.description, isSecure: self.speaksTLS)
    }

    var request: [UInt8] {
        guard self.speaks != .http2 else { return self.requestOverHTTP2 }
        let host = self.spec.host ?? self.address.description
        let text =
            "\(self.spec.method) \(self.spec.path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: balancer-probe\r\n"
            + "Accept: */*\r\nConnection: close\r\n\r\n"
        return (self.speaksTLS ? [] : self.announcement) + Array(text.utf8)
    }

    /// A probe is nobody's but ours.
    var announcement: [UInt8] {
        guard let version = ProxyHeader.Version(rawValue: self.proxyProtocol) else { return [] }
        return [UInt8](unsafeUninitializedCapacity: ProxyHeaderWriter.room) { room, count in
            var writer = ByteWriter(UnsafeMutableRawBufferPointer(room))
            ProxyHeaderWriter.writeLocal(version, into: &writer)
            count = writer.count
        }
    }

    /// Whether the bytes so far settle the question. Without an expected body the final response head does; waiting
    /// for a body that nobody looks at would only cost the endpoint time.
    func isComplete(_ bytes: [UInt8]) -> Bool {
        guard !self.isHTTP2(bytes) else {
            let answer = HTTP2Probe.read(bytes)
            // As in HTTP/1: without anything to look at in its body the head settles it.
            return answer.isMalformed || answer.isEnded
                || (answer.status > 0 && self.spec.expectedBody == nil && self.spec.grpc == nil)
        }
        return switch self.read(bytes, ended: false) {
        case .incomplete: false
        case .malformed, .head, .body: true
        }
    }

    /// What a finished exchange says about the endpoint.
    func judge(_ result: DialResult) -> (cause: ProbeCause, status: UInt16) {
        switch result.end {
        case .refused: return (.refused, 0)
        case .unreachable, .exhausted, .cancelled: return (.unreachable, 0)
        case .connectTimeout: return (.connectTimeout, 0)
        case .reset: return (.reset, 0)
        case .handshake(let failure): return (failure.kind == .certificate ? .certificate : .handshake, 0)
        case .responseTimeout: return (.responseTimeout, 0)
        case .closed where result.bytes.isEmpty: return (.reset, 0)
        case .complete, .closed, .limit: break
        }
        guard !self.isHTTP2(result.bytes) else { return self.judge(HTTP2Probe.read(result.bytes)) }
        // No HTTP/1 endpoint has a gRPC service.
        guard self.spec.grpc == nil else { return (.notServing, 0) }
        switch self.read(result.bytes, ended: true) {
        case .malformed, .incomplete: return (.malformed, 0)
        case .head(let status): return (self.isExpected(status) ? .ok : .status, status)
        case .body(let status, let body):
            guard self.isExpected(status) else { return (.status, status) }
            let wanted = Array((self.spec.expectedBody ?? "").utf8)
            return (Self.contains(body, wanted) ? .ok : .body, status)
        }
    }

    /// Frames have come. Where the endpoint may choose, HTTP/1 begins with its name, and SETTINGS with a zero.
    private func isHTTP2(_ bytes: [UInt8]) -> Bool {
        self.speaks == .http2 || (self.speaks == .negotiated && bytes.first == 0)
    }

    private func judge(_ answer: HTTP2Probe.Answer) -> (cause: ProbeCause, status: UInt16) {
        guard !answer.isMalformed, answer.status > 0 else { return (.malformed, 0) }
        if self.spec.grpc != nil {
            let serves = answer.status == 200 && answer.grpcStatus == "0" && HTTP2Probe.saysServing(answer.body)
            return (serves ? .ok : .notServing, answer.status)
        }
        guard self.isExpected(answer.status) else { return (.status, answer.status) }
        guard let wanted = self.spec.expectedBody else { return (.ok, answer.status) }
        return (Self.contains(answer.body, Array(wanted.utf8)) ? .ok : .body, answer.status)
    }

    // MARK: reading

    private enum Reading {
        case incomplete
        case malformed
        /// The final head, when no body matters.
        case head(UInt16)
        case body(UInt16, [UInt8])
    }

    /// `ended`: no more will come, so that a cut body is judged as far as it goes.
    private func read(_ bytes: [UInt8], ended: Bool) -> Reading {
        let method: HTTPMethod =
            switch self.spec.method {
            case "HEAD": .head
            case "GET": .get
            case "OPTIONS": .options
            case "POST": .post
            default: .other
            }
        let limits = HeadLimits(requestLine: 8_192, bytes: 32_768, count: 128)
        var fields = FieldTable()
        var rest = bytes[...]
        // Interim responses come before the final one; more than a few are a fault.
        for _ in 0..<8 {
            let present = Array(rest)
            fields.removeAll()
            let head: ResponseHead
            do throws(HeadError) {
                guard let parsed = try HeadParser.response(present.span, to: method, limits: limits, fields: &fields)
                else { return .incomplete }
                head = parsed
            } catch {
                return .malformed
            }
            rest = rest.dropFirst(head.length)
            if (100...199).contains(head.status), head.status != 101 { continue }
            guard self.spec.expectedBody != nil, self.isExpected(head.status) else { return .head(head.status) }
            return Self.body(Array(rest), head: head, ended: ended)
        }
        return .malformed
    }

    private static func body(_ bytes: [UInt8], head: ResponseHead, ended: Bool) -> Reading {
        var bytes = bytes
        var frames = [UInt8](repeating: 0, count: BodyFrames.room(trailerLimit: Self.trailerLimit))
        var reader = BodyReader(
            head.framing, of: .response, extensionLimit: Self.extensionLimit, trailerLimit: Self.trailerLimit)
        do throws(ChunkError) {
            let piece = try bytes.withUnsafeMutableBufferPointer { bytes throws(ChunkError) in
                try frames.withUnsafeMutableBufferPointer { frames throws(ChunkError) in
                    try reader.take(
                        UnsafeMutableRawBufferPointer(bytes), frames: UnsafeMutableRawBufferPointer(frames),
                        trailers: TrailerRules())
                }
            }
            return reader.isEnded || ended ? .body(head.status, Array(bytes.prefix(piece.data))) : .incomplete
        } catch {
            return .malformed
        }
    }

    private func isExpected(_ status: UInt16) -> Bool {
        self.spec.expectedStatus.contains { $0.contains(status) }
    }

    /// Whether `wanted` occurs in `bytes`. Both are short: the plain search is enough.
    static func contains(_ bytes: [UInt8], _ wanted: [UInt8]) -> Bool {
        guard let first = wanted.first else { return true }
        guard bytes.count >= wanted.count else { return false }
        for start in 0...(bytes.count - wanted.count) where bytes[start] == first {
            if bytes[start..<(start + wanted.count)].elementsEqual(wanted) { return true }
        }
        return false
    }
}
