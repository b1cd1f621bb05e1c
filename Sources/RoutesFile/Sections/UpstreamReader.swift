import JSONText
import Traffic

/// Reads one upstream.
struct UpstreamReader {
    let endpoints: EndpointReader

    /// Always an upstream of that name: routes that name it are not to be reported for its faults.
    func read(_ node: Node, name: String) -> UpstreamSpec {
        var upstream = UpstreamSpec(name: name)
        guard let section = node.section(.upstream) else { return upstream }
        switch (section["endpoints"], section["discovery"]) {
        case (let endpoints?, nil):
            if let given = self.endpoints.read(endpoints) {
                (upstream.endpoints, upstream.names) = (given.addresses, given.names)
            }
        case (nil, let discovery?): upstream.discovery = DiscoveryReader.read(discovery)
        case (nil, nil): section.fail("expected \"endpoints\" or \"discovery\"")
        case (_?, _?): section.fail("expected \"endpoints\" or \"discovery\", not both")
        }
        section.read("balance", into: &upstream.balance) { self.balance($0) }
        section.read("health", into: &upstream.health) { self.health($0) }
        section.read("passive", into: &upstream.passive) { self.passive($0) }
        section.read("slowStart", into: &upstream.slowStart) { $0.duration(0...3_600_000) }
        section.read("maxConnections", into: &upstream.maxConnections) { $0.integer(0...1_000_000) }
        section.read("maxOutstanding", into: &upstream.maxOutstanding) { $0.integer(0...1_000_000) }
        section["queue"]?.section(.queue)?.read("length", into: &upstream.queueLength) { $0.integer(0...100_000) }
        section.read("idleConnections", into: &upstream.idleConnections) { $0.integer(0...65_536) }
        section.read("retry", into: &upstream.retry) { self.retry($0) }
        section.read("sendProxyProtocol", into: &upstream.sendProxyProtocol) { $0.integer(1...2) }
        section.read("tls", into: &upstream.tls) { TLSReader.upstream($0) }
        section.read("protocol", into: &upstream.speaks) {
            $0.word([("http1", .http1), ("http2", .http2), ("auto", .negotiated)])
        }
        if upstream.health?.grpc != nil, upstream.speaks == .http1 {
            section["health"]?.fail("\"grpc\" needs \"protocol\": \"http2\" or \"auto\"")
        }
        if upstream.speaks == .negotiated, !section.has("tls") {
            section["protocol"]?.fail("expected \"tls\": without it nothing is agreed on; say \"http1\" or \"http2\"")
        }
        if upstream.speaks != .http1, upstream.sendProxyProtocol > 0 {
            section["protocol"]?.fail(
                "expected \"http1\": with \"sendProxyProtocol\" a connection belongs to one client")
        }
        switch upstream.discovery {
        case .srv?, .endpointSlices?:
            if let tls = upstream.tls, tls.isVerified, tls.serverName == nil {
                section["tls"]?.fail("expected \"serverName\": discovery finds addresses, which few certificates have")
            }
        case .dns?, nil: break
        }
        if let tls = upstream.tls, tls.isVerified, tls.serverName == nil, !upstream.names.isEmpty,
            upstream.tlsName == nil || !upstream.endpoints.isEmpty
        {
            section["tls"]?.fail("expected \"serverName\": the endpoints have several names, or names and addresses")
        }
        return upstream
    }

    private func balance(_ node: Node) -> Balance? {
        if case .object = node.value.content {
            return node.section(.balanceHash)?.required("hash")?.hashKey().map { .consistentHash($0) }
        }
        guard case .string = node.value.content else {
            node.failExpecting("\"round-robin\", \"least-outstanding\" or {\"hash\": …}")
            return nil
        }
        return node.word([("round-robin", .roundRobin), ("least-outstanding", .leastOutstanding)])
    }

    private func retry(_ node: Node) -> RetrySpec? {
        guard let section = node.section(.retry) else { return nil }
        var retry = RetrySpec()
        section.read("attempts", into: &retry.attempts) { $0.integer(0...5) }
        section.read("budgetPercent", into: &retry.budgetPercent) { $0.integer(0...100) }
        section.read("minimumPerSecond", into: &retry.minimumPerSecond) { $0.integer(0...10_000) }
        return retry
    }

    private func passive(_ node: Node) -> PassiveSpec? {
        guard let section = node.section(.passive) else { return nil }
        var passive = PassiveSpec()
        section.read("enabled", into: &passive.enabled) { $0.bool() }
        section.read("consecutiveFailures", into: &passive.consecutiveFailures) { $0.integer(1...10_000) }
        section.read("failureRate", into: &passive.failureRate) { $0.integer(1...100) }
        section.read("minimumRequests", into: &passive.minimumRequests) { $0.integer(1...1_000_000) }
        section.read("window", into: &passive.window) { $0.duration(100...3_600_000) }
        section.read("baseEjection", into: &passive.baseEjection) { $0.duration(1...86_400_000) }
        // Raising only the base must not need a second key.
        passive.maxEjection = max(passive.maxEjection, passive.baseEjection)
        section.read("maxEjection", into: &passive.maxEjection) { $0.duration(1...86_400_000) }
        section.read("maxEjectedShare", into: &passive.maxEjectedShare) { $0.integer(0...100) }
        if passive.maxEjection < passive.baseEjection {
            section["maxEjection"]?.fail(
                "is less than baseEjection, \(Quantity.text(milliseconds: passive.baseEjection))")
        }
        return passive
    }

    // MARK: probes

    private func health(_ node: Node) -> ProbeSpec? {
        guard let section = node.section(.health) else { return nil }
        var probe = ProbeSpec()
        section.read("method", into: &probe.method) { $0.method() }
        section.read("path", into: &probe.path) { node in
            node.parsed("a path such as \"/healthcheck\"") { Syntax.isTarget($0) ? $0 : nil }
        }
        section.read("host", into: &probe.host) { $0.authority() }
        section.read("interval", into: &probe.interval) { $0.duration(10...86_400_000) }
        // Probing more often must not need a second key.
        probe.timeout = min(probe.timeout, probe.interval)
        section.read("timeout", into: &probe.timeout) { $0.duration(1...86_400_000) }
        if probe.timeout > probe.interval {
            section["timeout"]?.fail("is more than the interval, \(Quantity.text(milliseconds: probe.interval))")
        }
        section.read("rise", into: &probe.rise) { $0.integer(1...100) }
        section.read("fall", into: &probe.fall) { $0.integer(1...100) }
        if let expect = section["expect"]?.section(.expect) {
            expect.read("status", into: &probe.expectedStatus) { self.statuses($0) }
            expect.read("body", into: &probe.expectedBody) { node in
                node.parsed("a text of 1 to 4096 bytes") { (1...4_096).contains($0.utf8.count) ? $0 : nil }
            }
            if probe.method == "HEAD" { expect["body"]?.fail("the answer to HEAD has no body") }
        }
        section.read("grpc", into: &probe.grpc) { node in
            node.parsed("the name of a service, or \"\" for the whole server") { $0.utf8.count <= 1_024 ? $0 : nil }
        }
        if probe.grpc != nil {
            for key in ["method", "path", "expect"] { section[key]?.fail("has no meaning with \"grpc\"") }
        }
        return probe
    }

    private func statuses(_ node: Node) -> [ClosedRange<UInt16>]? {
        node.oneOrMore(Self.statusForms, maximum: 100)?.compactMap { node in
            let range: ClosedRange<UInt16>? =
                switch node.value.content {
                case .number(let digits): Self.status(digits).map { $0...$0 }
                case .string(let text): Self.statusRange(text)
                default: nil
                }
            if range == nil { node.failExpecting(Self.statusForms) }
            return range
        }
    }

    private static let statusForms = "a status such as 200, \"200-399\" or \"2xx\""

    /// `"204"`, `"200-399"` or `"2xx"`.
    private static func statusRange(_ text: String) -> ClosedRange<UInt16>? {
        if text.hasSuffix("xx"), text.utf8.count == 3, let lower = self.status("\(text.prefix(1))00") {
            return lower...(lower + 99)
        }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { self.status(String($0)) }
        guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first <= last else { return nil }
        return first...last
    }

    /// 100…599 in three digits.
    private static func status(_ digits: String) -> UInt16? {
        guard digits.utf8.count == 3, let status = UInt16(digits), (100...599).contains(status) else { return nil }
        return status
    }
}
