import JSONText
import Migration

/// Reads what a plan asks of the new side.
enum GateReader {
    static func read(_ node: Node) -> GateSpec? {
        guard let section = node.section(.migrationGates) else { return nil }
        var gates = GateSpec()
        section.read("minimum", into: &gates.minimum) { $0.integer(1...1_000_000_000) }
        section.read("falseAlarm", into: &gates.falseAlarm) { $0.percent(upTo: 50)?.fraction }
        section.read("falseAdvance", into: &gates.falseAdvance) { $0.percent(upTo: 50)?.fraction }
        section.read("settle", into: &gates.settle) { $0.duration(0...3_600_000).map(Int64.init) }
        section.read("enforce", into: &gates.enforce) { $0.bool() }
        let rates: [(String, WritableKeyPath<GateSpec, GateSpec.Rate?>)] = [
            ("errors", \.errors), ("clientErrors", \.clientErrors), ("cancelled", \.cancelled),
        ]
        for (key, target) in rates { self.rate(section[key], into: &gates[keyPath: target], upTo: 100) }
        if let node = section["latency"] { self.latency(node, into: &gates) }
        if let node = section["mismatches"] {
            if case .bool(false) = node.value.content {
                gates.mismatches = nil
            } else if let section = node.section(.gateMismatches, "an object or false") {
                section.required("max").map { gates.mismatches = $0.percent(upTo: 100)?.fraction ?? gates.mismatches }
            }
        }
        return gates
    }

    private static func latency(_ node: Node, into gates: inout GateSpec) {
        if case .bool(false) = node.value.content {
            gates.p50 = nil
            gates.p99 = nil
            return
        }
        guard let section = node.section(.gateLatency, "an object or false") else { return }
        self.rate(section["p50"], into: &gates.p50, upTo: 10_000)
        self.rate(section["p99"], into: &gates.p99, upTo: 10_000)
        section.read("floor", into: &gates.latencyFloor) { $0.duration(0...60_000).map { Double($0) * 1_000 } }
    }

    /// `false` switches a gate off.
    private static func rate(_ node: Node?, into rate: inout GateSpec.Rate?, upTo limit: UInt32) {
        guard let node else { return }
        if case .bool(false) = node.value.content {
            rate = nil
            return
        }
        guard let section = node.section(.gateRate, "an object or false"), var changed = rate else { return }
        section.read("tolerance", into: &changed.tolerance) { $0.percent(upTo: limit)?.fraction }
        section.read("margin", into: &changed.margin) { $0.percent(upTo: limit)?.fraction }
        rate = changed
    }
}
