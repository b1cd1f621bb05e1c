import Traffic

/// What is counted for plans.
extension WorkerCore {
    /// nil: a number that no table has named here.
    @inline(__always)
    func stage(_ number: Int) -> Reference<StageRecord>? {
        guard number < self.stages.count, let record = self.stages[number] else { return nil }
        return Reference(to: record)
    }

    /// Makes the counters of a stage's run, so that no request need.
    func prepare(_ stage: StagePlan) {
        while stage.number >= self.stages.count { self.stages.append(nil) }
        guard self.stages[stage.number]?.epoch != stage.epoch else { return }
        self.stages[stage.number] = StageRecord(epoch: stage.epoch, isSticky: stage.isSticky)
    }

    func forgetStages(_ numbers: [Int]) {
        for number in numbers where number < self.stages.count { self.stages[number] = nil }
    }

    func addStages(
        to sums: [Int: StageCounts], names: ContiguousArray<CounterRegistry.Series?>
    ) -> [Int: StageCounts] {
        var sums = sums
        for (number, record) in self.stages.enumerated() {
            guard let record, number < names.count, let series = names[number] else { continue }
            record.add(to: &sums[number, default: StageCounts(route: series.route, epoch: record.epoch)])
        }
        return sums
    }
}
