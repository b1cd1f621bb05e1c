import CEpoll
import Reactor
import Traffic

/// Sends copies, on a thread and a loop of its own and nicer than all others: nothing of a copy runs on a worker, and nothing
/// that a worker does waits for one.
actor MirrorLoop {
    /// Comparisons that wait for their turn.
    private static let pairLimit = 256
    private static let niceness: Int32 = 10

    private nonisolated let loop: EventLoop
    private nonisolated let queue: MirrorQueue
    /// Answers of both sides.
    nonisolated let pairs: AsyncStream<MirroredPair>
    private let core: MirrorCore

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(spans: SpanQueue? = nil, log: AccessLogSink? = nil, openLimit: Int = MirrorCore.openLimit())
        throws(SystemError)
    {
        let loop = try EventLoop()
        let queue = MirrorQueue(loop: loop)
        let (pairs, pair) = AsyncStream<MirroredPair>.makeStream(bufferingPolicy: .bufferingOldest(Self.pairLimit))
        self.loop = loop
        self.queue = queue
        self.pairs = pairs
        self.core = MirrorCore(loop: loop, queue: queue, pairs: pair, spans: spans, log: log, openLimit: openLimit)
    }

    /// Where workers leave copies.
    nonisolated var intake: MirrorQueue { self.queue }

    /// Throws if there is no thread to be had.
    nonisolated func start() throws(SystemError) {
        try Thread.start(named: "mirror") {
            cepoll_be_nicer(Self.niceness)
            self.loop.claimThread()
            self.assumeIsolated { isolated in isolated.serve() }
        }
    }

    private func serve() {
        let core = self.core
        self.loop.run { batch in core.turn(batch) }
    }

    nonisolated func stop() { self.loop.stop() }

    /// Sends a request to the old side again.
    nonisolated func ask(_ request: CopiedRequest) async -> MirroredAnswer? {
        await withCheckedContinuation { continuation in
            self.queue.ask(
                MirrorJob(
                    request: request, member: request.mirror.spec.from, purpose: .ask(continuation),
                    offered: MonotonicClock.milliseconds()))
        }
    }
}
