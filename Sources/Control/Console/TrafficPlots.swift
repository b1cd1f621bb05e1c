import Traffic

/// How sides did in the last quarter of an hour, five seconds a point.
struct TrafficPlots: Sendable {
    /// Milliseconds that one point covers, at least.
    static let interval: UInt64 = 5_000
    static let points = 180
    /// Sides with plots: the first of the table.
    static let sideLimit = 16

    private var base: TrafficSample?
    /// Oldest first; a side that was not there then has none.
    private var closed: [[String: SideFlow]] = []

    mutating func take(_ sample: TrafficSample, sides: [String]) {
        guard let base = self.base else { return self.base = sample }
        guard sample.at &- base.at >= Self.interval else { return }
        let flow = TrafficFlow(from: base, to: sample)
        // While the process was stopped nothing was measured: no point rather than one that looks like the others.
        for _ in 1..<max(1, min(Int((sample.at &- base.at) / Self.interval), Self.points)) { self.close([:]) }
        self.close(Dictionary(sides.map { ($0, flow.side($0)) }, uniquingKeysWith: { first, _ in first }))
        self.base = sample
    }

    private mutating func close(_ point: [String: SideFlow]) {
        if self.closed.count == Self.points { self.closed.removeFirst() }
        self.closed.append(point)
    }

    var body: PlotsBody {
        var names: [String] = []
        for point in self.closed { for name in point.keys.sorted() where !names.contains(name) { names.append(name) } }
        return PlotsBody(
            intervalSeconds: Double(Self.interval) / 1_000,
            sides: names.prefix(Self.sideLimit).map { name in
                PlotsBody.Side(
                    upstream: name, requestsPerSecond: self.closed.map { $0[name]?.requestsPerSecond },
                    errors: self.closed.map { $0[name]?.errors },
                    p50Milliseconds: self.closed.map { $0[name]?.p50Milliseconds },
                    p99Milliseconds: self.closed.map { $0[name]?.p99Milliseconds })
            })
    }
}
