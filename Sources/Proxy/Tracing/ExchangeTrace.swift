import HTTPWire
import Traffic

/// The spans of one exchange while it lasts.
final class ExchangeTrace {
    let trace: TraceID
    /// Of the request.
    let span: UInt64
    /// The client's; 0: the trace begins here.
    let parent: UInt64
    let flags: UInt8
    /// The attempt under way, and when it began in microseconds; 0: none is.
    private(set) var attempt: UInt64 = 0
    private(set) var attemptBegan: UInt64 = 0
    /// When its endpoint was let go; 0: it was not. What the client then still takes is not the attempt's time.
    var attemptEnded: UInt64 = 0
    /// Attempts that have failed.
    var failed: [SpanRecord] = []

    init(trace: TraceID, span: UInt64, parent: UInt64, flags: UInt8) {
        self.trace = trace
        self.span = span
        self.parent = parent
        self.flags = flags
    }

    /// The client's trace goes on.
    var isContinued: Bool { self.parent != 0 }

    func openAttempt(_ span: UInt64, at now: UInt64) {
        self.attempt = span
        self.attemptBegan = now
        self.attemptEnded = 0
    }

    /// None is under way: nothing was tried.
    func forgetAttempt() { self.attempt = 0 }

    /// For the copy of the request, beside the attempt that was answered.
    var ofCopy: CopiedTrace {
        CopiedTrace(
            trace: self.trace, parent: self.span, link: self.attempt, flags: self.flags, isContinued: self.isContinued)
    }
}

/// Where the span of a copy belongs.
struct CopiedTrace: Sendable {
    let trace: TraceID
    let parent: UInt64
    let link: UInt64
    let flags: UInt8
    let isContinued: Bool
}

extension SplitMix64 {
    /// Zero stands for none.
    mutating func nextIdentifier() -> UInt64 {
        let value = self.next()
        return value == 0 ? 1 : value
    }
}

/// Spans that a worker has finished in this turn. They are handed over once a turn; where another thread has the queue just
/// then, in the next one, which comes at once.
final class SpanBuffer: Handle {
    /// Spans that wait for that.
    private static let capacity = 4_096

    /// Neither is ever freed before the other.
    private unowned let core: WorkerCore
    private let queue: SpanQueue
    private var spans: [SpanRecord] = []

    init(core: WorkerCore, queue: SpanQueue) {
        self.core = core
        self.queue = queue
        super.init()
        core.register(self)
    }

    func append(_ span: SpanRecord) {
        guard self.spans.count < Self.capacity else { return self.queue.drop(1) }
        self.spans.append(span)
        self.core.makeRunnable(self)
    }

    override func resume() {
        if !self.spans.isEmpty, !self.queue.offer(&self.spans) { self.core.makeRunnable(self) }
    }
}
