import Traffic

/// Counters of one listener, by name, in one worker. Plain integers: one thread writes, and reads them out itself.
final class ListenerCounts {
    /// Milliseconds for which they are kept while no listener has the name, so that they go on if it returns.
    static let grace: UInt64 = 300_000

    /// Since when no listener has the name, in monotonic milliseconds; nil: one has.
    var unusedSince: UInt64?
    /// Headers of the PROXY protocol, by what came of them.
    var proxyHeaders = ProxyHeaderCounts()
    var tls = HandshakeCounts()
    var tlsDuration = LatencyHistogram()

    /// Connections closed because of their client's address.
    var denied: UInt64 = 0

    func snapshot(listener: String) -> ListenerCounters {
        var counters = ListenerCounters(
            listener: listener, proxyHeaders: self.proxyHeaders, handshakes: self.tls,
            handshakeDuration: self.tlsDuration)
        counters.denied = self.denied
        return counters
    }
}
