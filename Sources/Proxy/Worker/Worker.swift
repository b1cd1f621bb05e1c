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
        index: Int, shared: SharedState, table: RoutingTable, pacing: TurnPacing, seed: UInt64
    ) throws(SystemError) {
        let loop = try EventLoop()
        self.loop = loop
        self.core = WorkerCore(index: index, loop: loop, shared: shared, table: table, pacing: pacing, seed: seed)
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

    func adopt(_ table: RoutingTable) {
        self.core.adopt(table)
    }

    /// Serves a listening socket; the worker owns the descriptor from now on.
    func serve(listener name: String, identifier: UInt64, descriptor: Int32) throws(SystemError) {
        let listener = ListenerHandle(
            core: self.core, identifier: identifier, name: name, socket: Socket(owning: descriptor))
        try listener.start()
        self.core.add(listener)
    }

    func removeListeners(_ identifiers: Set<UInt64>, takingQueued: Bool) {
        self.core.removeListeners(identifiers, takingQueued: takingQueued)
    }

    /// Duplicates of the listening descriptors, owned by the caller.
    func duplicateListeners() -> [(name: String, descriptor: Int32)] {
        self.core.listenerHandles.map { ($0.name, $0.duplicate()) }
    }

    func beginDrain(idleGraceMilliseconds: UInt64) {
        self.core.beginDrain(idleGraceMilliseconds: idleGraceMilliseconds)
    }

    /// Client connections still open.
    func openConnections() -> Int { self.core.connections }

    func closeAll() {
        self.core.closeAll()
    }

    func snapshot() -> WorkerSnapshot { self.core.snapshot() }
}
