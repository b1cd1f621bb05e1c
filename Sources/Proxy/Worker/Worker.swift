import CEpoll
import Reactor
import Traffic

/// One worker: an actor whose executor is its own epoll loop. Everything it owns is in `core`, and the compiler keeps
/// other threads out of it.
actor Worker {
    private nonisolated let loop: EventLoop
    private let core: WorkerCore

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(
        index: Int, admission: Admission, plan: TablePlan, pacing: TurnPacing, seed: UInt64
    ) throws(SystemError) {
        let loop = try EventLoop()
        self.loop = loop
        self.core = WorkerCore(index: index, loop: loop, admission: admission, plan: plan, pacing: pacing, seed: seed)
    }

    /// Serves on a thread of its own until `stop`. The thread keeps the actor alive.
    nonisolated func start(index: Int) throws(SystemError) {
        try Thread.start(named: "worker-\(index)") {
            // Entered once for the thread's whole life: entering for every batch would allocate a closure context each
            // time. Jobs that other threads enqueue run between two turns, on this thread, as the executor demands.
            self.loop.claimThread()
            // The kernel's default lets a sleep of 100 µs last 150.
            cepoll_set_timer_slack(1_000)
            self.assumeIsolated { isolated in isolated.serve() }
        }
    }

    private func serve() {
        let core = self.core
        self.loop.run { batch in core.turn(batch) }
    }

    nonisolated func stop() {
        self.loop.stop()
    }

    /// Adopts a plan. Answers the generations that exchanges of this worker still pin.
    func adopt(_ plan: TablePlan) -> Set<UInt64> { self.core.adopt(plan) }

    func pinnedGenerations() -> Set<UInt64> { self.core.pinnedGenerations() }

    func forgetMetrics(_ numbers: [Int]) { self.core.forgetMetrics(numbers) }

    func forgetStages(_ numbers: [Int]) { self.core.forgetStages(numbers) }

    /// Adds what this worker has counted; `names`: route and epoch of each run of a stage.
    func add(
        to sums: [Int: StageCounts], names: ContiguousArray<CounterRegistry.Series?>
    ) -> [Int: StageCounts] {
        self.core.addStages(to: sums, names: names)
    }

    func takeNeeds() -> [NeedCount] { self.core.needs.take() }

    /// Serves a listening socket; the worker owns the descriptor from now on.
    func serve(_ plan: ListenerPlan, identifier: UInt64, descriptor: Int32) {
        self.core.serve(plan, identifier: identifier, socket: Socket(owning: descriptor))
    }

    /// Gives listeners, by identifier, another name or other options.
    func adopt(_ plans: [UInt64: ListenerPlan]) { self.core.adopt(plans) }

    /// Ends these listeners once what waits in their queues, or has begun to come, has been taken.
    func leaveListeners(_ identifiers: Set<UInt64>, hiding: Bool) {
        self.core.leaveListeners(identifiers, hiding: hiding)
    }

    /// Stops listening on sockets that another process goes on serving: what waits in their queues is its to take.
    func closeListeners(_ identifiers: Set<UInt64>) {
        self.core.closeListeners(identifiers)
    }

    /// Whether there are listeners still, leaving ones included.
    func isListening() -> Bool { !self.core.listeners.isEmpty }

    /// Duplicates of the listening descriptors, owned by the caller.
    func duplicateListeners() -> [(name: String, descriptor: Int32)] {
        self.core.listeners.filter { !$0.isLeaving }.map { ($0.listener.plan.name, $0.duplicate()) }.filter {
            $0.descriptor >= 0
        }
    }

    func beginDrain(idleGraceMilliseconds: UInt64) {
        self.core.beginDrain(idleGraceMilliseconds: idleGraceMilliseconds)
    }

    /// Client connections still open.
    func openConnections() -> Int { self.core.counts.connections }

    func closeAll() {
        self.core.closeAll()
    }

    func snapshot(names: ContiguousArray<CounterRegistry.Series?>) -> WorkerSnapshot {
        self.core.snapshot(names: names)
    }
}
