/// What is known of the replicas, from what they tell and when it was heard. Pure; `now` in monotonic milliseconds of this
/// process.
package struct ClusterPicture: Sendable {
    /// Milliseconds that a replica may lag behind while plans go on.
    package static let lagLimit: UInt64 = 10_000
    /// Milliseconds that a replica counts which is not there any more.
    package static let memory: UInt64 = 3_600_000
    /// Milliseconds by which clocks may differ before it is told.
    package static let clockLimit: UInt64 = 5_000
    /// Replicas that are remembered.
    package static let limit = 256
    /// Changes of which it is remembered when they were first seen.
    private static let seenLimit = 256

    package struct Replica: Sendable, Equatable {
        package var presence: Presence
        /// When it was heard of last.
        package var heard: UInt64
        package var isPresent: Bool
        /// Milliseconds for which there has been a change that it has not put in force; 0: it has all.
        package var lag: UInt64 = 0
        /// How far its clock is ahead of ours, when it told last; negative: behind. Milliseconds.
        package var clockAhead: Int64
    }

    private let own: String
    private var replicas: [String: Replica] = [:]
    /// Changes and when this replica saw them first, oldest first.
    private var seen: [(sequence: UInt64, at: UInt64)] = []

    /// `own`: the name of this replica.
    package init(own: String) { self.own = own }

    // MARK: events

    /// `wall`: milliseconds since 1970, by our clock.
    package mutating func heard(_ presence: Presence, at now: UInt64, wall: UInt64) {
        if presence.leaving == true {
            // Whoever goes of its own will is not missed.
            self.replicas[presence.replica] = nil
            return
        }
        if self.replicas[presence.replica] == nil, self.replicas.count >= Self.limit {
            // One that is there counts for more than one that is remembered.
            let gone = self.replicas.values.filter { !$0.isPresent }.min { $0.heard < $1.heard }
            guard let gone else { return }
            self.replicas[gone.presence.replica] = nil
        }
        let ahead = Int64(clamping: presence.clock) - Int64(clamping: wall)
        self.replicas[presence.replica] = Replica(
            presence: presence, heard: now, isPresent: true, clockAhead: ahead)
    }

    package mutating func gone(_ replica: String, at now: UInt64) {
        guard replica != self.own else { return }
        self.replicas[replica]?.isPresent = false
        self.replicas[replica]?.heard = now
    }

    /// All that are there, by name: others are gone.
    package mutating func present(_ names: Set<String>, at now: UInt64) {
        for name in self.replicas.keys where !names.contains(name) && self.replicas[name]?.isPresent == true {
            self.gone(name, at: now)
        }
    }

    package mutating func stored(_ sequence: UInt64, at now: UInt64) {
        if let last = self.seen.last, sequence <= last.sequence {
            // The store went back: what was seen of it is not so any more.
            guard sequence < last.sequence else { return }
            self.seen.removeAll { $0.sequence > sequence }
            if self.seen.last?.sequence == sequence { return }
        }
        self.seen.append((sequence, now))
        if self.seen.count > Self.seenLimit { self.seen.removeFirst() }
    }

    // MARK: what follows

    package func replicas(at now: UInt64) -> [Replica] {
        self.replicas.values.filter { $0.isPresent || now < $0.heard + Self.memory }
            .map { replica in
                var replica = replica
                replica.lag = replica.isPresent ? self.lag(of: replica, at: now) : 0
                return replica
            }
            .sorted { $0.presence.replica < $1.presence.replica }
    }

    private func lag(of replica: Replica, at now: UInt64) -> UInt64 {
        guard let first = self.seen.first(where: { $0.sequence > replica.presence.sequence }) else { return 0 }
        return now > first.at ? now - first.at : 0
    }

    /// Of those that are there.
    package func count(applied sequence: UInt64) -> ReplicaCount {
        let present = self.replicas.values.filter(\.isPresent)
        return ReplicaCount(applied: present.count { $0.presence.sequence >= sequence }, of: present.count)
    }

    /// Replicas that are there whose file, version or format is not ours.
    package func differing(at now: UInt64) -> [String] {
        guard let own = self.replicas[self.own]?.presence else { return [] }
        return self.replicas(at: now).filter {
            $0.isPresent
                && ($0.presence.fingerprint != own.fingerprint || $0.presence.version != own.version
                    || $0.presence.format != own.format)
        }.map(\.presence.replica)
    }

    /// In words, what an operator should know.
    package func remarks(at now: UInt64) -> [String] {
        guard let own = self.replicas[self.own]?.presence else { return [] }
        return self.replicas(at: now).filter(\.isPresent).flatMap { replica -> [String] in
            let presence = replica.presence
            var remarks: [String] = []
            if presence.fingerprint != own.fingerprint { remarks.append("has another file than \(own.replica)") }
            if presence.version != own.version { remarks.append("is version \(presence.version), not \(own.version)") }
            if presence.format != own.format {
                remarks.append("knows format \(presence.format) of the live state, not \(own.format)")
            }
            if let trouble = presence.trouble { remarks.append("does not take the live state on: \(trouble)") }
            if replica.lag > Self.lagLimit { remarks.append("lags behind for \(replica.lag / 1_000) s") }
            if replica.clockAhead.magnitude > Self.clockLimit {
                let seconds = replica.clockAhead.magnitude / 1_000
                remarks.append("has a clock that is \(seconds) s \(replica.clockAhead > 0 ? "ahead" : "behind")")
            }
            return remarks.map { "\(presence.replica) \($0)" }
        }
    }

    /// Why no plan may give its new side more; empty: nothing here is against it.
    package func holds(at now: UInt64, hasLeader: Bool) -> [String] {
        var holds: [String] = []
        if !hasLeader { holds.append("no replica leads") }
        let known = self.replicas(at: now)
        let present = known.filter(\.isPresent)
        for replica in present where replica.lag > Self.lagLimit {
            holds.append("\(replica.presence.replica) lags behind for \(replica.lag / 1_000) s")
        }
        if Set(present.map(\.presence.fingerprint)).count > 1 { holds.append("replicas have different files") }
        if Set(present.map(\.presence.format)).count > 1 { holds.append("replicas know different formats") }
        if Set(present.map(\.presence.version)).count > 1 { holds.append("replicas are of different versions") }
        if present.count * 2 < known.count {
            holds.append("\(present.count) of the \(known.count) replicas of the last hour are there")
        }
        return holds
    }
}
