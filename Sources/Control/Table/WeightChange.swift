import Traffic

/// A live change of one route's weights.
package struct WeightChange: Sendable, Equatable {
    package static let largestWeight = Split.maximumWeight

    package var route: String
    /// Upstreams that the route's split names; those left out keep their weight.
    package var weights: [String: UInt32]
    package var reason: String
    /// Entity tags of which one must be in force; empty: whatever is. `*` is any.
    package var ifMatch: [String]
    /// Answer what would happen, change nothing.
    package var dryRun: Bool
    /// Do it even if it leaves nobody to serve the route.
    package var force: Bool
    /// Who asks, for a plan whose weights these are.
    package var who = ""
    /// Do it on this replica alone, because the others cannot be asked: only what leads back.
    package var local: Bool

    package init(
        route: String, weights: [String: UInt32], reason: String = "", ifMatch: [String] = [], dryRun: Bool = false,
        force: Bool = false, local: Bool = false
    ) {
        self.local = local
        self.route = route
        self.weights = weights
        self.reason = reason
        self.ifMatch = ifMatch
        self.dryRun = dryRun
        self.force = force
    }
}

/// What a change of weights did, or would do.
package struct WeightChangeOutcome: Sendable, Equatable, Codable {
    package var route: String
    /// In force after the call.
    package var generation: UInt64
    package var etag: String
    package var dryRun: Bool
    /// Whether the weights differ from those before.
    package var changed: Bool
    package var before: [UpstreamShare]
    package var after: [UpstreamShare]
    /// What an operator should know before relying on it, such as a receiving side without an available endpoint.
    package var warnings: [String]
    /// What the sides get, by the traffic of the last quarter of an hour.
    package var loads: [SideLoad]
    /// The part of sticky keys that lands elsewhere, 0…1; nil: the route's requests stick to nothing.
    package var movedKeys: Double?
    /// The file that has them now, or would have; nil: they are live only.
    package var savedTo: String?
    /// What the guard has against it.
    package var objections: [ControlProblem]
    /// Of those that are there, how many have it in force; nil: there are no others, or they were not asked.
    package var replicas: ReplicaCount?
}

/// What one side of a route gets, before and after a change.
package struct SideLoad: Sendable, Equatable, Codable {
    package struct Load: Sendable, Equatable, Codable {
        /// Of this route.
        package var requestsPerSecond: Double
        /// Of this route, at each available endpoint.
        package var perEndpoint: Double
        /// Requests under way at each available endpoint, on average, other routes' included; nil: not known.
        package var outstanding: Double?
    }

    package var upstream: String
    package var before: Load
    package var after: Load
}

extension WeightChange {
    /// The split with this change applied, or every problem in it. Weights that leave nobody to serve the route are refused
    /// unless they are in force already, or forced.
    func apply(to entries: [SplitEntry]) throws(ChangeRefused) -> [SplitEntry] {
        var problems: [ControlProblem] = []
        if self.weights.isEmpty {
            problems.append(ControlProblem(path: "$.weights", message: "names no upstream"))
        }
        let names = entries.map(\.upstream)
        for (name, weight) in self.weights.sorted(by: { $0.key < $1.key })
        where problems.count <= ControlProblem.limit {
            let path = "$.weights.\(name)"
            if !names.contains(name) {
                let known = names.joined(separator: ", ")
                problems.append(
                    ControlProblem(
                        path: path, message: "not an upstream of route \"\(self.route)\", which has \(known)"))
            } else if weight > Self.largestWeight {
                problems.append(
                    ControlProblem(path: path, message: "expected a whole number from 0 to \(Self.largestWeight)"))
            }
        }
        guard problems.isEmpty else { throw .invalid(problems) }
        let changed = entries.map { SplitEntry(upstream: $0.upstream, weight: self.weights[$0.upstream] ?? $0.weight) }
        if !self.force, changed != entries, changed.allSatisfy({ $0.weight == 0 }) {
            throw .needsForce([
                ControlProblem(
                    path: "$.weights",
                    message:
                        "leaves no upstream of route \"\(self.route)\" a weight: every request would be answered 503")
            ])
        }
        return changed
    }

    /// Whether this only leads back: every side's share comes nearer to what the file says, or only the side gains that has the
    /// largest share there, or every side that loses has no available endpoint while every one that gains has. Such a change
    /// must never wait for anything.
    static func isRetreat(from before: [UpstreamShare], to after: [UpstreamShare], file: [String: UInt32]) -> Bool {
        let total = file.values.reduce(UInt64(0)) { $0 + UInt64($1) }
        let largest = file.values.max() ?? 0
        let leadsHome = zip(before, after).allSatisfy { old, new in
            let home = total == 0 ? 0 : Double(file[new.upstream] ?? 0) / Double(total)
            return abs(new.share - home) <= abs(old.share - home) + 1e-9
                && (new.share - home) * (old.share - home) >= -1e-9
        }
        let moved = zip(before, after).filter { $0.share != $1.share }
        let gaining = moved.filter { $0.share < $1.share }.map(\.1.upstream)
        // Where the file sends most of it, and to no other side as much.
        let isHome = gaining.count == 1 && file[gaining[0]] == largest && file.values.count { $0 == largest } == 1
        if leadsHome || isHome { return true }
        return moved.contains { $0.share > $1.share }
            && moved.allSatisfy { old, new in (new.share > old.share) == new.available }
    }

    /// What is worth a warning in a change from `before` to `after`.
    static func warnings(before: [UpstreamShare], after: [UpstreamShare], failover: Bool) -> [String] {
        var warnings: [String] = []
        if after.allSatisfy({ $0.weight == 0 }) {
            warnings.append("every weight is 0: the route will answer 503")
        }
        for (old, new) in zip(before, after) where new.share > old.share && !new.available {
            let instead = failover ? "its share goes to the others until it has one" : "its share is answered 503"
            warnings.append("\(new.upstream) is to receive more but has no available endpoint: \(instead)")
        }
        return warnings
    }

    /// `core 90→50, gateway 10→50`.
    static func detail(before: [SplitEntry], after: [SplitEntry]) -> String {
        zip(before, after).filter { $0.weight != $1.weight }
            .map { "\($0.upstream) \($0.weight)→\($1.weight)" }
            .joined(separator: ", ")
    }
}
