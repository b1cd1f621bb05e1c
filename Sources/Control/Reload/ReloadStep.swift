/// What a look at the configuration's file leads to.
enum ReloadStep: Sendable, Equatable {
    /// What is there is in force.
    case upToDate
    case load([UInt8])
    /// There is nothing to load, and that is news.
    case refuse(String)
    /// Nothing is there, or an empty file. Between two steps of a replacement that is so for a moment: look again.
    case lookAgain
    /// Nothing that was not known before.
    case wait

    /// Decides from what is there `now` (monotonic milliseconds), what is in force, and what was wrong last; nothing else
    /// counts. `isDemanded`: an operator asks, so the file is loaded even if nothing is new about it.
    static func decide(
        _ file: ConfigurationFile, inForce: [UInt8]?, trouble: ReloadTrouble?, isDemanded: Bool, now: UInt64
    ) -> ReloadStep {
        // What was wrong with something else says nothing of this.
        let trouble = trouble?.file == file ? trouble : nil
        switch file {
        case .bytes(let bytes):
            if isDemanded { return .load(bytes) }
            if bytes == inForce { return .upToDate }
            switch trouble?.cause {
            case .content: return .wait
            case .passing: return trouble?.isDue(now) == true ? .load(bytes) : .wait
            case .unsettled, nil: return .load(bytes)
            }
        case .empty, .missing:
            let reason = file == .empty ? "it is empty" : "there is no such file"
            if isDemanded { return .refuse(reason) }
            guard let trouble else { return .lookAgain }
            return trouble.cause == .unsettled && trouble.isDue(now) ? .refuse(reason) : .wait
        case .unreadable(let reason): return trouble == nil || isDemanded ? .refuse(reason) : .wait
        }
    }
}

/// What is wrong with the file that was seen last, and when to look again.
struct ReloadTrouble: Sendable, Equatable {
    enum Cause: Sendable, Equatable {
        /// Perhaps it is being replaced.
        case unsettled
        /// What it says: another try would end alike.
        case content
        /// Something that may pass by itself: a port that is taken, no descriptor, no right to read, a take-over.
        case passing
    }

    /// Milliseconds for which a missing or empty file may be one that is being replaced.
    static let grace: UInt64 = 500
    /// Milliseconds to the first further try, doubled with each up to the last.
    static let firstPause: UInt64 = 1_000
    static let longestPause: UInt64 = 30_000

    let file: ConfigurationFile
    let cause: Cause
    /// Monotonic milliseconds; nil: no use.
    private(set) var due: UInt64?
    private var pause: UInt64

    init(_ file: ConfigurationFile, _ cause: Cause, now: UInt64) {
        self.file = file
        self.cause = cause
        self.pause = Self.firstPause
        switch cause {
        case .unsettled: self.due = now + Self.grace
        case .content: self.due = nil
        case .passing: self.due = now + self.pause
        }
    }

    func isDue(_ now: UInt64) -> Bool { self.due.map { $0 <= now } ?? false }

    /// Another try, or another look, has changed nothing.
    mutating func postpone(now: UInt64) {
        guard self.isDue(now) else { return }
        self.pause = min(self.pause * 2, Self.longestPause)
        self.due = now + self.pause
    }
}
