/// The keys that one kind of object in routes.json may have. These lists are the only source of what is known; the
/// JSON Schema has one definition for each of them, under the same name.
package struct SectionKeys: Sendable, Equatable {
    /// Of the definition in the schema; empty for the document itself.
    package let name: String
    package let keys: [String]

    private init(_ name: String, _ keys: [String]) {
        self.name = name
        self.keys = keys
    }

    package static let document = SectionKeys(
        "",
        [
            "$schema", "listeners", "admin", "accessLog", "operationalLog", "tracing", "workers", "batching",
            "takeover",
            "state", "cluster", "guard", "trustedProxies", "forwarding", "errors", "timeouts", "limits", "buffering",
            "upstreams", "routes", "migrations",
        ])
    package static let listener = SectionKeys(
        "listener", ["name", "address", "http2", "proxyProtocol", "allow", "deny", "tls"])
    package static let proxyProtocol = SectionKeys("proxyProtocol", ["from", "versions"])
    package static let listenerTLS = SectionKeys(
        "listenerTLS",
        [
            "certificates", "minimumVersion", "groups", "cipherSuites", "ciphers", "unknownName", "strictHost", "hsts",
            "tickets", "clientCertificates",
        ])
    package static let certificate = SectionKeys("certificate", ["certificate", "key", "ocsp"])
    package static let tickets = SectionKeys("tickets", ["rotate", "keyFiles"])
    package static let clientCertificates = SectionKeys("clientCertificates", ["ca", "mode", "depth", "crl"])
    package static let upstreamTLS = SectionKeys(
        "upstreamTLS", ["ca", "serverName", "verify", "certificate", "key", "minimumVersion"])
    package static let admin = SectionKeys(
        "admin", ["address", "observe", "hosts", "tls", "tokens", "tokensFile", "metricsToken"])
    package static let adminTLS = SectionKeys("adminTLS", ["certificate", "key"])
    package static let token = SectionKeys("adminToken", ["name", "role", "sha256"])
    /// A document of its own.
    package static let tokensFile = SectionKeys("tokensFile", ["tokens"])
    package static let accessLog = SectionKeys("accessLog", ["enabled", "path", "mirror"])
    package static let operationalLog = SectionKeys("operationalLog", ["level"])
    package static let tracing = SectionKeys("tracing", ["endpoint", "caFile", "sample", "service"])
    package static let batching = SectionKeys("batching", ["enabled"])
    package static let takeover = SectionKeys("takeover", ["path"])
    package static let state = SectionKeys("state", ["path"])
    package static let cluster = SectionKeys("cluster", ["name", "etcd", "kubernetes"])
    package static let clusterEtcd = SectionKeys("clusterEtcd", ["endpoints", "caFile", "user", "passwordFile"])
    package static let clusterKubernetes = SectionKeys(
        "clusterKubernetes", ["namespace", "server", "tokenFile", "caFile"])
    package static let guardRules = SectionKeys("guard", ["minimum", "available", "headroom"])
    package static let forwarding = SectionKeys(
        "forwarding", ["via", "forwarded", "xForwarded", "requestID", "underscores", "maxPasses", "clientCertificate"])
    package static let errors = SectionKeys("errors", ["reason"])

    package static let timeouts = SectionKeys(
        "timeouts",
        [
            "proxyHeader", "tlsHandshake", "requestHeader", "requestBodyIdle", "connect", "responseHeader",
            "responseBodyIdle",
            "keepAlive", "upstreamIdle", "upstreamLifetime", "tunnelIdle", "tunnelHalfClosed", "linger", "queue",
            "connectionLifetime", "http2Ping", "drain",
        ])
    /// The others apply before a route is known, or to connections that several routes share.
    package static let routeTimeouts = SectionKeys(
        "routeTimeouts",
        [
            "requestBodyIdle", "connect", "responseHeader", "responseBodyIdle", "tunnelIdle", "tunnelHalfClosed",
            "queue",
        ])
    package static let limits = SectionKeys(
        "limits",
        [
            "requestLine", "headerBytes", "headerCount", "body", "requestBodyRate", "buffered", "connections",
            "connectionsPerClient",
            "interimResponses", "chunkExtensionBytes", "trailerBytes", "mirrorBody", "http2", "tls",
        ])
    package static let http2Limits = SectionKeys(
        "http2Limits", ["concurrentStreams", "resets", "unsentControl", "streamWindow", "connectionWindow"])
    package static let tlsLimits = SectionKeys(
        "tlsLimits", ["handshakes", "handshakesPerClient", "handshakesPerTurn"])
    package static let routeLimits = SectionKeys(
        "routeLimits", ["body", "requestBodyRate", "interimResponses", "chunkExtensionBytes", "trailerBytes"])
    /// At the top level and of a route.
    package static let buffering = SectionKeys("buffering", ["request"])

    package static let upstream = SectionKeys(
        "upstream",
        [
            "endpoints", "discovery", "balance", "health", "passive", "slowStart", "maxConnections", "maxOutstanding",
            "queue", "idleConnections", "retry", "sendProxyProtocol", "tls", "protocol",
        ])
    package static let discovery = SectionKeys("discovery", ["dns", "srv", "endpointSlices"])
    package static let dnsDiscovery = SectionKeys("dnsDiscovery", ["name", "port", "interval", "resolver", "staleFor"])
    package static let srvDiscovery = SectionKeys("srvDiscovery", ["name", "interval", "resolver", "staleFor"])
    package static let endpointSlices = SectionKeys(
        "endpointSlices", ["service", "namespace", "port", "server", "tokenFile", "caFile"])
    package static let balanceHash = SectionKeys("balanceHash", ["hash"])
    package static let health = SectionKeys(
        "health", ["method", "path", "host", "interval", "timeout", "rise", "fall", "expect", "grpc"])
    package static let expect = SectionKeys("expect", ["status", "body"])
    package static let passive = SectionKeys(
        "passive",
        [
            "enabled", "consecutiveFailures", "failureRate", "minimumRequests", "window", "baseEjection", "maxEjection",
            "maxEjectedShare",
        ])
    package static let queue = SectionKeys("queue", ["length"])
    package static let retry = SectionKeys("retry", ["attempts", "budgetPercent", "minimumPerSecond"])

    package static let route = SectionKeys(
        "route",
        [
            "name", "match", "split", "redirect", "respond", "sticky", "failover", "reserve", "override", "upgrade",
            "rewrite",
            "host", "requestHeaders", "responseHeaders", "timeouts", "limits", "buffering", "allow", "deny",
            "rateLimit", "basicAuth", "compression",
        ])
    package static let compression = SectionKeys(
        "compression", ["algorithms", "minimum", "types", "credentials", "level"])
    package static let basicAuth = SectionKeys("basicAuth", ["realm", "users", "usersFile", "forward", "userHeader"])
    package static let rateLimit = SectionKeys(
        "rateLimit",
        [
            "name", "key", "rate", "burst", "ipv4Prefix", "ipv6Prefix", "entries", "headers", "dryRun", "except",
        ])
    package static let match = SectionKeys(
        "match", ["host", "path", "method", "listener", "headers", "ignoreCase", "normalise"])
    package static let pathPattern = SectionKeys("pathPattern", ["exact", "prefix"])
    package static let redirect = SectionKeys("redirect", ["status", "scheme", "host", "path"])
    package static let respond = SectionKeys("respond", ["status"])
    /// `sticky` of a route and `hash` of an upstream.
    package static let key = SectionKeys("key", ["by", "name"])
    package static let override = SectionKeys("override", ["header", "trustedOnly", "from"])
    package static let rewrite = SectionKeys("rewrite", ["strip", "replace"])
    package static let replace = SectionKeys("replace", ["prefix", "with"])
    package static let hostRewrite = SectionKeys("hostRewrite", ["literal"])
    package static let headerEdits = SectionKeys("headerEdits", ["set", "remove"])

    package static let migration = SectionKeys(
        "migration",
        [
            "name", "routes", "from", "to", "stages", "mirror", "compare", "gates", "retreat", "patience", "fourEyes",
            "freeze",
        ])
    package static let migrationStage = SectionKeys(
        "migrationStage", ["share", "mirror", "retire", "hold", "approval"])
    package static let migrationMirror = SectionKeys(
        "migrationMirror",
        ["methods", "unsafe", "except", "drop", "perSecond", "connections", "queue", "memory", "timeout"])
    package static let migrationCompare = SectionKeys(
        "migrationCompare", ["headers", "ignore", "unordered", "numbers", "recheck", "templates", "redact"])
    package static let compareUnordered = SectionKeys("compareUnordered", ["path", "key"])
    package static let compareNumbers = SectionKeys("compareNumbers", ["absolute", "relative"])
    package static let compareRedact = SectionKeys("compareRedact", ["paths", "query"])
    package static let migrationGates = SectionKeys(
        "migrationGates",
        [
            "minimum", "falseAlarm", "falseAdvance", "errors", "clientErrors", "cancelled", "latency", "mismatches",
            "settle", "enforce",
        ])
    package static let gateRate = SectionKeys("gateRate", ["tolerance", "margin"])
    package static let gateLatency = SectionKeys("gateLatency", ["p50", "p99", "floor"])
    package static let gateMismatches = SectionKeys("gateMismatches", ["max"])
    package static let migrationRetreat = SectionKeys(
        "migrationRetreat", ["to", "over", "unavailable", "cooldown"])
    package static let freezeWindow = SectionKeys("freezeWindow", ["zone", "days", "dates", "from", "to"])

    package static let all = [
        document, listener, listenerTLS, certificate, tickets, clientCertificates,
        proxyProtocol, admin, adminTLS, token, accessLog, operationalLog, tracing, batching, takeover, state,
        cluster, clusterEtcd, clusterKubernetes, guardRules,
        forwarding, errors, timeouts,
        routeTimeouts, limits, http2Limits, tlsLimits, routeLimits, buffering, upstream, upstreamTLS,
        discovery, dnsDiscovery,
        srvDiscovery,
        endpointSlices,
        balanceHash,
        health, expect, passive, queue, retry, route, rateLimit, basicAuth, compression, match, pathPattern, redirect,
        respond, key,
        override,
        rewrite,
        replace, hostRewrite, headerEdits,
        migration, migrationStage, migrationMirror, migrationCompare, compareUnordered, compareNumbers, compareRedact,
        migrationGates, gateRate, gateLatency, gateMismatches, migrationRetreat, freezeWindow,
    ]
}
