/// What a probe came to.
package enum ProbeCause: String, Sendable, CaseIterable {
    case ok
    case refused
    case connectTimeout = "connect-timeout"
    case unreachable
    case reset
    case responseTimeout = "response-timeout"
    /// An answer, but not an expected status.
    case status
    /// The expected status, but not the expected body.
    case body
    /// No HTTP.
    case malformed
}

package struct ProbeResult: Sendable, Equatable {
    /// Monotonic milliseconds.
    package var at: UInt64
    /// Milliseconds since 1970.
    package var wallClock: UInt64
    package var cause: ProbeCause
    /// 0 if there was no answer.
    package var status: UInt16
    package var microseconds: UInt64

    package init(at: UInt64, wallClock: UInt64, cause: ProbeCause, status: UInt16, microseconds: UInt64) {
        self.at = at
        self.wallClock = wallClock
        self.cause = cause
        self.status = status
        self.microseconds = microseconds
    }
}

package enum ProbeVerdict: Sendable, Equatable {
    case up, down
}

/// Active health of one endpoint. Pure.
///
///     unknown ──first answer──▶ up | down       up ──fall failures in a row──▶ down ──rise successes in a row──▶ up
package struct ProbeMachine: Sendable {
    package static let historyLimit = 64

    private let rise: UInt32
    private let fall: UInt32
    package private(set) var operational = Operational.unknown
    /// The last 64 results, oldest first.
    package private(set) var history: [ProbeResult] = []
    /// Results in a row that contradict the state.
    private var streak: UInt32 = 0
    private var since: UInt64 = 0

    package init(_ spec: ProbeSpec) {
        self.rise = max(1, spec.rise)
        self.fall = max(1, spec.fall)
        self.history.reserveCapacity(Self.historyLimit)
    }

    /// Takes a result; answers the verdict if the state changes.
    package mutating func record(_ result: ProbeResult) -> ProbeVerdict? {
        if self.history.count == Self.historyLimit { self.history.removeFirst() }
        self.history.append(result)
        let passed = result.cause == .ok
        switch self.operational {
        case .unknown: return self.turn(passed ? .up : .down, at: result.at)
        case .up:
            self.streak = passed ? 0 : self.streak + 1
            return self.streak >= self.fall ? self.turn(.down, at: result.at) : nil
        case .down:
            self.streak = passed ? self.streak + 1 : 0
            return self.streak >= self.rise ? self.turn(.up, at: result.at) : nil
        }
    }

    private mutating func turn(_ state: Operational, at: UInt64) -> ProbeVerdict {
        self.operational = state
        self.streak = 0
        self.since = at
        return state == .up ? .up : .down
    }

    /// Why the state is what it is, and what would change it.
    package var explanation: String {
        let last = self.history.last.map { result in
            result.status > 0 ? "\(result.cause.rawValue) \(result.status)" : result.cause.rawValue
        }
        switch self.operational {
        case .unknown: return "no probe has answered yet"
        case .up:
            guard self.streak > 0 else { return "" }
            let left = self.fall - self.streak
            return "last probe: \(last ?? ""); \(left) more failing \(left == 1 ? "probe" : "probes") would take it down"
        case .down:
            let left = self.rise - self.streak
            return "last probe: \(last ?? ""); \(left) more passing \(left == 1 ? "probe" : "probes") would bring it back"
        }
    }
}
