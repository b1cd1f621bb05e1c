import HTTPWire
import Reactor
import Traffic

/// What a plan counts of a request: once, by its first attempt, at the side that the weights or its key gave it. And who still
/// needs a side that should not be needed any more.
extension Exchange {
    /// An attempt has failed. Another may save the client, and counts nowhere.
    func countFailedAttempt() {
        guard !self.isSampled, let route = self.route?.object, route.stage.number >= 0 else { return }
        self.count(.error, route)
    }

    /// The exchange has ended, and its first attempt with it.
    func countStage(_ route: RoutePlan) {
        guard !self.isSampled, let end = self.firstAttempt else { return }
        self.count(end, route)
    }

    /// nil: nothing has ended in a way that says anything of its side.
    private var firstAttempt: FirstAttempt? {
        switch self.reason {
        case .clientClosed, .heldTooMuch: return .cancelled
        // The time that the client gave is over, which says of no side that it is slow.
        case .responseTimeout where self.isGRPC && self.grpcStatus == 4: return .cancelled
        // Our own answer in the place of one that did not come, or was none.
        case .badResponse, .answerTooLarge, .unexpectedUpgrade, .responseTimeout, .uploadStalled: return .error
        // The side to which the weights gave it had no place for it in time, or nobody to serve: a side that takes less than its
        // share refuses clients without failing one attempt. Where a reason stays from an attempt before, that one has counted.
        case .queueFull, .queueTimeout, .noEndpoint: return .error
        // Each attempt was handed back unseen, and none was left.
        case .streamRefused where !self.isProxied, .leftBehind where !self.isProxied: return .error
        // An answer that began and did not end.
        case .truncated where self.isCut: return .error
        default: break
        }
        guard self.isProxied else { return nil }
        if self.isGRPC, self.grpcStatus > 0 {
            return GRPC.isServerFault(self.grpcStatus) ? .error : .clientError
        }
        switch self.status {
        case 500...: return .error
        case 400..<500: return .clientError
        default: return .good
        }
    }

    private func count(_ end: FirstAttempt, _ route: RoutePlan) {
        // Once. A further attempt may be at another side.
        self.isSampled = true
        let stage = route.stage
        guard let member = self.placement.member, member == stage.to || member == stage.from,
            !self.placement.isForced, !self.placement.isDiverted, let record = self.core.stage(stage.number)
        else { return }
        if stage.isSticky, let key = self.placement.stickyKey,
            !record.with({ $0.admits(key, now: self.core.now) })
        {
            return
        }
        let hasHead = self.headAt > self.sentAt && self.core.nowMicroseconds >= stage.settled
        let microseconds = hasHead ? self.headAt - self.sentAt : nil
        record.with { $0.count(end, isNew: member == stage.to, microseconds: microseconds) }
    }

    /// Notes who needed the watched side, and why; also whom it did not answer, for whoever asks for it needs it all the same.
    func noteNeed(_ route: RoutePlan) {
        guard let member = self.placement.member, member == route.watchedMember else { return }
        let cause: NeedCause =
            if self.placement.isForced {
                .override
            } else if self.retries > 0 {
                .retry
            } else if self.placement.isDiverted {
                .failover
            } else if route.leadsOnlyToWatched {
                .onlyRoute
            } else {
                self.placement.stickyKey == nil ? .weight : .sticky
            }
        guard let head = self.kept.head else { return }
        let target = UnsafeRawBufferPointer(rebasing: self.kept.bytes[head.target.bounds])
        self.core.needs.note(route: route, target: target, cause: cause, now: self.core.now)
    }
}
