import Synchronization

/// Finds or makes the records that survive table changes, by identity. Control path only: it locks.
///
/// A name that no table names any more is kept for a grace, so that one that returns goes on counting from where it was,
/// and then forgotten. What still refers to it (an exchange that pins an older table) is not disturbed by that.
package final class EndpointRegistry: Sendable {
    private struct Identity: Hashable {
        var upstream: String
        var address: SocketAddress
    }

    private struct Entry<Record: Sendable> {
        let record: Record
        /// Since when no table in force has named it, in monotonic milliseconds; nil: one does, or will.
        var goneSince: UInt64?
    }

    private struct Records {
        var endpoints: [Identity: Entry<Endpoint>] = [:]
        var upstreams: [String: Entry<UpstreamRecord>] = [:]
        var routes: [String: Entry<RouteRecord>] = [:]
        /// By plan.
        var mirrors: [String: Entry<MirrorRecord>] = [:]
        var nextID = 0
        var own = OwnAddresses()
        var secret: (UInt64, UInt64)
        /// By route, and by the name of its limit's table.
        var inherited: [String: [String: [UInt64]]] = [:]

        init(secret: (UInt64, UInt64)) { self.secret = secret }

        mutating func upstream(_ name: String) -> UpstreamRecord {
            if let entry = self.upstreams[name] { return entry.record }
            let record = UpstreamRecord(name: name)
            self.upstreams[name] = Entry(record: record)
            return record
        }
    }

    /// For so many milliseconds a name that is gone is remembered.
    package static let grace: UInt64 = 60_000

    private let records: Mutex<Records>
    private let began: UInt64

    /// `now`: since when states that never changed have lasted, in monotonic milliseconds. `secret`: so that no client can
    /// choose keys that fall together in tables.
    package init(now: UInt64 = 0, secret: (UInt64, UInt64) = (0, 0)) {
        self.began = now
        self.records = Mutex(Records(secret: secret))
    }

    /// `probed` decides how an endpoint begins: unknown, or up because nobody asks. One that nobody asks about any more
    /// before its first verdict counts as up too; other verdicts stay until somebody withdraws them.
    ///
    /// An endpoint that was gone and returns begins a new life: another server may have its address now, so it has neither
    /// the old one's health nor an operator's word about that. Its counters go on.
    package func endpoint(upstream: String, address: SocketAddress, probed: Bool) -> Endpoint {
        let (endpoint, goneSince) = self.records.withLock { records -> (Endpoint, UInt64?) in
            let identity = Identity(upstream: upstream, address: address)
            if let entry = records.endpoints[identity] {
                records.endpoints[identity]?.goneSince = nil
                return (entry.record, entry.goneSince)
            }
            let endpoint = Endpoint(
                id: records.nextID, record: records.upstream(upstream), address: address, probed: probed,
                now: self.began)
            if records.own.contains(address) { endpoint.setRefused(true) }
            records.nextID += 1
            records.endpoints[identity] = Entry(record: endpoint)
            return (endpoint, nil)
        }
        if let goneSince {
            endpoint.beginAnew(probed: probed, now: goneSince)
        } else if !probed, !endpoint.operational.isVerdict {
            endpoint.setOperational(.up, now: self.began)
        }
        return endpoint
    }

    /// Refuses endpoints where this process listens, those that come later too, and no others.
    package func refuse(_ own: OwnAddresses) {
        self.records.withLock { records in
            guard records.own != own else { return }
            records.own = own
            for entry in records.endpoints.values { entry.record.setRefused(own.contains(entry.record.address)) }
        }
    }

    package func upstreamRecord(_ name: String) -> UpstreamRecord { self.records.withLock { $0.upstream(name) } }

    /// What the limits of these routes have given out, for the process that takes over; `now` in nanoseconds.
    package func rateDebts(of routes: [Route], now: UInt64) -> RateDebts {
        var debts = RateDebts(secret: self.records.withLock { $0.secret })
        var left = RateDebts.most
        for route in routes where !route.rateLimits.isEmpty && left > 0 {
            let tables = route.record.debts(now: now, atMost: left)
            left -= tables.reduce(0) { $0 + $1.cells.count / 2 }
            debts.tables += tables
        }
        return debts
    }

    /// Takes on what a predecessor's limits had given out. Before the first table with routes.
    package func inherit(_ debts: RateDebts) {
        guard debts.secret.count == 2 else { return }
        self.records.withLock { records in
            guard records.routes.isEmpty else { return }
            records.secret = (debts.secret[0], debts.secret[1])
            for table in debts.tables { records.inherited[table.route, default: [:]][table.limit] = table.cells }
        }
    }

    package func routeRecord(_ name: String) -> RouteRecord {
        self.records.withLock { records in
            if let entry = records.routes[name] { return entry.record }
            let record = RouteRecord(
                name: name, secret: records.secret, inherited: records.inherited.removeValue(forKey: name) ?? [:])
            records.routes[name] = Entry(record: record)
            return record
        }
    }

    package func mirrorRecord(_ migration: String) -> MirrorRecord {
        self.records.withLock { records in
            if let entry = records.mirrors[migration] { return entry.record }
            let record = MirrorRecord(migration: migration)
            records.mirrors[migration] = Entry(record: record)
            return record
        }
    }

    /// By id.
    package func all() -> [Endpoint] {
        self.records.withLock { $0.endpoints.values.map(\.record).sorted { $0.id < $1.id } }
    }

    /// How many names are remembered, gone ones included.
    package var counts: (endpoints: Int, upstreams: Int, routes: Int) {
        self.records.withLock { ($0.endpoints.count, $0.upstreams.count, $0.routes.count) }
    }

    /// Whether these very endpoints are the ones it would answer with, and in their present life.
    func holds(_ endpoints: [Endpoint]) -> Bool {
        self.records.withLock { records in
            endpoints.allSatisfy { endpoint in
                let entry = records.endpoints[Identity(upstream: endpoint.upstream, address: endpoint.address)]
                return entry?.record === endpoint && entry?.goneSince == nil
            }
        }
    }

    /// Call with each table that has come into force, and now and then: what `table` does not name is gone from now on,
    /// and what has been gone for `grace` milliseconds is forgotten. Endpoints are kept while they hold requests or
    /// connections, and an upstream with them.
    package func settle(on table: RoutingTable, now: UInt64, grace: UInt64 = EndpointRegistry.grace) {
        let endpoints = Set(table.upstreams.lazy.flatMap(\.endpoints).map { ObjectIdentifier($0) })
        let upstreams = Set(table.upstreams.lazy.map { ObjectIdentifier($0.record) })
        let routes = Set(table.routes.lazy.map { ObjectIdentifier($0.record) })
        let mirrors = Set(table.routes.lazy.compactMap(\.mirror).map { ObjectIdentifier($0) })
        self.records.withLock { records in
            Self.sweep(&records.endpoints, now, grace) { endpoint in
                if endpoints.contains(ObjectIdentifier(endpoint)) { return .named }
                let isIdle =
                    endpoint.outstanding.load(ordering: .relaxed) == 0
                    && endpoint.connections.load(ordering: .relaxed) == 0
                return isIdle ? .idle : .busy
            }
            let needed = Set(records.endpoints.values.lazy.map { ObjectIdentifier($0.record.record) })
            Self.sweep(&records.upstreams, now, grace) { upstream in
                if upstreams.contains(ObjectIdentifier(upstream)) { return .named }
                return needed.contains(ObjectIdentifier(upstream)) ? .busy : .idle
            }
            Self.sweep(&records.routes, now, grace) { routes.contains(ObjectIdentifier($0)) ? .named : .idle }
            Self.sweep(&records.mirrors, now, grace) { mirrors.contains(ObjectIdentifier($0)) ? .named : .idle }
        }
    }

    private enum Use { case named, busy, idle }

    private static func sweep<Key, Record>(
        _ entries: inout [Key: Entry<Record>], _ now: UInt64, _ grace: UInt64, _ use: (Record) -> Use
    ) {
        entries = entries.compactMapValues { entry in
            var entry = entry
            switch use(entry.record) {
            case .named:
                entry.goneSince = nil
                return entry
            case .busy, .idle:
                let since = entry.goneSince ?? now
                entry.goneSince = since
                let isOver = now >= since && now - since >= grace
                return isOver && use(entry.record) == .idle ? nil : entry
            }
        }
    }
}
