import Ledger
import Migration
import RoutesFile
import Traffic

/// What the guard has against a change, with the place in it.
struct Objection: Sendable {
    var reason: GuardReason
    var problem: ControlProblem
}

/// Whether a side may get more, and what it then gets.
extension TablePublisher {
    /// Objections to the sides whose share rises. Without `guard` in the file there are none. `beside`: what the same change
    /// makes of routes, this one or others, by name.
    func objections(
        route: String, from before: [UpstreamShare], to after: [UpstreamShare], _ window: TrafficWindow,
        beside changed: [String: [UpstreamShare]] = [:], place: String = "$.weights"
    ) -> [Objection] {
        guard let rules = self.state.configuration?.guardSpec else { return [] }
        return zip(before, after).filter { $1.share > $0.share }.flatMap { _, share -> [Objection] in
            let side = self.side(share, of: route, among: after, window, beside: changed)
            return rules.objections(to: side).map { objection in
                Objection(
                    reason: objection.reason,
                    problem: ControlProblem(
                        path: "\(place).\(share.upstream)", message: "\(share.upstream): \(objection.message)"))
            }
        }
    }

    private func side(
        _ share: UpstreamShare, of route: String, among all: [UpstreamShare], _ window: TrafficWindow,
        beside changed: [String: [UpstreamShare]]
    ) -> RisingSide {
        let own = window.sides[share.upstream] ?? SideTraffic()
        let others = all.filter { $0.upstream != share.upstream }
            .reduce(SideTraffic()) { $0 + (window.sides[$1.upstream] ?? SideTraffic()) }
        return RisingSide(
            upstream: share.upstream, share: share.share, endpoints: share.endpoints,
            availableEndpoints: share.availableEndpoints, attempts: own.attempts, failed: own.failed,
            othersAttempts: others.attempts, othersFailed: others.failed,
            outstanding: self.outstanding(
                at: share, requestsPerSecond: window.rate(of: route) * share.share, of: route, among: all, window,
                beside: changed),
            maxOutstanding: self.state.spec.upstreams.first { $0.name == share.upstream }?.maxOutstanding ?? 0,
            evidence: Evidence.worse(
                new: Arm(bad: own.failed, count: own.attempts),
                old: Arm(bad: others.failed, count: others.attempts), tolerance: 0
            ).value)
    }

    /// Requests under way at each available endpoint, by Little's law. A side that has answered nothing is supposed to take
    /// as long as the others.
    private func outstanding(
        at share: UpstreamShare, requestsPerSecond: Double, of route: String, among all: [UpstreamShare],
        _ window: TrafficWindow, beside changed: [String: [UpstreamShare]] = [:]
    ) -> Double? {
        let latencies = all.compactMap { window.latency(of: $0.upstream) }
        guard let latency = window.latency(of: share.upstream) ?? latencies.max(), share.availableEndpoints > 0 else {
            return nil
        }
        let others = changed.filter { $0.key != route }
        // Routes that the same change moves count as they will be, all others as they are.
        let all =
            requestsPerSecond + window.rate(at: share.upstream, without: Set(others.keys).union([route]))
            + others.reduce(0) { sum, other in
                sum + window.rate(of: other.key)
                    * (other.value.first { $0.upstream == share.upstream }?.share ?? 0)
            }
        return all * latency / Double(share.availableEndpoints)
    }

    /// Throws if there are objections, unless the change is meant in spite of them; writes the refusal down.
    func refuse(
        _ objections: [Objection], _ transition: Transition, _ origin: ChangeOrigin, isMeant: Bool
    ) throws(ChangeRefused) {
        guard !objections.isEmpty, !isMeant else { return }
        for reason in Set(objections.map(\.reason)) { self.guardRefusals[reason, default: 0] += 1 }
        for note in transition.notes where note.before?.weights != nil {
            var entry = self.journal.entry(
                at: self.clock.wall(), origin: origin, what: .guard, subject: note.subject,
                detail: "\(note.detail) refused: \(objections.map(\.problem.message).joined(separator: "; "))",
                reason: note.reason, generationBefore: self.state.generation, generationAfter: self.state.generation)
            entry.state = .refused
            self.journal.append(entry)
            self.ledger?.keep([entry])
        }
        throw .guarded(objections.map(\.problem))
    }

    // MARK: what a change means

    func loads(
        route: String, from before: [UpstreamShare], to after: [UpstreamShare], _ window: TrafficWindow
    ) -> [SideLoad] {
        let rate = window.rate(of: route)
        func load(_ share: UpstreamShare, _ all: [UpstreamShare]) -> SideLoad.Load {
            let requests = rate * share.effectiveShare
            return SideLoad.Load(
                requestsPerSecond: requests, perEndpoint: requests / Double(max(share.availableEndpoints, 1)),
                outstanding: self.outstanding(
                    at: share, requestsPerSecond: requests, of: route, among: all, window))
        }
        return zip(before, after).map { old, new in
            SideLoad(upstream: new.upstream, before: load(old, before), after: load(new, after))
        }
    }

    func movedKeys(_ reweighting: Transition.Reweighting) -> Double? {
        guard self.state.spec.routes.first(where: { $0.name == reweighting.route })?.sticky != nil else { return nil }
        return ShareMove.moved(from: reweighting.before.map(\.weight), to: reweighting.after.map(\.weight))
    }
}
