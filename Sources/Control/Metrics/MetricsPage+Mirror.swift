import Comparison
import Traffic

extension MetricsPage {
    /// Copies and comparisons, of plans that routes of the table name.
    func writeMirror(_ text: inout MetricsText) {
        var records: [String: MirrorRecord] = [:]
        for record in self.view.table.routes.compactMap(\.mirror) { records[record.migration] = record }
        let ordered = records.values.sorted { $0.migration < $1.migration }
        text.family(.mirrorCopies)
        for record in ordered {
            for (upstream, copies) in record.copies.sorted(by: { $0.key < $1.key }) {
                for (index, count) in copies.statusClasses.enumerated() where count > 0 {
                    text.sample(
                        .mirrorCopies,
                        [
                            ("migration", record.migration), ("upstream", upstream),
                            ("status_class", Self.classes[index]),
                        ], count)
                }
            }
        }
        text.family(.mirrorDuration)
        for record in ordered {
            for (upstream, copies) in record.copies.sorted(by: { $0.key < $1.key }) {
                text.histogram(
                    .mirrorDuration, [("migration", record.migration), ("upstream", upstream)], copies.duration)
            }
        }
        text.family(.mirrorDropped)
        for record in ordered {
            for (reason, count) in record.dropped {
                text.sample(.mirrorDropped, [("migration", record.migration), ("reason", reason)], count)
            }
        }
        text.single(.mirrorMemory, ordered.reduce(0) { $0 &+ UInt64(max(0, $1.memory.held)) })
        self.writeComparisons(&text)
    }

    private func writeComparisons(_ text: inout MetricsText) {
        text.family(.comparisons)
        for plan in self.compared {
            for (result, count) in plan.results.sorted(by: { $0.key < $1.key }) {
                text.sample(.comparisons, [("migration", plan.name), ("result", result)], count)
            }
        }
        text.family(.classes)
        for plan in self.compared {
            for state in [ClassBook.State.open, .noise, .real, .accepted] {
                let count = plan.book.records.count { plan.book.state(of: $0) == state }
                text.sample(.classes, [("migration", plan.name), ("state", state.rawValue)], UInt64(count))
            }
        }
        text.family(.rechecks)
        for plan in self.compared { text.sample(.rechecks, [("migration", plan.name)], plan.rechecks) }
    }
}
