import JSONText
import Traffic

/// Reads the document as a whole, and checks what spans several sections.
struct ConfigurationReader {
    /// nil only if the document is no object. Otherwise what could be read, which is worth something only if nothing
    /// was reported.
    func read(_ root: Node) -> BalancerConfiguration? {
        guard let document = root.section(.document) else { return nil }
        document["$schema"].map { _ = $0.string() }
        var configuration = BalancerConfiguration(listeners: self.listeners(document), table: TableSpec())
        self.readProcess(document, into: &configuration)
        self.readTable(document, into: &configuration.table, listeners: configuration.listeners)
        if let node = document["migrations"] {
            MigrationReader(table: configuration.table, isKept: document.has("state"))
                .read(node, into: &configuration)
        }
        return configuration
    }

    // MARK: the process

    private func listeners(_ document: Section) -> [ListenerSpec] {
        guard let nodes = document.required("listeners")?.elements("a list of listeners", minimum: 1, maximum: 64)
        else {
            return []
        }
        var listeners: [ListenerSpec] = []
        for node in nodes {
            guard let section = node.section(.listener) else { continue }
            let name = section.required("name")?.name()
            let address = section.required("address")?.listenAddress()
            if let name, listeners.contains(where: { $0.name == name }) {
                section["name"]?.fail("the name \(name.quoted) is already taken by another listener")
            }
            if let address, let other = listeners.first(where: { $0.address.collides(with: address) }) {
                section["address"]?.fail(
                    "the address \(address) is already taken by another listener"
                        + (other.address == address ? "" : ", \(other.name.quoted) on \(other.address)"))
            }
            guard let name, let address else { continue }
            var listener = ListenerSpec(name: name, address: address)
            ListenerReader.read(section, into: &listener)
            listeners.append(listener)
        }
        return listeners
    }

    /// Whether every listener that the document has could be read.
    private func areAllNamed(_ listeners: [ListenerSpec], in document: Section) -> Bool {
        guard case .array(let given)? = document["listeners"]?.value.content else { return false }
        return given.count == listeners.count
    }

    private func readProcess(_ document: Section, into configuration: inout BalancerConfiguration) {
        if let node = document["admin"] {
            let admin = self.admin(node)
            for (key, address) in [("address", admin?.address), ("observe", admin?.observe)] {
                guard let address else { continue }
                if let listener = configuration.listeners.first(where: { $0.address.collides(with: address) }) {
                    (node.member(key) ?? node).fail(
                        "the address \(address) is already taken by the listener \(listener.name.quoted)")
                }
            }
            if let admin, let observe = admin.observe, observe.collides(with: admin.address) {
                node.member("observe")?.fail("the address \(observe) is already taken by $.admin.address")
            }
            configuration.admin = admin
        } else if let admin = configuration.admin,
            let listener = configuration.listeners.first(where: { $0.address.collides(with: admin.address) })
        {
            document.fail(
                "the listener \(listener.name.quoted) takes \(admin.address), where the admin API listens by default; "
                    + "set $.admin")
        }
        document.read("accessLog", into: &configuration.accessLog) { self.accessLog($0) }
        document.read("operationalLog", into: &configuration.operationalLog) { node in
            node.section(.operationalLog)?.required("level")?.word(
                OperationalLogLevel.allCases.map { ($0.rawValue, $0) })
        }
        document.read("workers", into: &configuration.workers) { $0.integer(1...1_024) }
        document.read("batching", into: &configuration.batching) { node in
            node.section(.batching)?.required("enabled")?.bool()
        }
        document.read("takeover", into: &configuration.takeover) { node in
            // The path of a local socket, with its final zero byte, must fit into the 108 bytes of sockaddr_un.
            node.section(.takeover)?.required("path")?.filePath(limit: 107)
        }
        document.read("guard", into: &configuration.guardSpec) { self.guardSpec($0) }
        document.read("state", into: &configuration.state) { node in
            // What is put behind it for files beside it must fit, too.
            node.section(.state)?.required("path")?.filePath(limit: 4_000)
        }
        self.readCluster(document, into: &configuration)
    }

    private func readCluster(_ document: Section, into configuration: inout BalancerConfiguration) {
        document.read("cluster", into: &configuration.cluster) { ClusterReader.read($0) }
        if configuration.cluster != nil { configuration.fingerprint = FileFingerprint.of(document.node.value) }
    }

    private func admin(_ node: Node) -> AdminSpec? {
        if case .bool(false) = node.value.content { return nil }
        var admin = AdminSpec()
        guard let section = node.section(.admin, "an object or false") else { return admin }
        section.read("address", into: &admin.address) { $0.listenAddress() }
        section.read("observe", into: &admin.observe) { $0.listenAddress() }
        section.read("hosts", into: &admin.hosts) { node in
            node.elements("a list of host names such as [\"balancer.internal\"]", maximum: 64)?
                .compactMap(self.adminHost)
        }
        admin.tls = section["tls"].flatMap { TLSReader.admin($0) }
        self.readTokens(section, into: &admin)
        return admin
    }

    private func readTokens(_ section: Section, into admin: inout AdminSpec) {
        section.read("tokensFile", into: &admin.tokensFile) { $0.filePath(limit: 4_095) }
        section.read("metricsToken", into: &admin.metricsToken) { TokensReader.sha256($0) }
        if let node = section["tokens"] {
            // Said, and not forgotten.
            if case .bool(false) = node.value.content {
                if admin.tokensFile != nil { node.fail("there is $.admin.tokensFile") }
                return
            }
            admin.tokens = TokensReader().read(node) ?? []
            if admin.tokens.isEmpty, case .array = node.value.content, node.report.isEmpty {
                node.fail("expected at least one token, or false where nobody needs one")
            }
        }
        guard !admin.address.ip.isLoopback, admin.tokensFile == nil, admin.tokens.isEmpty, !section.has("tokens") else {
            return
        }
        (section["address"] ?? section.node).fail(
            "off loopback the admin API needs $.admin.tokens or $.admin.tokensFile (`balancer token create`), or "
                + "\"tokens\": false if whoever reaches it may do everything")
    }

    private func adminHost(_ node: Node) -> String? {
        guard let text = node.string("a host name such as \"balancer.internal\"")?.lowercased() else { return nil }
        if Syntax.isHost(text) { return text }
        if let (host, _) = Syntax.hostAndPort(text), Syntax.isHost(host) {
            node.fail("a host is compared without its port; write \(host.quoted)")
        } else {
            node.failExpecting("a host name such as \"balancer.internal\"")
        }
        return nil
    }

    private func guardSpec(_ node: Node) -> GuardSpec? {
        guard let section = node.section(.guardRules) else { return nil }
        var spec = GuardSpec()
        section.read("minimum", into: &spec.minimum) { $0.integer(0...1_000_000) }
        section.read("available", into: &spec.available) { $0.integer(0...100) }
        section.read("headroom", into: &spec.headroom) { $0.integer(1...100) }
        return spec
    }

    private func accessLog(_ node: Node) -> AccessLogSpec? {
        guard let section = node.section(.accessLog) else { return nil }
        var enabled = true
        var path: String?
        section.read("enabled", into: &enabled) { $0.bool() }
        var mirror = false
        section.read("path", into: &path) { $0.filePath(limit: 4_095) }
        section.read("mirror", into: &mirror) { $0.bool() }
        guard enabled else { return AccessLogSpec(.disabled) }
        return AccessLogSpec(path.map { .file(path: $0) } ?? .standardOutput, mirror: mirror)
    }

    // MARK: the table

    private func readTable(_ document: Section, into table: inout TableSpec, listeners: [ListenerSpec]) {
        if let timeouts = document["timeouts"]?.section(.timeouts) { timeouts.readTimeouts(into: &table.timeouts) }
        if let limits = document["limits"]?.section(.limits) { limits.readLimits(into: &table.limits) }
        if let buffering = document["buffering"]?.section(.buffering) {
            buffering.readBuffering(into: &table.buffering)
        }
        if let forwarding = document["forwarding"]?.section(.forwarding) {
            forwarding.readForwarding(into: &table.forwarding)
        }
        document.read("trustedProxies", into: &table.forwarding.trustedProxies) { $0.addressBlocks() }
        document.read("tracing", into: &table.tracing) { TracingReader.read($0) }
        document["errors"]?.section(.errors)?.read("reason", into: &table.explainErrors) { $0.bool() }

        let upstreams = UpstreamReader(
            endpoints: EndpointReader(listeners: listeners))
        let members = document.required("upstreams")?.members("an object of upstreams by name")
        for (name, node) in members ?? [] {
            if !Syntax.isName(name) { node.fail("\(name.quoted) is not a name; " + Node.nameRule) }
            table.upstreams.append(upstreams.read(node, name: name))
        }

        guard let nodes = document.required("routes")?.elements("a list of routes", minimum: 1, maximum: 100_000) else {
            return
        }
        let reader = RouteReader(
            // Without any upstreams, that is the fault, and not each route that names one.
            upstreams: members == nil ? nil : table.upstreams.map(\.name),
            // Likewise where a listener could not be read.
            listeners: self.areAllNamed(listeners, in: document) ? listeners.map(\.name) : nil,
            timeouts: table.timeouts, limits: table.limits, buffering: table.buffering)
        var names: [String: String] = [:]
        for (index, node) in nodes.enumerated() {
            guard let route = reader.read(node, position: index + 1) else { continue }
            if let first = names[route.name] {
                (node.member("name") ?? node).fail("the name \(route.name.quoted) is already taken by \(first)")
            }
            names[route.name] = names[route.name] ?? node.path
            table.routes.append(route)
        }
    }
}
