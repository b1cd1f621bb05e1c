import Traffic

/// How a side has done lately, for all of its routes: it is the side that is to bear more.
///
/// Attempts are counted when they end: with an answer, or without a connection or a whole head. A connection that is reset
/// under a request counts as neither; passive health sees those.
package struct SideTraffic: Sendable, Equatable {
    var attempts: UInt64 = 0
    /// Those that ended with 5xx, without a connection, or with what is no HTTP.
    var failed: UInt64 = 0
    /// Answers whose time was taken, and the sum of it.
    var timed: UInt64 = 0
    var microseconds: UInt64 = 0

    static func + (left: SideTraffic, right: SideTraffic) -> SideTraffic {
        SideTraffic(
            attempts: left.attempts &+ right.attempts, failed: left.failed &+ right.failed,
            timed: left.timed &+ right.timed, microseconds: left.microseconds &+ right.microseconds)
    }

    /// What has come since `earlier`. Counters of what went and came back may have begun anew.
    func since(_ earlier: SideTraffic) -> SideTraffic {
        func difference(_ path: KeyPath<SideTraffic, UInt64>) -> UInt64 {
            let (now, then) = (self[keyPath: path], earlier[keyPath: path])
            return now >= then ? now - then : now
        }
        return SideTraffic(
            attempts: difference(\.attempts), failed: difference(\.failed), timed: difference(\.timed),
            microseconds: difference(\.microseconds))
    }
}

/// What has happened in the last quarter of an hour.
package struct TrafficWindow: Sendable, Equatable {
    /// Milliseconds that it covers.
    package var length: UInt64 = 0
    var sides: [String: SideTraffic] = [:]
    /// Requests by route, whoever answered them.
    var routes: [String: UInt64] = [:]
    /// Requests of a route that a side answered.
    var routeSides: [RouteSide: UInt64] = [:]

    struct RouteSide: Hashable, Sendable {
        var route: String
        var upstream: String
    }

    private var seconds: Double { Double(max(self.length, 1)) / 1_000 }

    /// Requests a second of a route.
    func rate(of route: String) -> Double { Double(self.routes[route] ?? 0) / self.seconds }

    /// Requests a second that a side answered for other routes than these.
    func rate(at upstream: String, without routes: Set<String>) -> Double {
        let all = self.routeSides.reduce(UInt64(0)) { sum, entry in
            entry.key.upstream == upstream && !routes.contains(entry.key.route) ? sum &+ entry.value : sum
        }
        return Double(all) / self.seconds
    }

    /// Seconds that an answer takes at a side; nil: it has given none.
    func latency(of upstream: String) -> Double? {
        guard let side = self.sides[upstream], side.timed > 0 else { return nil }
        return Double(side.microseconds) / Double(side.timed) / 1_000_000
    }

    static func + (left: TrafficWindow, right: TrafficWindow) -> TrafficWindow {
        TrafficWindow(
            length: left.length &+ right.length, sides: left.sides.merging(right.sides) { $0 + $1 },
            routes: left.routes.merging(right.routes) { $0 &+ $1 },
            routeSides: left.routeSides.merging(right.routeSides) { $0 &+ $1 })
    }
}

/// Counters as they stood every minute of the last quarter of an hour.
package actor TrafficHistory {
    /// Milliseconds.
    private static let slice: UInt64 = 60_000
    private static let slices = 15
    /// Routes with traffic that are told apart; what the others do is counted by side only.
    private static let routeLimit = 10_000

    private let dataPlane: any DataPlane
    private let clock: ControlClock
    private var closed: [TrafficWindow] = []
    /// Totals at the end of the last closed slice, and when that was.
    private var base = TrafficWindow()
    private var baseAt: UInt64

    package init(dataPlane: any DataPlane, clock: ControlClock = .system) {
        self.dataPlane = dataPlane
        self.clock = clock
        self.baseAt = clock.monotonic()
    }

    package func run() async {
        while !Task.isCancelled {
            do { try await self.clock.sleep(Self.slice) } catch { return }
            await self.close()
        }
    }

    func close() async {
        let (open, total, _) = await self.open()
        self.closed.append(open)
        if self.closed.count > Self.slices - 1 { self.closed.removeFirst() }
        self.base = total
        self.baseAt &+= open.length
    }

    package func window() async -> TrafficWindow {
        let (open, _, closed) = await self.open()
        return closed.reduce(open) { $0 + $1 }
    }

    /// What has come since the last slice was closed, the totals, and the slices before. All of one moment: a slice may be
    /// closed while the workers are asked, and totals from before that, less its end, would be no difference.
    private func open() async -> (TrafficWindow, TrafficWindow, [TrafficWindow]) {
        let (base, baseAt, closed) = (self.base, self.baseAt, self.closed)
        let snapshots = await self.dataPlane.snapshots()
        let total = Self.totals(snapshots)
        let now = self.clock.monotonic()
        var window = TrafficWindow()
        window.length = now > baseAt ? now - baseAt : 0
        for (name, side) in total.sides {
            let recent = base.sides[name].map { side.since($0) } ?? side
            if recent != SideTraffic() { window.sides[name] = recent }
        }
        func difference<Key>(_ now: [Key: UInt64], _ then: [Key: UInt64]) -> [Key: UInt64] {
            var result: [Key: UInt64] = [:]
            for (key, count) in now where result.count < Self.routeLimit {
                let before = then[key] ?? 0
                if count != before { result[key] = count > before ? count - before : count }
            }
            return result
        }
        window.routes = difference(total.routes, base.routes)
        window.routeSides = difference(total.routeSides, base.routeSides)
        return (window, total, closed)
    }

    private static func totals(_ workers: [WorkerSnapshot]) -> TrafficWindow {
        var total = TrafficWindow()
        for worker in workers {
            for counters in worker.routes {
                let answers = counters.statusClasses.reduce(0, &+) &+ counters.cancelled
                total.routes[counters.route, default: 0] &+= answers
                // Answers of our own are nobody's.
                guard !counters.upstream.isEmpty else { continue }
                let key = TrafficWindow.RouteSide(route: counters.route, upstream: counters.upstream)
                total.routeSides[key, default: 0] &+= answers
                var side = total.sides[counters.upstream] ?? SideTraffic()
                side.attempts &+= counters.statusClasses.reduce(0, &+)
                side.failed &+= counters.statusClasses.last ?? 0
                side.timed &+= counters.latency.count
                side.microseconds &+= counters.latency.sumMicroseconds
                total.sides[counters.upstream] = side
            }
            for counters in worker.endpoints {
                let failures = counters.connectFailures &+ counters.malformedAnswers
                total.sides[counters.upstream, default: SideTraffic()].attempts &+= failures
                total.sides[counters.upstream, default: SideTraffic()].failed &+= failures
            }
        }
        return total
    }
}
