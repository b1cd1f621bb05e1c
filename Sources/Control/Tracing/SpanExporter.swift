import Logging
import Reactor
import Synchronization
import Traffic

/// Takes spans from the data plane to the collector, a batch at a time, when one has come together and every few seconds. A
/// collector that is slow or away costs spans, which are counted, and nothing else.
package actor SpanExporter {
    typealias Send = @Sendable (_ body: [UInt8], _ spec: TracingSpec) async -> SpanCollector.Reply

    /// Milliseconds after which spans go although they are no whole batch.
    private static let interval: UInt64 = 5_000
    /// Times that a batch is sent.
    private static let tries = 4
    /// Before the next try.
    private static let pauses = Backoff(first: 1_000, limit: 30_000)
    /// Milliseconds for what is left at the end.
    private static let lastWords: UInt64 = 1_000

    private let queue: SpanQueue
    private let clock: ControlClock
    private let logger: Logger
    private let send: Send
    /// Two batches at a time could be sent twice.
    private let turnstile = Turnstile()
    private var spec: TracingSpec?
    /// Taken from the queue, the oldest first.
    private var pending: [SpanRecord] = []
    /// Sendings in a row that have failed, and those of the batch in front.
    private var failures = 0
    private var failuresOfBatch = 0
    /// Spans of the batch in front, once it has been sent in vain: what comes later is none of it.
    private var front = 0
    /// The process ends: no pause is kept any more.
    private var isEnding = false
    private var notBefore: UInt64 = 0
    private var backoff = SpanExporter.pauses
    private let counts = Mutex<Counts?>(nil)

    private enum Outcome { case taken, refused, unavailable }

    private struct Counts {
        var taken: UInt64 = 0
        var refused: UInt64 = 0
        var unavailable: UInt64 = 0

        mutating func add(_ number: UInt64, _ outcome: Outcome) {
            switch outcome {
            case .taken: self.taken += number
            case .refused: self.refused += number
            case .unavailable: self.unavailable += number
            }
        }
    }

    package init(queue: SpanQueue, clock: ControlClock = .system, logger: Logger) {
        let collector = SpanCollector()
        self.init(queue: queue, clock: clock, logger: logger) { await collector.send($0, to: $1) }
    }

    init(queue: SpanQueue, clock: ControlClock, logger: Logger, send: @escaping Send) {
        self.queue = queue
        self.clock = clock
        self.logger = logger
        self.send = send
    }

    /// For the metrics page; nil: nothing has been traced since the start.
    package nonisolated var figures: TracingFigures? {
        guard let counts = self.counts.withLock({ $0 }) else { return nil }
        return TracingFigures(
            spans: counts.taken,
            dropped: [
                ("queue", self.queue.dropped), ("refused", counts.refused), ("unavailable", counts.unavailable),
            ])
    }

    /// What the table in force says.
    package func follow(_ spec: TracingSpec?) {
        guard spec != self.spec else { return }
        self.spec = spec
        // Another collector has failed nobody yet.
        self.failures = 0
        self.failuresOfBatch = 0
        self.front = 0
        self.notBefore = 0
        self.backoff.reset()
        if spec != nil { self.counts.withLock { $0 = $0 ?? Counts() } }
    }

    /// Until the task is cancelled.
    package func run() async {
        let (queue, clock) = (self.queue, self.clock)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    do { try await clock.sleep(Self.interval) } catch { return }
                    queue.wake()
                }
            }
            for await _ in queue.wakes { await self.export() }
        }
    }

    /// Sends what there is once more, before the process ends. Waits no longer than a second, whatever the collector does.
    package func finish() async {
        let (ends, end) = AsyncStream<Void>.makeStream()
        let clock = self.clock
        self.isEnding = true
        let last = Task {
            await self.export()
            end.yield()
        }
        let limit = Task {
            try? await clock.sleep(Self.lastWords)
            end.yield()
        }
        for await _ in ends { break }
        last.cancel()
        limit.cancel()
    }

    // MARK: batches

    func export() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        while await self.exportBatch() {}
    }

    /// True if another may be sent now.
    private func exportBatch() async -> Bool {
        self.pending += self.queue.takeAll()
        guard !self.pending.isEmpty else { return false }
        guard let spec = self.spec else {
            // Nobody takes them any more.
            self.count(self.pending.count, .unavailable)
            return false
        }
        guard self.isEnding || self.clock.monotonic() >= self.notBefore else { return false }
        let batch = Array(self.pending.prefix(self.front > 0 ? self.front : SpanQueue.batch))
        let offset = Int64(clamping: MonotonicClock.wallMicroseconds()) - Int64(clamping: MonotonicClock.microseconds())
        let body = SpanBody(service: spec.service, version: BalancerVersion.current, wallOffset: offset).bytes(batch)
        let reply = await self.send(body, spec)
        // Another collector may have come meanwhile: what this one says of itself is not that one's.
        let isSame = self.spec?.endpoint == spec.endpoint && self.spec?.caFile == spec.caFile
        switch reply {
        case .taken(let rejected):
            if self.failures > 0, isSame { self.logger.notice("the collector takes spans again") }
            let refused = min(rejected, batch.count)
            self.count(batch.count - refused, .taken)
            self.count(refused, .refused)
            self.failures = 0
            self.backoff.reset()
        case .refused(let cause):
            if isSame {
                if self.failures == 0 { self.warn("the collector refuses spans, they are dropped", cause) }
                self.failures += 1
            }
            self.count(batch.count, .refused)
        case .unavailable(let cause):
            guard isSame else { return true }
            if self.failures == 0 { self.warn("spans cannot be handed over, trying on", cause) }
            self.failures += 1
            self.failuresOfBatch += 1
            self.front = batch.count
            if self.failuresOfBatch >= Self.tries { self.count(batch.count, .unavailable) }
            self.pause()
            return false
        }
        return true
    }

    private func pause() {
        let pause = self.backoff.next()
        self.notBefore = self.clock.monotonic() + pause
        let (queue, clock) = (self.queue, self.clock)
        Task {
            try? await clock.sleep(pause)
            queue.wake()
        }
    }

    /// The first of those that wait are gone.
    private func count(_ number: Int, _ outcome: Outcome) {
        self.counts.withLock { $0?.add(UInt64(number), outcome) }
        self.failuresOfBatch = 0
        self.front = 0
        self.forget(number)
    }

    private func forget(_ number: Int) {
        self.pending.removeFirst(number)
        self.queue.left(number)
    }

    private func warn(_ words: Logger.Message, _ cause: String) {
        self.logger.warning(words, metadata: ["cause": "\(BoundedText.prefix(of: cause, bytes: 200))"])
    }
}

/// What became of spans.
package struct TracingFigures: Sendable {
    /// That a collector has taken.
    package var spans: UInt64
    /// By reason.
    package var dropped: [(reason: String, count: UInt64)]

    package init(spans: UInt64, dropped: [(reason: String, count: UInt64)]) {
        self.spans = spans
        self.dropped = dropped
    }
}
