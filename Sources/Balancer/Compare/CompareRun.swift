import Comparison
import Migration

/// Asks both sides, at a bounded rate, and the old side again wherever they differ.
struct CompareRun: Sendable {
    let old: CompareSide
    let new: CompareSide
    let comparison: AnswerComparison
    let templates: PathTemplate
    let tally: CompareTally
    /// Questions a second to the old side, those that are asked again among them.
    let rate: Double
    let concurrency: Int

    func run() async {
        let pace = Pace(rate: self.rate)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<self.concurrency {
                group.addTask { await self.work(pace) }
            }
        }
        await self.tally.close()
    }

    private func work(_ pace: Pace) async {
        while !Task.isCancelled, let request = await self.tally.next() {
            await pace.turn()
            await self.tally.record(await self.compare(request, pace))
        }
    }

    private func compare(_ request: ComparedRequest, _ pace: Pace) async -> CompareTally.Finding {
        // At the same time: what changes meanwhile changes for both.
        async let first = self.old.ask(request)
        async let second = self.new.ask(request)
        let old = await first
        let new = await second
        let found = self.comparison.differences(method: request.method, old: old.answer, new: new.answer)
        var finding = CompareTally.Finding(
            request: request, template: self.templates.template(request.target), old: old, new: new, found: found)
        // What may change something is not done twice to learn about a difference.
        guard !found.isEmpty, RequestList.isSafe(request.method) else { return finding }
        await pace.turn()
        let again = await self.old.ask(request).answer
        finding.recheck = (
            itself: self.comparison.differences(method: request.method, old: old.answer, new: again),
            new: self.comparison.differences(method: request.method, old: again, new: new.answer)
        )
        return finding
    }
}

/// Lets through so many a second, evenly.
actor Pace {
    private let interval: Duration
    private var next = ContinuousClock.now

    init(rate: Double) { self.interval = .seconds(1) / rate }

    func turn() async {
        let turn = max(self.next, .now)
        self.next = turn + self.interval
        try? await Task.sleep(until: turn, clock: .continuous)
    }
}
