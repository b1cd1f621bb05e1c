import Traffic

extension MetricsPage {
    func writeHTTP2(_ text: inout MetricsText) {
        let workers = self.workers.map(\.http2)
        text.single(.http2ConnectionsActive, workers.reduce(0) { $0 &+ UInt64(max(0, $1.connections)) })
        text.single(.http2StreamsActive, workers.reduce(0) { $0 &+ UInt64(max(0, $1.streams)) })
        text.single(.http2Streams, workers.reduce(0) { $0 &+ $1.streamsTotal })
        let families: [(MetricName, String, [String], KeyPath<HTTP2Counters, ContiguousArray<UInt64>>)] = [
            (.http2ResetsReceived, "code", HTTP2Counters.codeNames, \.resetsReceived),
            (.http2ResetsSent, "code", HTTP2Counters.codeNames, \.resetsSent),
            (.http2GoAwaysSent, "code", HTTP2Counters.codeNames, \.goAwaysSent),
            (.http2Floods, "kind", HTTP2Counters.floodNames, \.floods),
        ]
        for (family, label, names, path) in families {
            text.family(family)
            for (index, name) in names.enumerated() {
                let count = workers.reduce(UInt64(0)) { sum, counters in
                    let counts = counters[keyPath: path]
                    return index < counts.count ? sum &+ counts[index] : sum
                }
                if count > 0 { text.sample(family, [(label, name)], count) }
            }
        }
    }
}
