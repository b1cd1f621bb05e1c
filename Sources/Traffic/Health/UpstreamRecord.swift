import Synchronization

/// What is known of an upstream by its name, across tables: where its round robin stands, which of its endpoints have
/// a verdict, and which are ejected. The last is kept here because the bound on it is the upstream's.
package final class UpstreamRecord: Sendable {
    private struct Membership {
        /// Endpoint ids of the newest table.
        var members: Set<Int> = []
        var decided: Set<Int> = []
        var ejected: Set<Int> = []
    }

    package let name: String
    private let membership = Mutex(Membership())
    private let ejectedCount = Atomic<Int>(0)
    private let decidedCount = Atomic<Int>(0)
    private let cursor = Atomic<UInt64>(0)
    /// Requests of all workers that wait because the endpoints have as many connections as they may.
    package let connectionsWanted = Atomic<Int>(0)
    /// Workers in which requests wait for a slot of this upstream.
    package let waitingWorkers = Atomic<Int>(0)

    init(name: String) { self.name = name }

    /// Endpoints ejected now, those waiting for their trial included.
    package var ejected: Int { self.ejectedCount.load(ordering: .relaxed) }

    /// Whether the probes have said anything about any endpoint.
    var hasVerdict: Bool { self.decidedCount.load(ordering: .relaxed) > 0 }

    /// The next position of the round robin; `taking` it, the one after comes next.
    func turn(taking: Bool) -> UInt64 {
        taking ? self.cursor.wrappingAdd(1, ordering: .relaxed).oldValue : self.cursor.load(ordering: .relaxed)
    }

    /// How many of `count` endpoints may be out at once: the share rounded down, but one of two or more unless the
    /// share is 0; never all.
    static func ejectionBound(of count: Int, policy: PassiveSpec) -> Int {
        guard policy.enabled, count >= 2, policy.maxEjectedShare > 0 else { return 0 }
        return max(count * Int(min(policy.maxEjectedShare, 100)) / 100, 1)
    }

    /// Takes on the endpoints of a new table. Answers those whose ejection must end because fewer may be out now.
    ///
    /// The endpoints' own words are read while other threads may be ejecting or readmitting; `tryEject` comes before
    /// the word is written and `readmit` after it, so that an endpoint in transition counts as ejected here.
    func adopt(_ endpoints: [Endpoint], policy: PassiveSpec) -> [Endpoint] {
        self.membership.withLock { membership in
            membership.members = Set(endpoints.map(\.id))
            membership.ejected.formIntersection(membership.members)
            membership.decided = []
            for endpoint in endpoints {
                if endpoint.isEjected { membership.ejected.insert(endpoint.id) }
                if endpoint.operational.isVerdict { membership.decided.insert(endpoint.id) }
            }
            let bound = Self.ejectionBound(of: membership.members.count, policy: policy)
            let surplus = max(membership.ejected.count - bound, 0)
            self.publish(membership)
            let ejected = membership.ejected
            return Array(endpoints.filter { ejected.contains($0.id) }.prefix(surplus))
        }
    }

    /// Counts `id` out if the bound allows it. An endpoint that no present table names is never counted out.
    func tryEject(_ id: Int, policy: PassiveSpec) -> Bool {
        self.membership.withLock { membership in
            guard membership.members.contains(id) else { return false }
            let bound = Self.ejectionBound(of: membership.members.count, policy: policy)
            guard membership.ejected.count < bound else { return false }
            membership.ejected.insert(id)
            self.publish(membership)
            return true
        }
    }

    func readmit(_ id: Int) {
        self.membership.withLock { membership in
            membership.ejected.remove(id)
            self.publish(membership)
        }
    }

    func noteVerdict(_ id: Int, decided: Bool) {
        self.membership.withLock { membership in
            guard membership.members.contains(id) else { return }
            if decided { membership.decided.insert(id) } else { membership.decided.remove(id) }
            self.publish(membership)
        }
    }

    private func publish(_ membership: borrowing Membership) {
        self.ejectedCount.store(membership.ejected.count, ordering: .relaxed)
        self.decidedCount.store(membership.decided.count, ordering: .relaxed)
    }
}
