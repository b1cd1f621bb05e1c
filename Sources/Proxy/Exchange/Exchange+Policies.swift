import HTTPWire
import Reactor
import Synchronization
import Traffic

/// What a route asks of a request before it goes anywhere: by address, then limits by address, then who it is, then other
/// limits.
extension Exchange {
    /// Whether the request may go on, perhaps after a wait (`phase.isChecking`); else it was answered.
    func passes(_ route: RoutePlan) -> Bool {
        if route.policies.contains(.access), !self.isAllowed(route) { return false }
        if route.policies.contains(.rateLimits), !self.isWithin(route, 0..<route.addressLimits) { return false }
        if let authentication = route.authentication {
            guard self.isAuthenticated(authentication, route.route.record.authentication) else { return false }
            // The other limits come behind the verdict.
            if self.phase.isChecking { return true }
        }
        return self.isWithinOtherLimits(route)
    }

    /// Those that do not hang on the address.
    func isWithinOtherLimits(_ route: RoutePlan) -> Bool {
        !route.policies.contains(.rateLimits) || self.isWithin(route, route.addressLimits..<route.rateLimits.count)
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

    private func isWithin(_ route: RoutePlan, _ rules: Range<Int>) -> Bool {
        let now = self.core.nowMicroseconds &* 1_000
        for index in rules {
            let refusal = route.rateLimits[index].with { limit -> UInt64? in
                guard limit.holds(for: self.clientAddress) else { return nil }
                let verdict = limit.table.take(self.hash(limit), limit.rate, now: now)
                guard case .refused(let wait) = verdict.outcome else {
                    self.limitsTaken |= 1 << UInt8(truncatingIfNeeded: index)
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
            self.giveBack(route, now: now)
            route.rateLimits[index].with { self.replyLimited($0, wait: refusal) }
            return false
        }
        return true
    }

    /// Who is refused by a rule has taken nothing from those before it.
    private func giveBack(_ route: RoutePlan, now: UInt64) {
        for index in route.rateLimits.indices where self.limitsTaken & 1 << UInt8(truncatingIfNeeded: index) != 0 {
            route.rateLimits[index].with { limit in
                limit.table.giveBack(self.hash(limit), limit.rate, now: now)
            }
        }
    }

    /// Of what the limit counts by, in the head as it is kept.
    private func hash(_ limit: RateLimit) -> UInt64 {
        let fields = self.kept.fields
        let span = self.kept.bytes.bindMemory(to: UInt8.self).span
        switch limit.kind {
        case .address: break
        case .all: return limit.hashOfAll
        case .user:
            if let name = self.userName { return limit.hash(name.span) }
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

    private static let second: UInt64 = 1_000_000_000

    private static func seconds(_ nanoseconds: UInt64) -> UInt64 {
        nanoseconds / Self.second + (nanoseconds % Self.second > 0 ? 1 : 0)
    }

    private func replyLimited(_ limit: RateLimit, wait: UInt64) {
        let seconds = max(1, Self.seconds(wait))
        self.reply(
            .rateLimited, retryAfter: seconds,
            // What is always told is told of all limits.
            limit: limit.spec.telling == .refusals
                ? LocalAnswer.Limit(
                    name: limit.spec.name, quota: limit.spec.rate.burst,
                    window: max(1, Self.seconds(limit.spec.rate.window)), left: 0, wait: seconds)
                : nil)
    }

    /// What a route that always tells of its limits says of each, as lines of an answer.
    func writeLimits(_ route: RoutePlan, into writer: inout ByteWriter) {
        let now = self.core.nowMicroseconds &* 1_000
        for limit in route.rateLimits {
            limit.with { limit in
                guard limit.spec.telling == .always, limit.holds(for: self.clientAddress) else { return }
                let verdict = limit.table.preview(self.hash(limit), limit.rate, now: now)
                var told = LocalAnswer.Limit(
                    name: limit.spec.name, quota: limit.spec.rate.burst,
                    window: max(1, Self.seconds(limit.spec.rate.window)), left: 0, wait: 0)
                switch verdict.outcome {
                case .refused(let wait): told.wait = max(1, Self.seconds(wait))
                case .allowed(_, let left):
                    told.left = left + 1
                    // Asking takes nothing, which the verdict counts. Until the next of those that were taken is back.
                    let debt = verdict.reset &- min(verdict.reset, limit.rate.interval)
                    let over = debt % limit.rate.interval
                    told.wait = Self.seconds(over > 0 ? over : min(debt, limit.rate.interval))
                }
                told.write(into: &writer)
            }
        }
    }

    func limitLines(_ route: RoutePlan) -> [UInt8] {
        let room = self.core.memory.head
        var writer = ByteWriter(room)
        self.writeLimits(route, into: &writer)
        return Array(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<writer.count]))
    }
}
