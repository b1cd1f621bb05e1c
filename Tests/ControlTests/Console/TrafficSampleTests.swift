@testable import Control
import Testing
import Traffic

@Suite("Traffic samples") struct TrafficSampleTests {
    private static func worker(_ answers: UInt64, failed: UInt64 = 0, microseconds: [UInt64] = []) -> WorkerSnapshot {
        var worker = WorkerSnapshot(worker: 0, generation: 1)
        var latency = LatencyHistogram()
        for time in microseconds { latency.record(microseconds: time) }
        worker.routes = [
            RouteCounters(
                route: "api", upstream: "core", statusClasses: [0, 0, answers - failed, 0, 0, failed], cancelled: 0,
                latency: latency),
            RouteCounters(
                route: "api", upstream: "", statusClasses: [0, 0, 0, 0, 0, 5], cancelled: 0, latency: latency),
        ]
        return worker
    }

    @Test("Rates, errors and times are those between two samples; answers of our own are nobody's errors")
    func flow() {
        let before = TrafficSample([Self.worker(100, failed: 50)], routes: ["api"], at: 1_000)
        var worker = Self.worker(300, failed: 60, microseconds: [600, 700, 800, 900])
        worker.endpoints = [
            EndpointCounters(
                upstream: "core", address: Sample.address(1), requests: 0, connectFailures: 10, connectionsOpened: 0,
                connectionsIdle: 0)
        ]
        let after = TrafficSample([worker, Self.worker(100)], routes: ["api"], at: 3_000)
        let flow = TrafficFlow(from: before, to: after)
        let side = flow.side("core")
        #expect(side.requestsPerSecond == 150)
        #expect(side.attempts == 310 && side.errors == rounded(20.0 / 310, 100_000))
        // Half of what lies between 0.5 and 1 ms.
        #expect(side.p50Milliseconds == 0.75 && side.p99Milliseconds == 0.99 || side.p99Milliseconds == 1)
        #expect(flow.requestsPerSecond(route: "api", upstream: "core") == 150)
        #expect(flow.requestsPerSecond == 152.5)
        #expect(flow.side("none") == SideFlow())
    }

    @Test("Counters that begin anew are counted from nothing")
    func anew() {
        let before = TrafficSample([Self.worker(1_000)], routes: [], at: 0)
        let after = TrafficSample([Self.worker(30)], routes: [], at: 1_000)
        #expect(TrafficFlow(from: before, to: after).side("core").requestsPerSecond == 30)
    }

    @Test(
        "Plots have one point every five seconds, a quarter of an hour of them, and gaps where the process stood still")
    func plots() {
        var plots = TrafficPlots()
        func take(_ second: UInt64) {
            plots.take(
                TrafficSample([Self.worker(10 * second + 1)], routes: [], at: second * 1_000),
                sides: ["core", "gateway"])
        }
        for second in 0...1_000 { take(UInt64(second)) }
        let body = plots.body
        #expect(body.sides.map(\.upstream) == ["core", "gateway"] && body.intervalSeconds == 5)
        #expect(body.sides[0].requestsPerSecond.count == TrafficPlots.points)
        #expect(body.sides[0].requestsPerSecond.allSatisfy { $0 == 10 })
        #expect(body.sides[1].errors.allSatisfy { $0 == nil })
        take(1_020)
        #expect(plots.body.sides[0].requestsPerSecond.suffix(5) == [10, nil, nil, nil, 10])
        #expect(plots.body.sides[0].requestsPerSecond.count == TrafficPlots.points)
    }

    private static let cases: [([UInt64], Double, Double?)] = [
        ([], 0.5, nil), ([400], 0.5, 250), ([400, 400], 1, 500), ([70_000_000], 0.5, 60_000_000),
    ]

    @Test("Quantiles within buckets", arguments: Self.cases)
    func quantiles(times: [UInt64], q: Double, expected: Double?) {
        var histogram = LatencyHistogram()
        for time in times { histogram.record(microseconds: time) }
        #expect(histogram.quantile(q) == expected)
    }
}
