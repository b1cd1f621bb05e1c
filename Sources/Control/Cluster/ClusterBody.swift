/// The answer of `GET /api/v1/cluster`: the replicas, as this one knows them.
package struct ClusterBody: Codable, Sendable, Equatable {
    package struct Replica: Codable, Sendable, Equatable {
        package var name: String
        package var present: Bool
        package var version: String
        package var format: UInt64
        package var generation: UInt64
        /// The last shared change that is in force there.
        package var sequence: UInt64
        /// For how long there has been a change that it has not in force.
        package var lagSeconds: Double
        /// Of its file: the same means the same traffic.
        package var file: String
        package var clockAheadSeconds: Double
        /// When it was heard of last.
        package var heard: String
        /// Why it does not take the live state on; empty: it does.
        package var trouble: String
    }

    package var name: String
    package var store: String
    /// The one that is asked.
    package var replica: String
    package var reachable: Bool
    /// When the store answered last; nil: never.
    package var lastContact: String?
    /// Why the store is not reachable, or its live state not taken on; empty: all is well.
    package var reason: String
    /// nil: nobody is known to lead.
    package var leader: String?
    package var leads: Bool
    package var term: UInt64
    /// Of the last change; `applied` is the last one in force here.
    package var sequence: UInt64
    package var applied: UInt64
    /// Its identifier.
    package var change: String
    /// Writes that another replica's was ahead of, and that were decided anew.
    package var conflicts: UInt64
    /// Live splits and endpoints that are not ready, as all have agreed on.
    package var splits: Int
    package var endpoints: Int
    package var replicas: [Replica]
    /// What differs between them, in words.
    package var remarks: [String]
    /// Why no plan may give its new side more.
    package var holds: [String]
}

/// What the metrics page shows of the cluster.
package struct ClusterFigures: Sendable, Equatable {
    package var leads = false
    package var isReachable = false
    package var present = 0
    package var differing = 0
    /// Milliseconds.
    package var lag: UInt64 = 0
    package var conflicts: UInt64 = 0

    package init() {}
}

extension Agreement {
    package func body() -> ClusterBody {
        let now = self.clock.monotonic()
        let replicas = self.picture.replicas(at: now).map { replica in
            ClusterBody.Replica(
                name: replica.presence.replica, present: replica.isPresent, version: replica.presence.version,
                format: replica.presence.format, generation: replica.presence.generation,
                sequence: replica.presence.sequence, lagSeconds: Double(replica.lag) / 1_000,
                file: replica.presence.fingerprint, clockAheadSeconds: Double(replica.clockAhead) / 1_000,
                heard: Timestamp.iso8601(self.clock.wall(ofMonotonic: replica.heard)),
                trouble: replica.presence.trouble ?? "")
        }
        let reason =
            self.fault.map { "the live state in the store is not taken on: \($0)" }
            ?? (self.isReachable ? "" : self.failure?.reason ?? "the store has not answered")
        return ClusterBody(
            name: self.name, store: self.store.place, replica: self.replica, reachable: self.isReachable,
            lastContact: self.contact.map { Timestamp.iso8601(self.clock.wall(ofMonotonic: $0)) }, reason: reason,
            leader: self.leader, leads: self.leadingTerm != nil, term: self.document?.term ?? 0,
            sequence: self.document?.sequence ?? 0, applied: self.own.sequence, change: self.document?.change ?? "",
            conflicts: self.conflicts, splits: self.document?.routes.count ?? 0,
            endpoints: self.document?.endpoints.count ?? 0, replicas: replicas, remarks: self.picture.remarks(at: now),
            holds: self.holds)
    }

    /// What the operator's surface is told once a second.
    package var standing: EventBody.Cluster {
        let now = self.clock.monotonic()
        let sequence = self.document?.sequence ?? 0
        let count = self.picture.count(applied: sequence)
        let isCutOff = self.fault != nil || !self.isReachable
        // Damaged or foreign, the document was there at the last contact.
        let since = self.isReachable ? now : self.contact ?? now
        return EventBody.Cluster(
            replica: self.replica, leader: self.leader, present: count.of, settled: count.applied,
            cutOffSeconds: isCutOff ? (now > since ? now - since : 0) / 1_000 : nil,
            reason: self.fault.map { "the live state in the store is not taken on: \($0)" }
                ?? (isCutOff ? self.failure?.reason ?? "the store has not answered" : ""),
            remarks: Array(self.picture.remarks(at: now).prefix(EventBody.remarkLimit)))
    }

    package var figures: ClusterFigures {
        let now = self.clock.monotonic()
        let replicas = self.picture.replicas(at: now)
        var figures = ClusterFigures()
        figures.leads = self.leadingTerm != nil
        // What cannot be read is as bad as what cannot be reached.
        figures.isReachable = self.obstacle() == nil
        figures.present = replicas.count(where: \.isPresent)
        figures.differing = self.picture.differing(at: now).count
        figures.lag = replicas.first { $0.presence.replica == self.replica }?.lag ?? 0
        figures.conflicts = self.conflicts
        return figures
    }
}
