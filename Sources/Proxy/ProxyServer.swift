import Glibc
import Reactor
import Synchronization
import Traffic

/// The data plane: one worker per core, and what is done to all of them together.
package final class ProxyServer: DataPlane {
    private let workers: [Worker]
    private let listeners: ListenerSet
    private let accessLog: AccessLogSink?
    /// The most client connections at a time that the process's descriptors allow, however many routes.json does.
    package let connectionCeiling: Int

    /// Descriptors of listening sockets by listener name, as handed over by another process.
    package typealias Inheritance = [(name: String, descriptor: Int32)]

    /// Makes the workers; they serve nothing until `start` and `listen(on:)`.
    package init(
        workers count: Int, table: RoutingTable, accessLog: AccessLogSink?, pacing: TurnPacing = .standard
    ) throws(SystemError) {
        var limit = rlimit()
        let known = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        let descriptors = known ? Int(clamping: limit.rlim_cur) : 1_024
        let shared = SharedState(accessLog: accessLog, descriptors: descriptors)
        self.connectionCeiling = shared.ceiling
        var workers: [Worker] = []
        for index in 0..<max(1, count) {
            // Seeds differ, so that workers do not march in step.
            let seed = UInt64.random(in: .min ... .max)
            workers.append(try Worker(index: index, shared: shared, table: table, pacing: pacing, seed: seed))
        }
        self.workers = workers
        self.listeners = ListenerSet()
        self.accessLog = accessLog
    }

    package var workerCount: Int { self.workers.count }

    /// Starts the workers' threads. Throws if there is none to be had.
    package func start() throws(SystemError) {
        for (index, worker) in self.workers.enumerated() { try worker.start(index: index) }
    }

    package func publish(_ table: RoutingTable) async {
        for worker in self.workers { await worker.adopt(table) }
    }

    /// Sockets to use instead of binding, when `listen(on:)` next asks for their names. Owned from now on.
    package func adoptListeners(_ inherited: Inheritance) async {
        await self.listeners.inherit(inherited)
    }

    package func listen(on specs: [ListenerSpec]) async throws {
        try await self.listeners.apply(specs, workers: self.workers)
    }

    package func boundAddresses() async -> [String: SocketAddress] {
        await self.listeners.bound
    }

    package func snapshots() async -> [WorkerSnapshot] {
        var snapshots: [WorkerSnapshot] = []
        for worker in self.workers { snapshots.append(await worker.snapshot()) }
        // Lines that workers handed over and that could not be written belong to no one of them.
        if let lost = self.accessLog?.lost, !snapshots.isEmpty { snapshots[0].accessLogDropped &+= lost }
        return snapshots
    }

    /// Duplicates of every listening socket, for another process; the caller owns them.
    package func listeningDescriptors() async -> Inheritance {
        var all: Inheritance = []
        for worker in self.workers { all.append(contentsOf: await worker.duplicateListeners()) }
        return all
    }

    /// Stops accepting and lets what runs finish. `handedOver`: another process serves the same sockets, so what waits
    /// in their queues is its to take. True if every connection ended by itself within the deadline; the rest was cut.
    package func drain(deadlineMilliseconds: UInt32, handedOver: Bool = false) async -> Bool {
        let identifiers = await self.listeners.close()
        // Long enough for a request that was sent before the client could know, short enough not to hold the exit up.
        let grace = min(1_000, UInt64(deadlineMilliseconds) / 2)
        for worker in self.workers {
            await worker.removeListeners(identifiers, takingQueued: !handedOver)
            await worker.beginDrain(idleGraceMilliseconds: grace)
        }
        let end = MonotonicClock.milliseconds() + UInt64(deadlineMilliseconds)
        var open = await self.openConnections()
        while open > 0, MonotonicClock.milliseconds() < end {
            try? await Task.sleep(for: .milliseconds(20))
            open = await self.openConnections()
        }
        if open > 0 {
            for worker in self.workers { await worker.closeAll() }
        }
        return open == 0
    }

    package func openConnections() async -> Int {
        var open = 0
        for worker in self.workers { open += await worker.openConnections() }
        return open
    }

    package func stop() {
        for worker in self.workers { worker.stop() }
    }
}

/// Which listeners are open, and where. Changes are made whole: every new socket is bound before any worker learns of
/// one, and the old ones go last.
actor ListenerSet {
    private var open: [String: (spec: ListenerSpec, identifier: UInt64)] = [:]
    private(set) var bound: [String: SocketAddress] = [:]
    private var inherited: [String: [Int32]] = [:]
    private var nextIdentifier: UInt64 = 0

    private struct Opening {
        var spec: ListenerSpec
        var address: SocketAddress
        var descriptors: [Int32]
    }

    func inherit(_ descriptors: ProxyServer.Inheritance) {
        for (name, descriptor) in descriptors { self.inherited[name, default: []].append(descriptor) }
    }

    func apply(_ specs: [ListenerSpec], workers: [Worker]) async throws {
        let kept = self.open.filter { name, listener in specs.contains { $0.name == name && $0 == listener.spec } }
        var added: [Opening] = []
        for spec in specs where kept[spec.name] == nil {
            do throws(SystemError) {
                added.append(try self.bind(spec, count: workers.count))
            } catch {
                for listener in added { for descriptor in listener.descriptors { Glibc.close(descriptor) } }
                throw ListenerRefused(name: spec.name, cause: "\(error)")
            }
        }
        let removed = self.open.filter { kept[$0.key] == nil }
        self.open = kept
        for name in removed.keys { self.bound[name] = nil }
        for listener in added {
            self.nextIdentifier += 1
            let identifier = self.nextIdentifier
            self.open[listener.spec.name] = (listener.spec, identifier)
            self.bound[listener.spec.name] = listener.address
            for (index, descriptor) in listener.descriptors.enumerated() {
                try await workers[index % workers.count].serve(
                    listener: listener.spec.name, identifier: identifier, descriptor: descriptor)
            }
        }
        if !removed.isEmpty {
            let identifiers = Set(removed.values.map(\.identifier))
            for worker in workers { await worker.removeListeners(identifiers, takingQueued: true) }
        }
        for descriptors in self.inherited.values { for descriptor in descriptors { Glibc.close(descriptor) } }
        self.inherited = [:]
    }

    private func bind(_ spec: ListenerSpec, count: Int) throws(SystemError) -> Opening {
        if let inherited = self.inherited.removeValue(forKey: spec.name), let first = inherited.first {
            var probe = Socket(owning: first)
            let address = probe.boundAddress()
            _ = probe.release()
            if let address, spec.address.port == 0 || address == spec.address {
                // More sockets than workers: some serve several. Fewer: more are bound beside them, which loses nothing.
                var descriptors = inherited
                while descriptors.count < count {
                    var socket = try Socket.listen(on: address)
                    descriptors.append(socket.release())
                }
                return Opening(spec: spec, address: address, descriptors: descriptors)
            }
            for descriptor in inherited { Glibc.close(descriptor) }
        }
        // SO_REUSEPORT would let two programs of one user share the port unknowingly.
        if Socket.isTaken(spec.address), !self.bound.values.contains(spec.address) {
            throw SystemError(operation: "bind \(spec.address)", code: EADDRINUSE)
        }
        var first = try Socket.listen(on: spec.address)
        guard let address = first.boundAddress() else { throw SystemError(operation: "getsockname") }
        var descriptors = [first.release()]
        while descriptors.count < count {
            do throws(SystemError) {
                var socket = try Socket.listen(on: address)
                descriptors.append(socket.release())
            } catch {
                for descriptor in descriptors { Glibc.close(descriptor) }
                throw error
            }
        }
        return Opening(spec: spec, address: address, descriptors: descriptors)
    }

    /// Forgets all; answers the identifiers of what was open.
    func close() -> Set<UInt64> {
        let identifiers = Set(self.open.values.map(\.identifier))
        self.open = [:]
        return identifiers
    }
}
