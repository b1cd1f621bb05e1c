import Traffic

/// Counters of the data plane at one moment, as far as the operator's surface shows them.
struct TrafficSample: Sendable {
    struct Side: Sendable {
        /// Requests that it was given, those whose clients left included.
        var requests: UInt64 = 0
        /// Attempts that ended, and those of them that ended with 5xx, without a connection, or with what is no HTTP.
        var attempts: UInt64 = 0
        var failed: UInt64 = 0
        var latency = LatencyHistogram()
    }

    /// Monotonic milliseconds.
    var at: UInt64
    /// Of all routes, those that the balancer answers itself included.
    var requests: UInt64 = 0
    var sides: [String: Side] = [:]
    var routes: [TrafficWindow.RouteSide: UInt64] = [:]

    /// `shown` are the routes whose sides are told apart.
    init(_ workers: [WorkerSnapshot], routes shown: Set<String>, at now: UInt64) {
        self.at = now
        for worker in workers {
            for counters in worker.routes {
                let answered = counters.statusClasses.reduce(0, &+)
                self.requests &+= answered &+ counters.cancelled
                guard !counters.upstream.isEmpty else { continue }
                if shown.contains(counters.route) {
                    let key = TrafficWindow.RouteSide(route: counters.route, upstream: counters.upstream)
                    self.routes[key, default: 0] &+= answered &+ counters.cancelled
                }
                var side = self.sides[counters.upstream] ?? Side()
                side.requests &+= answered &+ counters.cancelled
                side.attempts &+= answered
                side.failed &+= counters.statusClasses.last ?? 0
                side.latency.merge(counters.latency)
                self.sides[counters.upstream] = side
            }
            for counters in worker.endpoints {
                let failures = counters.connectFailures &+ counters.malformedAnswers
                guard failures > 0 else { continue }
                self.sides[counters.upstream, default: Side()].attempts &+= failures
                self.sides[counters.upstream, default: Side()].failed &+= failures
            }
        }
    }
}

/// What came to pass between two samples.
struct TrafficFlow: Sendable {
    let seconds: Double
    private let earlier: TrafficSample
    private let later: TrafficSample

    init(from earlier: TrafficSample, to later: TrafficSample) {
        self.seconds = Double(max(later.at > earlier.at ? later.at - earlier.at : 0, 1)) / 1_000
        self.earlier = earlier
        self.later = later
    }

    /// Of everything, a second.
    var requestsPerSecond: Double { Self.rate(self.later.requests, self.earlier.requests, self.seconds) }

    func requestsPerSecond(route: String, upstream: String) -> Double {
        let key = TrafficWindow.RouteSide(route: route, upstream: upstream)
        return Self.rate(self.later.routes[key] ?? 0, self.earlier.routes[key] ?? 0, self.seconds)
    }

    func side(_ name: String) -> SideFlow {
        let (now, then) = (self.later.sides[name], self.earlier.sides[name])
        guard let now else { return SideFlow() }
        var flow = SideFlow()
        flow.requestsPerSecond = Self.rate(now.requests, then?.requests ?? 0, self.seconds)
        let attempts = Self.difference(now.attempts, then?.attempts ?? 0)
        flow.attempts = attempts
        if attempts > 0 {
            let failed = min(Self.difference(now.failed, then?.failed ?? 0), attempts)
            flow.errors = rounded(Double(failed) / Double(attempts), 100_000)
        }
        let latency = then.map { now.latency.since($0.latency) } ?? now.latency
        flow.p50Milliseconds = latency.quantile(0.5).map { rounded($0 / 1_000, 100) }
        flow.p99Milliseconds = latency.quantile(0.99).map { rounded($0 / 1_000, 100) }
        return flow
    }

    /// Counters of what went and came back may have begun anew.
    private static func difference(_ now: UInt64, _ then: UInt64) -> UInt64 { now >= then ? now - then : now }

    private static func rate(_ now: UInt64, _ then: UInt64, _ seconds: Double) -> Double {
        rounded(Double(Self.difference(now, then)) / seconds, 100)
    }
}

/// How a side does.
package struct SideFlow: Sendable, Equatable, Codable {
    package var requestsPerSecond = 0.0
    /// The part of its attempts that failed, 0…1; nil: there were none.
    package var errors: Double?
    /// From a request's head to the end of its answer, estimated within the buckets of the histogram; nil: none has come.
    package var p50Milliseconds: Double?
    package var p99Milliseconds: Double?
    /// Of which `errors` is a part.
    package var attempts: UInt64 = 0

    package init() {}
}

/// To so many parts of one: what people read has no use for sixteen digits, sent to each of them every second.
func rounded(_ value: Double, _ parts: Double) -> Double {
    let scaled = (value * parts).rounded()
    return scaled.magnitude < 1e15 ? scaled / parts : value
}

extension LatencyHistogram {
    /// What has come since `earlier`.
    func since(_ earlier: LatencyHistogram) -> LatencyHistogram {
        var recent = self
        for index in recent.counts.indices {
            let (now, then) = (self.counts[index], earlier.counts[index])
            recent.counts[index] = now >= then ? now - then : now
        }
        recent.sumMicroseconds =
            self.sumMicroseconds >= earlier.sumMicroseconds
            ? self.sumMicroseconds - earlier.sumMicroseconds : self.sumMicroseconds
        return recent
    }

    /// Microseconds below which the part `q` of what was counted lies, evenly spread within its bucket; nil: nothing was.
    func quantile(_ q: Double) -> Double? {
        let total = self.count
        guard total > 0 else { return nil }
        let wanted = q * Double(total)
        var below = 0.0
        for (index, count) in self.counts.enumerated() where count > 0 {
            if below + Double(count) >= wanted {
                let lower = index == 0 ? 0 : Double(Self.bounds[index - 1])
                guard index < Self.bounds.count else { return lower }
                return lower + (Double(Self.bounds[index]) - lower) * max(wanted - below, 0) / Double(count)
            }
            below += Double(count)
        }
        return Self.bounds.last.map { Double($0) }
    }
}
