import Migration

/// Tells noise from difference: what became of a class when the old side was asked again.
///
/// If both sides were alike and the class were noise, the old answer A, the old answer A′ and the new one B would be
/// exchangeable, so that of the times when A and B differ in it, A and A′ would differ at least half as often. Nothing that has a
/// direction has that property (a field that 5 % of answers of either side lack is, where A has it and B does not, hardly ever
/// missing in A′), so directed classes that are each other's mirror share one account.
package struct NoiseAccount: Sendable, Equatable {
    package enum Verdict: Sendable, Equatable {
        /// Too few rechecks to tell.
        case open
        /// It repeats by itself on the old side.
        case noise
        /// It does not, more surely than all false alarms together may cost. Never taken back.
        case real
    }

    /// The number of the account among those found, from 1: Σ 1/(k(k+1)) = 1 pays for any number of them.
    package let position: Int
    package private(set) var rechecks: UInt64 = 0
    package private(set) var repeated: UInt64 = 0
    package private(set) var verdict: Verdict = .open
    private let threshold: Double

    /// `falseAlarm`: the chance that any class of pure noise is ever called real.
    package init(position: Int, falseAlarm: Double) {
        self.position = position
        let position = Double(position)
        self.threshold = Evidence.threshold(falseAlarm / (position * (position + 1)))
    }

    /// Adds what an earlier process knew.
    package mutating func restore(rechecks: UInt64, repeated: UInt64, isReal: Bool) {
        self.rechecks += rechecks
        self.repeated += min(repeated, rechecks)
        self.judge(isReal: isReal)
    }

    /// `repeats`: whether the old side differs from itself in the class.
    package mutating func record(repeats: Bool) {
        self.rechecks += 1
        if repeats { self.repeated += 1 }
        self.judge(isReal: false)
    }

    private mutating func judge(isReal: Bool) {
        if isReal || self.verdict == .real || self.evidence >= self.threshold {
            self.verdict = .real
        } else {
            self.verdict = self.repeated >= 2 && self.repeated * 4 >= self.rechecks ? .noise : .open
        }
    }

    /// Against "it repeats in at least half of the rechecks".
    package var evidence: Double {
        Evidence.tilt(Arm(bad: self.repeated, count: self.rechecks), rate: 0.5, .below)
    }
}
