/// For how long a plan's durations have failed on end. The tests suppose that answers are slow each by itself; a pause of the new
/// side or of the machine makes all answers of a moment slow at once: hundreds of samples that are one event. The evidence of a
/// moment melts away under the samples that follow it, that of a side which is slower does not: durations send a plan back only
/// when they have failed for a time on end. Errors do so at once.
package struct SlowSpells: Sendable {
    /// Milliseconds; the plan's `settle` where that is less.
    package static let patience: Int64 = 10_000

    private var epoch: UInt64 = 0
    private var began: [GateName: Int64] = [:]

    package init() {}

    /// `now`: monotonic milliseconds.
    package mutating func temper(
        _ judgement: GateBook.Judgement, epoch: UInt64, settle: Int64, now: Int64
    ) -> GateBook.Judgement {
        if epoch != self.epoch { self.began = [:] }
        self.epoch = epoch
        var judgement = judgement
        for (place, reading) in judgement.readings.enumerated() where reading.gate == .p50 || reading.gate == .p99 {
            guard reading.verdict == .fail else {
                self.began[reading.gate] = nil
                continue
            }
            let began = self.began[reading.gate] ?? now
            self.began[reading.gate] = began
            if now - began < min(settle, Self.patience) { judgement.readings[place].verdict = .collecting }
        }
        return judgement
    }
}
