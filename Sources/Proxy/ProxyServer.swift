import Glibc
import Reactor
import Synchronization
import Traffic

/// The data plane: one worker per core, and what is done to all of them together.
package final class ProxyServer: DataPlane {
    private let workers: [Worker]
    private let listeners: ListenerSet
    private let accessLog: AccessLogSink?
    private let plans: PlanHistory
    private let mirror: MirrorLoop
    private let registry: EndpointRegistry
    /// The most client connections at a time that the process's descriptors allow, however many routes.json does.
    package let connectionCeiling: Int
    /// What keeps listeners from accepting. One reader; what is not read in time is lost, the oldest first.
    package let listenerTroubles: AsyncStream<ListenerTrouble>

    /// Descriptors of listening sockets by listener name, as handed over by another process.
    package typealias Inheritance = [(name: String, descriptor: Int32)]

    /// Makes the workers; they serve nothing until `start` and `listen(on:)`. `registry` has the endpoints of every table that
    /// will be published: those where this process listens are refused there.
    package init(
        workers count: Int, table: RoutingTable, registry: EndpointRegistry, accessLog: AccessLogSink?,
        spans: SpanQueue? = nil, pacing: TurnPacing = .standard
    ) throws(SystemError) {
        var limit = rlimit()
        let known = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        let descriptors = known ? Int(clamping: limit.rlim_cur) : 1_024
        let count = max(1, count)
        let (troubles, trouble) = AsyncStream<ListenerTrouble>.makeStream(bufferingPolicy: .bufferingNewest(64))
        self.listenerTroubles = troubles
        let mirror = try MirrorLoop(spans: spans, log: accessLog)
        self.mirror = mirror
        let admission = Admission(
            accessLog: accessLog, mirror: mirror.intake, spans: spans,
            ceiling: Admission.ceiling(descriptors: descriptors, workers: count),
            processors: count, trouble: trouble)
        self.connectionCeiling = admission.ceiling
        let plans = PlanHistory(table)
        var workers: [Worker] = []
        for index in 0..<count {
            // Seeds differ, so that workers do not march in step.
            let seed = UInt64.random(in: .min ... .max)
            workers.append(
                try Worker(index: index, admission: admission, plan: plans.first, pacing: pacing, seed: seed))
        }
        self.workers = workers
        self.listeners = ListenerSet()
        self.plans = plans
        self.accessLog = accessLog
        self.registry = registry
    }

    package var workerCount: Int { self.workers.count }

    /// Starts the workers' threads. Throws if there is none to be had.
    package func start() throws(SystemError) {
        for (index, worker) in self.workers.enumerated() { try worker.start(index: index) }
        try self.mirror.start()
    }

    package var mirroredPairs: AsyncStream<MirroredPair> { self.mirror.pairs }

    package func askAgain(_ request: any MirroredRequest) async -> MirroredAnswer? {
        guard let request = request as? CopiedRequest else { return nil }
        return await self.mirror.ask(request)
    }

    package func publish(_ table: RoutingTable) async {
        await self.refuseOwnAddresses()
        await self.plans.publish(table, to: self.workers)
    }

    /// Sockets to use instead of binding, when `listen(on:)` next asks for their addresses. Owned from now on.
    package func adoptListeners(_ inherited: Inheritance) async {
        await self.listeners.inherit(inherited)
    }

    /// Ends the adopted listeners that are not wanted, without losing what waits in their queues. For when the process that
    /// they came from serves no more.
    package func releaseAdoptedListeners() async {
        await self.listeners.releaseInherited(workers: self.workers)
    }

    package func listen(on specs: [ListenerSpec]) async throws {
        // Before the first connection can come.
        await self.refuseOwnAddresses(and: specs.map(\.address).filter { $0.port != 0 })
        do {
            try await self.listeners.apply(specs, workers: self.workers)
        } catch {
            await self.refuseOwnAddresses()
            throw error
        }
        await self.refuseOwnAddresses()
    }

    /// Interfaces are looked at each time: addresses come and go.
    private func refuseOwnAddresses(and more: [SocketAddress] = []) async {
        let bound = await self.listeners.bound
        self.registry.refuse(
            OwnAddresses(listeners: bound.values + more, interfaces: LocalAddresses.read()))
    }

    /// Keys of session tickets that this process has made, the newest first; for its successor alone.
    package func ticketKeys() async -> [[UInt8]] { await self.listeners.ownTicketKeys }

    package func ticketKeyAge() async -> UInt64? { await self.listeners.ticketKeyAge }

    /// Names of the listeners that speak TLS.
    package func secureListeners() async -> [String] { await self.listeners.ownSecureNames }

    /// Those of the process that this one takes over from. Before the first listener.
    package func adopt(ticketKeys: [[UInt8]], secureListeners: [String]) async {
        await self.listeners.inherit(ticketKeys: ticketKeys, secureNames: secureListeners)
    }

    /// Makes new keys for session tickets when the old have been used for long enough, until the task is cancelled.
    package func rotateTicketKeys() async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: .seconds(30)) } catch { return }
            await self.listeners.rotateTicketKeys()
        }
    }

    package func boundAddresses() async -> [String: SocketAddress] {
        await self.listeners.bound
    }

    package func snapshots() async -> [WorkerSnapshot] {
        var snapshots = await self.plans.snapshots(of: self.workers)
        // Lines that workers handed over and that could not be written belong to no one of them.
        if let lost = self.accessLog?.lost, !snapshots.isEmpty { snapshots[0].accessLogDropped &+= lost }
        return snapshots
    }

    package func stageCounts() async -> [StageCounts] { await self.plans.stageCounts(of: self.workers) }

    package func takeNeeds() async -> [NeedCount] { await self.plans.takeNeeds(of: self.workers) }

    /// Duplicates of every listening socket, for another process; the caller owns them. Until `reclaimListeners` that process
    /// is taken to have them.
    package func listeningDescriptors() async -> Inheritance {
        await self.listeners.share(true)
        var all: Inheritance = []
        for worker in self.workers { all.append(contentsOf: await worker.duplicateListeners()) }
        return all
    }

    /// The process that got duplicates has gone without having served.
    package func reclaimListeners() async {
        await self.listeners.share(false)
    }

    /// Stops accepting and lets what runs finish. `handedOver`: another process serves the same sockets, so what waits
    /// in their queues is its to take. True if every connection ended by itself within the deadline; the rest was cut.
    package func drain(deadlineMilliseconds: UInt32, handedOver: Bool = false) async -> Bool {
        await self.listeners.close(handedOver: handedOver, workers: self.workers)
        // Long enough for a request that was sent before the client could know, short enough not to hold the exit up.
        let grace = min(1_000, UInt64(deadlineMilliseconds) / 2)
        for worker in self.workers { await worker.beginDrain(idleGraceMilliseconds: grace) }
        let end = MonotonicClock.milliseconds() + UInt64(deadlineMilliseconds)
        // Listeners first: one that has taken its last connection meanwhile would be seen closed, and the connection not.
        var isListening = await self.isListening()
        var open = await self.openConnections()
        while open > 0 || isListening, MonotonicClock.milliseconds() < end {
            try? await Task.sleep(for: .milliseconds(20))
            isListening = await self.isListening()
            open = await self.openConnections()
        }
        if open > 0 {
            for worker in self.workers { await worker.closeAll() }
        }
        return open == 0
    }

    /// Whether a worker still takes connections, be it only those whose handshake had begun.
    private func isListening() async -> Bool {
        for worker in self.workers where await worker.isListening() { return true }
        return false
    }

    package func openConnections() async -> Int {
        var open = 0
        for worker in self.workers { open += await worker.openConnections() }
        return open
    }

    package func stop() {
        for worker in self.workers { worker.stop() }
        self.mirror.stop()
    }
}
