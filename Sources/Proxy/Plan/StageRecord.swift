import Traffic

/// How the first attempt of a request ended, as a stage counts it.
enum FirstAttempt {
    case good, error, clientError, cancelled
}

/// What one worker has counted of one run of a stage on one route. Plain integers: one thread writes, and reads them out itself.
final class StageRecord {
    let epoch: UInt64
    private var old = ArmCounters()
    private var new = ArmCounters()
    private var oldDurations = LatencyGrid()
    private var newDurations = LatencyGrid()
    /// Of a sticky route.
    private var keys: KeySamples?

    init(epoch: UInt64, isSticky: Bool) {
        self.epoch = epoch
        self.keys = isSticky ? KeySamples() : nil
    }

    /// Whether a sticky client counts now. `now` in monotonic milliseconds.
    func admits(_ key: UInt64, now: UInt64) -> Bool { self.keys?.admit(key, now: now) ?? true }

    /// `microseconds` from the request's last byte to the answer's head; nil: there was none, or the stage has just begun.
    func count(_ end: FirstAttempt, isNew: Bool, microseconds: UInt64?) {
        if isNew {
            Self.count(end, &self.new)
            if let microseconds { self.newDurations.record(microseconds: microseconds) }
        } else {
            Self.count(end, &self.old)
            if let microseconds { self.oldDurations.record(microseconds: microseconds) }
        }
    }

    private static func count(_ end: FirstAttempt, _ arm: inout ArmCounters) {
        arm.samples &+= 1
        switch end {
        case .good: break
        case .error: arm.errors &+= 1
        case .clientError: arm.clientErrors &+= 1
        case .cancelled: arm.cancelled &+= 1
        }
    }

    /// Adds what was counted. The arrays are not shared with whoever reads: the next request would have to copy them.
    func add(to sum: inout StageCounts) {
        sum.old.merge(self.old)
        sum.new.merge(self.new)
        sum.oldDurations.merge(self.oldDurations)
        sum.newDurations.merge(self.newDurations)
    }
}
