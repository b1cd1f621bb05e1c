extension TableSpec {
    /// Of all but the routes, whose digests are kept with them.
    var digest: Digest {
        var digest = Digest()
        digest.add(self.timeouts)
        digest.add(self.limits)
        digest.add(self.buffering)
        digest.add(self.forwarding)
        digest.add(self.explainErrors)
        digest.add(self.tracing)
        digest.add(self.upstreams)
        return digest
    }
}

extension RouteSpec: Digestible {
    var digest: Digest {
        var digest = Digest()
        digest.add(self)
        return digest
    }

    func add(to digest: inout Digest) {
        digest.add(self.name)
        digest.add(self.match)
        digest.add(self.action)
        digest.add(self.sticky)
        digest.add(self.failover)
        digest.add(self.reserve)
        digest.add(self.override)
        digest.add(self.upgrade)
        digest.add(self.pathRewrite)
        digest.add(self.hostRewrite)
        digest.add(self.requestHeaders)
        digest.add(self.responseHeaders)
        digest.add(self.timeouts)
        digest.add(self.limits)
        digest.add(self.buffering)
        digest.add(self.access)
        digest.add(self.rateLimits)
        digest.add(self.basicAuth)
        digest.add(self.compression)
        digest.add(self.migration)
        digest.add(UInt64(bitPattern: Int64(self.watchedMember ?? -1)))
    }
}

extension MigrationTraffic: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.name)
        digest.add(UInt64(self.from))
        digest.add(UInt64(self.to))
        digest.add(self.epoch)
        digest.add(UInt64(self.stage))
        digest.add(self.mirrorShare)
        digest.add(self.settle)
        digest.add(self.mirror)
    }
}

extension MirrorSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.methods)
        digest.add(self.except)
        digest.add(self.drop)
        digest.add(self.perSecond)
        digest.add(self.connections)
        digest.add(self.queue)
        digest.add(self.memory)
        digest.add(self.timeout)
        digest.add(self.headers)
        digest.add(self.templates)
    }
}

extension Timeouts: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.proxyHeader)
        digest.add(self.tlsHandshake)
        digest.add(self.requestHeader)
        digest.add(self.requestBodyIdle)
        digest.add(self.connect)
        digest.add(self.responseHeader)
        digest.add(self.responseBodyIdle)
        digest.add(self.keepAlive)
        digest.add(self.upstreamIdle)
        digest.add(self.upstreamLifetime)
        digest.add(self.tunnelIdle)
        digest.add(self.tunnelHalfClosed)
        digest.add(self.linger)
        digest.add(self.queue)
        digest.add(self.connectionLifetime)
        digest.add(self.http2Ping)
        digest.add(self.drain)
    }
}

extension HTTP2LimitsSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.concurrentStreams)
        digest.add(self.resets)
        digest.add(self.unsentControl)
        digest.add(self.streamWindow)
        digest.add(self.connectionWindow)
    }
}

extension Limits: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.requestLine)
        digest.add(self.headerBytes)
        digest.add(self.headerCount)
        digest.add(self.body)
        digest.add(self.requestBodyRate)
        digest.add(self.buffered)
        digest.add(self.connections)
        digest.add(self.connectionsPerClient)
        digest.add(self.interimResponses)
        digest.add(self.chunkExtensionBytes)
        digest.add(self.trailerBytes)
        digest.add(self.mirrorBody)
        digest.add(self.http2)
        digest.add(self.tls.handshakes)
        digest.add(self.tls.handshakesPerClient)
        digest.add(self.tls.handshakesPerTurn)
    }
}

extension BufferingSpec: Digestible {
    func add(to digest: inout Digest) { digest.add(self.request) }
}

extension ForwardingSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.trustedProxies)
        digest.add(self.via)
        digest.add(self.forwarded)
        digest.add(self.xForwarded)
        digest.add(self.requestID)
        digest.add(self.clientCertificate)
        digest.add(self.underscores == .drop ? 0 : self.underscores == .keep ? 1 : 2 as UInt64)
        digest.add(self.maxPasses)
    }
}

extension TracingSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.endpoint)
        digest.add(self.sample.bitPattern)
        digest.add(self.service)
        digest.add(self.caFile)
    }
}

extension IPAddress: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.high)
        digest.add(self.low)
    }
}

extension SocketAddress: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.ip)
        digest.add(UInt64(self.port))
    }
}

extension AddressBlock: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.base)
        digest.add(UInt64(self.prefixLength))
    }
}

extension UpstreamSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.name)
        digest.add(self.endpoints)
        digest.add(self.names)
        digest.add(self.discovery)
        digest.add(self.balance)
        digest.add(self.health)
        digest.add(self.passive)
        digest.add(self.slowStart)
        digest.add(self.maxConnections)
        digest.add(self.maxOutstanding)
        digest.add(self.queueLength)
        digest.add(self.idleConnections)
        digest.add(self.retry)
        digest.add(UInt64(self.sendProxyProtocol))
        digest.add(self.tls)
        digest.add(UInt64(self.speaks.rawValue))
    }
}

extension DiscoverySpec: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .dns(let lookup, let port):
            digest.add(0 as UInt64)
            digest.add(lookup)
            digest.add(UInt64(port))
        case .srv(let lookup):
            digest.add(1 as UInt64)
            digest.add(lookup)
        case .endpointSlices(let lookup):
            digest.add(2 as UInt64)
            digest.add(lookup)
        }
    }
}

extension NameLookup: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.name)
        digest.add(self.interval)
        digest.add(self.resolver)
        digest.add(self.staleFor)
    }
}

extension EndpointSliceLookup: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.service)
        digest.add(self.namespace)
        digest.add(self.port)
        digest.add(self.server)
        digest.add(self.tokenFile)
        digest.add(self.caFile)
    }
}

extension EndpointSliceLookup.Port: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .name(let name):
            digest.add(0 as UInt64)
            digest.add(name)
        case .number(let number):
            digest.add(1 as UInt64)
            digest.add(UInt64(number))
        }
    }
}

extension UpstreamTLS: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.authorities)
        digest.add(self.serverName)
        digest.add(self.isVerified)
        digest.add(self.chain)
        digest.add(self.key)
        digest.add(self.minimumVersion == .v13)
    }
}

extension NamedFile: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.path)
        digest.add(UInt64(self.bytes.count))
        for byte in self.bytes { digest.add(UInt64(byte)) }
    }
}

extension EndpointName: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.host)
        digest.add(UInt64(self.port))
        digest.add(UInt64(truncatingIfNeeded: self.position))
    }
}

extension Balance: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .roundRobin: digest.add(0 as UInt64)
        case .leastOutstanding: digest.add(1 as UInt64)
        case .consistentHash(let key):
            digest.add(2 as UInt64)
            digest.add(key)
        }
    }
}

extension HashKey: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .clientAddress: digest.add(0 as UInt64)
        case .header(let name):
            digest.add(1 as UInt64)
            digest.add(name)
        case .cookie(let name):
            digest.add(2 as UInt64)
            digest.add(name)
        }
    }
}

extension RetrySpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.attempts)
        digest.add(self.budgetPercent)
        digest.add(self.minimumPerSecond)
    }
}

extension ProbeSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.method)
        digest.add(self.path)
        digest.add(self.host)
        digest.add(self.interval)
        digest.add(self.timeout)
        digest.add(self.rise)
        digest.add(self.fall)
        digest.add(self.expectedStatus.map { UInt32($0.lowerBound) << 16 | UInt32($0.upperBound) })
        digest.add(self.expectedBody)
        digest.add(self.grpc)
    }
}

extension PassiveSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.enabled)
        digest.add(self.consecutiveFailures)
        digest.add(self.failureRate)
        digest.add(self.minimumRequests)
        digest.add(self.window)
        digest.add(self.baseEjection)
        digest.add(self.maxEjection)
        digest.add(self.maxEjectedShare)
    }
}
