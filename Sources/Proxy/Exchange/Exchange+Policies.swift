import HTTPWire
import Reactor
import Synchronization
import Traffic

/// What a route asks of a request before it goes anywhere: by address, then limits by address, then other limits.
extension Exchange {
    /// Whether the request may go on; else it was answered.
    func passes(_ route: RoutePlan, _ span: Span<UInt8>) -> Bool {
        if route.policies.contains(.access), !self.isAllowed(route) { return false }
        return !route.policies.contains(.rateLimits) || self.isWithinLimits(route, span)
    }

    private func isAllowed(_ route: RoutePlan) -> Bool {
        switch route.access.verdict(on: self.clientAddress) {
        case .allowed: return true
        case .denied: route.route.record.denied.add(1, ordering: .relaxed)
        case .notAllowed: route.route.record.notAllowed.add(1, ordering: .relaxed)
        }
        self.reply(.addressDenied)
        return false
    }

    // MARK: limits

    private func isWithinLimits(_ route: RoutePlan, _ span: Span<UInt8>) -> Bool {
        let now = self.core.nowMicroseconds &* 1_000
        // A bit for each rule of which a token was taken; there are at most eight.
        var taken: UInt8 = 0
        for index in route.rateLimits.indices {
            let refusal = route.rateLimits[index].with { limit -> UInt64? in
                guard limit.holds(for: self.clientAddress) else { return nil }
                let verdict = limit.table.take(self.hash(limit, span), limit.rate, now: now)
                guard case .refused(let wait) = verdict.outcome else {
                    taken |= 1 << UInt8(truncatingIfNeeded: index)
                    return nil
                }
                self.limitedBy = Int8(truncatingIfNeeded: index)
                guard !limit.isOnTrial else {
                    limit.table.wouldRefuse.add(1, ordering: .relaxed)
                    return nil
                }
                limit.table.refused.add(1, ordering: .relaxed)
                return wait
            }
            guard let refusal else { continue }
            self.giveBack(taken, route, span, now: now)
            route.rateLimits[index].with { self.replyLimited($0, wait: refusal) }
            return false
        }
        return true
    }

    /// Who is refused by a rule has taken nothing from those before it.
    private func giveBack(_ taken: UInt8, _ route: RoutePlan, _ span: Span<UInt8>, now: UInt64) {
        for index in route.rateLimits.indices where taken & 1 << UInt8(truncatingIfNeeded: index) != 0 {
            route.rateLimits[index].with { limit in
                limit.table.giveBack(self.hash(limit, span), limit.rate, now: now)
            }
        }
    }

    private func hash(_ limit: RateLimit, _ span: Span<UInt8>) -> UInt64 {
        let fields = self.core.memory.fields.list
        switch limit.kind {
        case .address: break
        case .all: return limit.hashOfAll
        case .header:
            for index in 0..<fields.count
            where !fields[index].value.isEmpty
                && ASCII.equalsIgnoringCase(span, fields[index].name, lowercase: limit.keyName)
            {
                return limit.hash(span.extracting(fields[index].value.bounds))
            }
        case .cookie:
            for index in 0..<fields.count where fields[index].id == .cookie {
                guard let value = Cookie.value(of: limit.keyName, in: span, fields[index].value), !value.isEmpty
                else { continue }
                return limit.hash(span.extracting(value.bounds))
            }
        }
        // Who leaves the key out must not pass uncounted.
        return limit.hash(self.clientAddress)
    }

    private func replyLimited(_ limit: RateLimit, wait: UInt64) {
        let second: UInt64 = 1_000_000_000
        let seconds = max(1, wait / second + (wait % second > 0 ? 1 : 0))
        let window = limit.spec.rate.window
        self.reply(
            .rateLimited, retryAfter: seconds,
            limit: limit.spec.tells
                ? LocalAnswer.Limit(
                    name: limit.spec.name, quota: limit.spec.rate.burst,
                    window: max(1, window / second + (window % second > 0 ? 1 : 0)), wait: seconds)
                : nil)
    }
}
