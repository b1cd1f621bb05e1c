import Traffic

/// Counters of one route and upstream in one worker. Plain integers: one thread writes, and reads them out itself.
final class RouteMetrics {
    var statusClasses: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
    var cancelled: UInt64 = 0
    var latency = LatencyHistogram()

    func record(status: UInt16, microseconds: UInt64) {
        switch status / 100 {
        case 1: self.statusClasses.1 &+= 1
        case 2: self.statusClasses.2 &+= 1
        case 3: self.statusClasses.3 &+= 1
        case 4: self.statusClasses.4 &+= 1
        case 5: self.statusClasses.5 &+= 1
        default: self.statusClasses.0 &+= 1
        }
        self.latency.record(microseconds: microseconds)
    }

    /// By gRPC's status; the last: it has none that is known. nil: there was no gRPC.
    private var grpc: ContiguousArray<UInt64>?

    func record(grpc status: Int8) {
        var counts = self.grpc ?? ContiguousArray(repeating: 0, count: RouteCounters.grpcStatuses)
        let place = status < 0 ? counts.count - 1 : min(Int(status), counts.count - 1)
        counts[place] &+= 1
        self.grpc = counts
    }

    func snapshot(route: String, upstream: String) -> RouteCounters {
        let classes = self.statusClasses
        var counters = RouteCounters(
            route: route, upstream: upstream,
            statusClasses: [classes.0, classes.1, classes.2, classes.3, classes.4, classes.5],
            cancelled: self.cancelled, latency: self.latency)
        counters.grpc = self.grpc ?? []
        return counters
    }
}
