/// How one probe ended.
package enum ProbeCause: String, Sendable {
    case ok
    case refused
    case connectTimeout = "connect-timeout"
    case unreachable
    case reset
    /// No session of TLS came of it.
    case handshake = "tls-handshake-failed"
    /// The endpoint's certificate is not one that is believed, or not its own.
    case certificate = "certificate-invalid"
    case responseTimeout = "response-timeout"
    /// Not a status that was expected.
    case status
    /// Not the body that was expected.
    case body
    /// The health service of gRPC says something else than SERVING, or nothing.
    case notServing = "not-serving"
    case malformed
}

package struct ProbeResult: Sendable, Equatable {
    /// Monotonic milliseconds.
    package var at: UInt64
    /// Milliseconds since 1970.
    package var wallClock: UInt64
    package var cause: ProbeCause
    /// 0 if no status was understood.
    package var status: UInt16
    /// From the dial to the verdict.
    package var microseconds: UInt64

    package init(at: UInt64, wallClock: UInt64, cause: ProbeCause, status: UInt16, microseconds: UInt64) {
        self.at = at
        self.wallClock = wallClock
        self.cause = cause
        self.status = status
        self.microseconds = microseconds
    }
}

package enum ProbeVerdict: Sendable, Equatable { case up, down }

/// Turns probe results into verdicts: the first answer decides at the start, then `rise` passing probes in a row bring
/// an endpoint up and `fall` failing ones take it down. Pure.
///
///     unknown ──ok──▶ up ──fall × failure──▶ down ──rise × ok──▶ up
///     unknown ──failure──▶ down
package struct ProbeMachine: Sendable {
    package static let historyLimit = 64

    private var rise: UInt32
    private var fall: UInt32
    /// The last results, oldest first.
    package private(set) var history: [ProbeResult] = []
    package private(set) var operational: Operational
    /// When the operational state last changed; nil before the first result.
    package private(set) var since: UInt64?
    /// Results in a row that speak against the present state.
    private var contrary: UInt32 = 0

    /// `operational`: what is known of the endpoint already; an endpoint that counts as up without ever having been probed is
    /// taken out by `fall` failures, not by the first.
    package init(_ spec: ProbeSpec, operational: Operational = .unknown) {
        self.operational = operational
        self.rise = max(spec.rise, 1)
        self.fall = max(spec.fall, 1)
        self.history.reserveCapacity(Self.historyLimit)
    }

    /// Goes on with another probe: what the old one found, and how often in a row, still counts.
    package mutating func adopt(_ spec: ProbeSpec) {
        self.rise = max(spec.rise, 1)
        self.fall = max(spec.fall, 1)
    }

    /// Takes a result in. Answers the new state if it changed.
    package mutating func record(_ result: ProbeResult) -> ProbeVerdict? {
        if self.history.count == Self.historyLimit { self.history.removeFirst() }
        self.history.append(result)
        let passed = result.cause == .ok
        switch (self.operational, passed) {
        case (.unknown, _), (.joining, _): break
        case (.up, true), (.down, false):
            self.contrary = 0
            return nil
        case (.up, false):
            self.contrary += 1
            guard self.contrary >= self.fall else { return nil }
        case (.down, true):
            self.contrary += 1
            guard self.contrary >= self.rise else { return nil }
        }
        self.operational = passed ? .up : .down
        self.since = result.at
        self.contrary = 0
        return passed ? .up : .down
    }

    /// Why the state is what it is, and what would change it; one clause or two.
    package var explanation: String {
        guard let last = self.history.last else { return "no probe has answered yet" }
        switch self.operational {
        case .unknown, .joining: return "no probe has answered yet"
        case .up:
            guard self.contrary > 0 else { return "probes pass" }
            return "\(last.words); \(Self.count(self.missing(of: self.fall), "failing")) would take it down"
        case .down:
            let cause = self.history.last { $0.cause != .ok }?.words ?? "its probes failed"
            return "\(cause); \(Self.count(self.missing(of: self.rise), "passing")) would bring it back"
        }
    }

    /// At least one: a probe that asks for fewer than there have been decides with its next result.
    private func missing(of wanted: UInt32) -> UInt32 { wanted > self.contrary ? wanted - self.contrary : 1 }

    private static func count(_ probes: UInt32, _ kind: String) -> String {
        probes == 1 ? "1 more \(kind) probe" : "\(probes) more \(kind) probes"
    }
}

extension ProbeResult {
    /// The result as a clause.
    var words: String {
        switch self.cause {
        case .ok: "the probe passed"
        case .refused: "the connection was refused"
        case .connectTimeout: "connecting timed out"
        case .unreachable: "the address was unreachable"
        case .reset: "the connection was reset"
        case .handshake: "no session of TLS came of it"
        case .certificate: "its certificate is not believed, or not its own"
        case .responseTimeout: "no answer came in time"
        case .status: "the answer's status was \(self.status)"
        case .body: "the answer's body was not the expected one"
        case .notServing: "its gRPC health service did not say SERVING"
        case .malformed: "the answer was not HTTP"
        }
    }
}
