extension PlanSpec {
    /// All that the plan says, in one text that is the same in every process: two plans are alike if these are.
    package var canonicalText: String {
        let windows = self.freeze.map { window in
            let days = window.days.map { $0.map(\.rawValue).sorted().map { "\($0)" }.joined(separator: ",") } ?? "*"
            let dates = window.dates.map { "\(Self.text($0.lowerBound))/\(Self.text($0.upperBound))" } ?? "*"
            return "\(window.zone) \(days) \(dates) \(window.from)-\(window.to)"
        }
        let stages = self.stages.map { stage in
            let kind =
                switch stage.kind {
                case .share(let weight): "share \(weight)"
                case .mirror: "mirror"
                case .retire: "retire"
                }
            return "\(kind) \(stage.mirror.map { "\($0)" } ?? "*") \(stage.hold) \(stage.approval)"
        }
        let rates = [self.gates.errors, self.gates.clientErrors, self.gates.cancelled, self.gates.p50, self.gates.p99]
        let limits = rates.map { rate in rate.map { "\($0.tolerance)/\($0.margin)" } ?? "off" }
        let parts: [String] = [
            self.name, self.routes.joined(separator: ","), self.from, self.to, stages.joined(separator: ","),
            "\(self.gates.minimum) \(self.gates.falseAlarm) \(self.gates.falseAdvance)", limits.joined(separator: ","),
            "\(self.gates.latencyFloor) \(self.gates.mismatches.map { "\($0)" } ?? "off") \(self.gates.settle)",
            "\(self.gates.enforce)",
            "\(self.retreat.aim.rawValue) \(self.retreat.over) \(self.retreat.unavailable) \(self.retreat.cooldown)",
            "\(self.patience) \(self.fourEyes)", windows.joined(separator: ","),
        ]
        return parts.joined(separator: "|")
    }

    private static func text(_ day: FreezeWindow.Day) -> String { "\(day.year)-\(day.month)-\(day.day)" }
}
