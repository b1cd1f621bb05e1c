import JSONText
import Traffic

/// Deadlines, limits, forwarding: at the top level, and those of them that a route may set for itself.
extension Section {
    /// The longest deadline, 30 days: longer than any sensible wait, and far from the end of 32 bits.
    static let longest: UInt32 = 30 * 24 * 3_600_000

    /// Sets what the section gives over what `timeouts` holds. Sections of a route know fewer keys.
    func readTimeouts(into timeouts: inout Timeouts) {
        let targets: [(String, WritableKeyPath<Timeouts, UInt32>)] = [
            ("proxyHeader", \.proxyHeader), ("tlsHandshake", \.tlsHandshake), ("requestHeader", \.requestHeader),
            ("requestBodyIdle", \.requestBodyIdle),
            ("connect", \.connect),
            ("responseHeader", \.responseHeader), ("responseBodyIdle", \.responseBodyIdle), ("keepAlive", \.keepAlive),
            ("upstreamIdle", \.upstreamIdle), ("upstreamLifetime", \.upstreamLifetime), ("tunnelIdle", \.tunnelIdle),
            ("tunnelHalfClosed", \.tunnelHalfClosed), ("linger", \.linger), ("queue", \.queue), ("drain", \.drain),
            ("connectionLifetime", \.connectionLifetime), ("http2Ping", \.http2Ping),
        ]
        for (key, target) in targets where self.keys.keys.contains(key) {
            self.read(key, into: &timeouts[keyPath: target]) { $0.duration(1...Self.longest) }
        }
    }

    /// Likewise for `limits`.
    func readLimits(into limits: inout Limits) {
        let sizes: [(String, WritableKeyPath<Limits, UInt32>, ClosedRange<UInt32>)] = [
            // A worker's read buffer holds a whole head: the upper bounds keep it within a few MiB.
            ("requestLine", \.requestLine, 64...1_048_576), ("headerBytes", \.headerBytes, 256...1_048_576),
            ("requestBodyRate", \.requestBodyRate, 0...1_073_741_824),
            ("chunkExtensionBytes", \.chunkExtensionBytes, 0...1_048_576),
            // Trailers are rewritten in a worker's frame buffer, which holds 32 KiB.
            ("trailerBytes", \.trailerBytes, 0...16_384),
            ("mirrorBody", \.mirrorBody, 0...16_777_216),
        ]
        for (key, target, range) in sizes where self.keys.keys.contains(key) {
            self.read(key, into: &limits[keyPath: target]) { $0.size(range) }
        }
        let counts: [(String, WritableKeyPath<Limits, UInt32>, ClosedRange<UInt32>)] = [
            ("headerCount", \.headerCount, 1...10_000), ("connections", \.connections, 1...10_000_000),
            ("connectionsPerClient", \.connectionsPerClient, 0...10_000_000),
            ("interimResponses", \.interimResponses, 0...1_000),
        ]
        for (key, target, range) in counts where self.keys.keys.contains(key) {
            self.read(key, into: &limits[keyPath: target]) { $0.integer(range) }
        }
        self.read("body", into: &limits.body) { $0.size(0...UInt64(1 << 60)) }
        guard self.keys.keys.contains("buffered") else { return }
        self.read("buffered", into: &limits.buffered) { $0.size(UInt64(1 << 20)...UInt64(1 << 50)) }
        if let http2 = self["http2"]?.section(.http2Limits) { http2.readHTTP2(into: &limits.http2) }
        if let tls = self["tls"]?.section(.tlsLimits) { tls.readTLS(into: &limits.tls) }
    }

    private func readTLS(into limits: inout TLSLimits) {
        self.read("handshakes", into: &limits.handshakes) { $0.integer(1...1_000_000) }
        self.read("handshakesPerClient", into: &limits.handshakesPerClient) { $0.integer(0...1_000_000) }
        self.read("handshakesPerTurn", into: &limits.handshakesPerTurn) { $0.integer(1...1_000) }
    }

    private func readHTTP2(into limits: inout HTTP2LimitsSpec) {
        self.read("concurrentStreams", into: &limits.concurrentStreams) { $0.integer(1...1_000) }
        self.read("resets", into: &limits.resets) { $0.integer(10...100_000) }
        self.read("unsentControl", into: &limits.unsentControl) { $0.integer(10...100_000) }
        // Every stream begins with 64 KiB.
        self.read("streamWindow", into: &limits.streamWindow) { $0.size(65_536...16_777_216) }
        self.read("connectionWindow", into: &limits.connectionWindow) { $0.size(262_144...268_435_456) }
    }

    func readBuffering(into buffering: inout BufferingSpec) {
        self.read("request", into: &buffering.request) { $0.size(0...BufferingSpec.largestRequest) }
    }

    func readForwarding(into forwarding: inout ForwardingSpec) {
        self.read("via", into: &forwarding.via) { node in
            if case .bool(false) = node.value.content { return "" }
            // The pseudonym of RFC 9110 §7.6.3.
            return node.token("a name for Via, or false")
        }
        self.read("forwarded", into: &forwarding.forwarded) { $0.bool() }
        self.read("xForwarded", into: &forwarding.xForwarded) { $0.bool() }
        self.read("requestID", into: &forwarding.requestID) { $0.bool() }
        self.read("clientCertificate", into: &forwarding.clientCertificate) { $0.bool() }
        self.read("underscores", into: &forwarding.underscores) { node in
            node.word([("drop", .drop), ("keep", .keep), ("refuse", .refuse)])
        }
        self.read("maxPasses", into: &forwarding.maxPasses) { $0.integer(0...100) }
    }
}
