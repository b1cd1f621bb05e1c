import Control

/// A plan's forecast for people.
enum ForecastTable {
    static func text(_ forecast: PlanForecast) -> String {
        var table = TextTable("STAGE", "SHARE", "COPIED", "HOLD", "NEEDS", "SLOWEST", "TIME")
        for stage in forecast.stages {
            table.add(
                "\(stage.stage)", stage.share.map { Wording.rounded($0, 4) + "%" } ?? "-",
                stage.mirror > 0 ? Wording.rounded(stage.mirror, 4) + "%" : "-",
                Wording.duration(seconds: stage.hold), Self.needs(stage), stage.slowest ?? "-",
                stage.seconds.map { Wording.duration(seconds: $0) } ?? "-")
        }
        let head = "migration \(forecast.name), at \(Wording.rounded(forecast.rate, 3)) requests/s:\n"
        let notes = forecast.stages.compactMap { stage in
            stage.note.map { note in
                "stage \(stage.stage): \(note)"
                    + (stage.proposedShare.map { " (\(Wording.rounded($0, 2)) %)" } ?? "")
            }
        }
        return head + table.render() + notes.map { "\n" + $0 }.joined()
    }

    private static func needs(_ stage: PlanForecast.Stage) -> String {
        var parts: [String] = []
        if let samples = stage.samples, samples > 0 { parts.append("\(samples) requests") }
        if let comparisons = stage.comparisons, comparisons > 0 { parts.append("\(comparisons) comparisons") }
        return parts.isEmpty ? "-" : parts.joined(separator: ", ")
    }
}
