import Control

/// A migration for people.
enum MigrationText {
    static func whole(_ body: MigrationBody) -> String {
        var lines = [
            "\(body.name): \(body.from) → \(body.to), \(body.state)"
                + (body.reason.map { " (\($0))" } ?? ""),
            "stage \(body.stage) of \(body.stages.count), \(body.to) \(Wording.rounded(body.share, 4)) %"
                + (body.mirror > 0 ? ", \(Wording.rounded(body.mirror, 4)) % copied" : "")
                + ", held \(Wording.duration(seconds: body.heldSeconds)) of "
                + Wording.duration(seconds: body.holdSeconds) + ", epoch \(body.epoch)",
            "next: \(body.next)" + (body.remainingSeconds.map { self.time($0) } ?? ""),
        ]
        if let retreat = body.retreat { lines.append("went back: \(retreat.words)") }
        if body.wouldHaveRetreated { lines.append("it would have gone back, and enforces nothing") }
        if !body.toAvailable { lines.append("\(body.to) has no available endpoint") }
        if !body.fromAvailable { lines.append("\(body.from) has no available endpoint") }
        if body.frozen { lines.append("a freeze window is open") }
        if let cluster = body.cluster {
            lines.append(
                cluster.alone
                    ? "this replica cannot ask the others: alone it goes back, and never on"
                    : "led by \(cluster.leader ?? "nobody")"
                        + (cluster.counted.isEmpty
                            ? "" : ", counted by " + cluster.counted.map(\.name).joined(separator: ", ")))
            lines += cluster.leftOut
        }
        lines.append(self.stages(body))
        if !body.gates.isEmpty { lines.append(self.gates(body)) }
        if !body.thinRoutes.isEmpty {
            lines.append("hardly any samples of: \(body.thinRoutes.joined(separator: ", "))")
        }
        return lines.map(\.visibleLines).joined(separator: "\n")
    }

    private static func time(_ seconds: Double) -> String {
        seconds > 0 ? " (about \(Wording.duration(seconds: seconds)))" : ""
    }

    private static func stages(_ body: MigrationBody) -> String {
        body.stages.map { stage in
            let what =
                switch stage.kind {
                case "mirror": "copies"
                case "retire": "retire"
                default: "\(Wording.rounded(stage.share, 4)) %"
                }
            let mark = stage.state == "present" ? "[\(what)]" : what
            return mark + (stage.approval && stage.state == "ahead" ? "*" : "")
        }.joined(separator: " → ")
    }

    private static func gates(_ body: MigrationBody) -> String {
        var table = TextTable(
            "GATE", "ROUTE", "VERDICT", body.to.uppercased(), body.from.uppercased(), "DIFFERENCE", "95 %", "MARGIN",
            "RETREAT",
            "ADVANCE")
        for gate in body.gates where gate.verdict != "off" {
            table.add(
                gate.gate, gate.route ?? "-", gate.verdict, self.side(gate.new, gate), self.side(gate.old, gate),
                gate.estimate.map { self.signed($0, gate) } ?? "-",
                gate.interval.map { "\(self.signed($0[0], gate)) … \(self.signed($0[1], gate))" } ?? "-",
                gate.margin.map { Wording.rounded($0, 3) } ?? "-", self.test(gate.retreat),
                gate.advance.map(self.test) ?? "-")
        }
        return table.render()
    }

    private static func side(_ side: GateBody.Side, _ gate: GateBody) -> String {
        guard gate.unit == "percent" else {
            return side.value.map { "\(Wording.rounded($0, 2)) ms of \(side.of)" } ?? "0"
        }
        return "\(side.bad)/\(side.of)"
    }

    private static func signed(_ value: Double, _ gate: GateBody) -> String {
        let text = Wording.rounded(value, 3)
        return (value > 0 ? "+" + text : text) + (gate.unit == "percent" ? "" : "%")
    }

    private static func test(_ test: PlanEvidence.Test) -> String {
        "\(Wording.rounded(test.evidence, 2)) / \(Wording.rounded(test.threshold, 2))"
    }
}
