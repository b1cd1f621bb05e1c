import Control
import FoundationEssentials
import Glibc
import Logging
import Proxy
import Reactor
import RoutesFile
import Synchronization
import Traffic

/// The parts of a serving balancer, wired, and the order in which they start and stop.
final class BalancerService: Sendable {
    private let options: ServeOptions
    private let signals: ProcessSignals
    private let output: ServingOutput
    private let logger: Logger
    private let proxy: ProxyServer
    private let accessLog: AccessLogSink?
    private let publisher: TablePublisher
    private let history: TrafficHistory
    private let comparisons: ComparisonService
    private let migrations: MigrationEngine
    /// nil: this process is alone.
    private let exchange: PlanExchange?
    private let tracing: SpanExporter
    private let health: HealthMonitor
    private let discovery: EndpointDiscovery
    private let names: HostNames
    private let reloader: ConfigurationReloader
    /// For names that are looked up, which blocks.
    private let lookUps: BlockingThreads
    private let lifecycle = Lifecycle()
    private let access: AdminAccess
    private let events: EventFeed
    private let adminCertificate: AdminCertificate
    /// Those that serve, or try to.
    private let admin = Mutex<[AdminScope: AdminServer]>([:])
    private let adminConnections = AdminConnections()
    private let observeConnections = AdminConnections()
    /// A predecessor serves the same sockets and does not know yet that this process does, too.
    private let isFollowing = Atomic(false)

    /// Serves until told to stop. Returns the exit status.
    static func run(_ options: ServeOptions, signals: ProcessSignals) async -> Int32 {
        ProcessLimits.raiseDescriptors()
        let output: ServingOutput
        do {
            output = try ServingOutput(options)
        } catch {
            Output.error("balancer: cannot start: \(error)")
            return 1
        }
        output.logger.info(
            "starting",
            metadata: [
                "version": "\(BalancerVersion.current)", "workers": "\(options.workers)",
                "processors": "\(options.processors)",
            ])
        do {
            try await LibraryResources.make()
            let successor = try options.takeover.flatMap { try Successor.take(over: $0) }
            let service = try BalancerService(options, signals: signals, output: output)
            return await service.serve(successor)
        } catch {
            Output.error("balancer: cannot start: \(error)")
            output.finish()
            return 1
        }
    }

    private init(_ options: ServeOptions, signals: ProcessSignals, output: ServingOutput) throws {
        let logger = output.logger
        let registry = EndpointRegistry(
            now: MonotonicClock.milliseconds(), secret: (.random(in: .min ... .max), .random(in: .min ... .max)))
        let accessLog = try AccessLogOutput.open(options.accessLog, output)
        let empty = RoutingTable(spec: TableSpec(), generation: 0, registry: registry)
        let spans = SpanQueue()
        let tracing = SpanExporter(queue: spans, logger: logger)
        let proxy = try ProxyServer(
            workers: options.workers, table: empty, registry: registry, accessLog: accessLog, spans: spans,
            pacing: options.configuration.batching ? .standard : .off)
        let wanted = Int(options.configuration.table.limits.connections)
        if wanted > proxy.connectionCeiling {
            logger.notice(
                "the limit of open files allows fewer connections than limits.connections",
                metadata: ["allowed": "\(proxy.connectionCeiling)", "limits.connections": "\(wanted)"])
        }
        let dialer = try Dialer()
        let health = HealthMonitor(
            transport: dialer, seed: UInt64.random(in: .min ... .max), logger: logger)
        let discovery = EndpointDiscovery(
            dialer: dialer, environment: ProcessInfo.processInfo.environment, logger: logger)
        let lookUps = try BlockingThreads(named: "look-up", count: HostNames.atOnce)
        let names = HostNames(threads: lookUps, logger: logger)
        let ledger = try options.configuration.state.map {
            LedgerStore(path: $0, thread: try BlockingThreads(named: "ledger"))
        }
        let agreement = options.configuration.cluster.map { spec in
            Agreement(spec, replica: options.replica, logger: logger)
        }
        let history = TrafficHistory(dataPlane: proxy)
        let comparisons = ComparisonService(
            dataPlane: proxy, ledger: ledger, thread: try BlockingThreads(named: "comparison", niceness: 10))
        let publisher = TablePublisher(
            registry: registry, dataPlane: proxy, ledger: ledger, replica: options.replica, agreement: agreement,
            logger: logger,
            published: { table in
                await health.apply(table)
                await discovery.follow(table)
                await tracing.follow(table.spec.tracing)
            }, traffic: { await history.window() })
        self.options = options
        self.signals = signals
        self.output = output
        self.logger = logger
        self.proxy = proxy
        self.accessLog = accessLog
        self.health = health
        self.discovery = discovery
        self.names = names
        let access = AdminAccess()
        self.access = access
        let adminCertificate = AdminCertificate()
        self.adminCertificate = adminCertificate
        self.publisher = publisher
        self.history = history
        self.comparisons = comparisons
        let exchange = agreement.map { PlanExchange(agreement: $0) }
        self.exchange = exchange
        self.migrations = MigrationEngine(
            publisher: publisher, dataPlane: proxy, mirror: comparisons, peers: exchange, logger: logger,
            traffic: { await history.window() })
        self.tracing = tracing
        self.lookUps = lookUps
        let reloader = ConfigurationReloader(
            path: options.path, publisher: publisher, discovery: discovery, names: names, access: access,
            adminCertificate: adminCertificate, comparisons: comparisons,
            thread: try BlockingThreads(named: "routes-file"), logger: logger)
        self.reloader = reloader
        self.events = EventFeed(
            publisher: publisher, dataPlane: proxy, health: health, reloader: reloader, discovery: discovery,
            lifecycle: self.lifecycle)
    }

    /// Says which listeners cannot accept, and when they can again.
    private func followListeners() async {
        for await trouble in self.proxy.listenerTroubles {
            let place: Logger.Metadata = ["listener": "\(trouble.listener)", "worker": "\(trouble.worker)"]
            if let cause = trouble.cause {
                self.logger.error(
                    "connections wait: a listener cannot accept, trying on",
                    metadata: place.merging(["cause": "\(cause)"]) { first, _ in first })
            } else {
                self.logger.notice("a listener accepts again", metadata: place)
            }
        }
    }

    // MARK: start to stop

    private func serve(_ successor: Successor?) async -> Int32 {
        self.isFollowing.store(successor != nil, ordering: .relaxed)
        return await withTaskGroup(of: Void.self, returning: Int32.self) { group in
            // From here on there is something to finish; what starting waits for, stopping does not.
            self.signals.beginServing()
            group.addTask { await self.live(successor) }
            var cause = StopCause.signal
            for await first in self.signals.stops {
                cause = first
                break
            }
            let status = await self.end(cause)
            // The group would wait for its tasks: a probe under way, an admin client that keeps its connection.
            // Nothing of theirs is worth waiting for once traffic has ended.
            Glibc.exit(status)
        }
    }

    /// Starts what there is in its order and keeps it running.
    private func live(_ successor: Successor?) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.health.run() }
            group.addTask { await self.publisher.run() }
            group.addTask { await self.publisher.keepLedger() }
            group.addTask { await self.history.run() }
            group.addTask { await self.events.run() }
            group.addTask { await self.comparisons.run() }
            group.addTask { await self.comparisons.keep() }
            group.addTask { await self.tracing.run() }
            group.addTask { await self.publisher.watchReserves() }
            group.addTask { await self.discovery.run(publishing: self.publisher) }
            group.addTask { await self.followListeners() }
            group.addTask { await self.proxy.rotateTicketKeys() }
            group.addTask { await self.reloader.followFiles() }
            group.addTask { await self.names.run(publishing: self.publisher) }
            guard await self.start(successor, in: &group) else { return self.signals.stop(.failed) }
            self.followSignals(in: &group)
            await group.waitForAll()
        }
    }

    /// False, with the reason printed, if the process cannot serve.
    private func start(_ successor: Successor?, in group: inout TaskGroup<Void>) async -> Bool {
        do throws(SystemError) {
            try self.accessLog?.start()
            try self.proxy.start()
        } catch {
            Output.error("balancer: cannot start: \(error)")
            // Nothing is served yet, and a worker without its thread would never answer that it has nothing to finish.
            self.output.finish()
            Glibc.exit(1)
        }
        guard await self.begin(successor, in: &group) else { return false }
        for scope in AdminScope.allCases {
            if let address = self.options.admin(scope), let reason = await self.startAdmin(address, scope, in: &group) {
                Output.error("balancer: \(reason)")
                return false
            }
        }
        // Told to stop meanwhile.
        guard self.lifecycle.current == .serving else { return true }
        group.addTask { await self.migrations.run() }
        group.addTask { await self.exchange?.run() }
        self.startWatching(in: &group)
        self.startHandOver(in: &group)
        StartUpMemory.release()
        Output.line("ready")
        return true
    }

    private func followSignals(in group: inout TaskGroup<Void>) {
        group.addTask {
            for await _ in self.signals.reloads where self.lifecycle.current == .serving {
                await self.reloader.reload(.signal)
            }
        }
        group.addTask {
            for await _ in self.signals.reopenings { self.reopenLogs() }
        }
        group.addTask {
            for await number in self.signals.ignored {
                self.logger.notice("a signal was ignored", metadata: ["signal": "\(number)"])
            }
        }
    }

    /// Writers of rotated files begin the new ones.
    private func reopenLogs() {
        self.accessLog?.reopen()
    }

    /// Puts the first table in force and the listeners in place. False, with the reason printed, if that cannot be.
    private func begin(_ successor: Successor?, in group: inout TaskGroup<Void>) async -> Bool {
        if let inherited = successor?.inherited {
            await self.proxy.adopt(
                ticketKeys: inherited.ticketKeys, secureListeners: inherited.secureListeners)
            await self.proxy.adoptListeners(inherited.listeners.map { ($0.name, $0.descriptor) })
            await self.publisher.inherit(inherited.state, origin: ChangeOrigin(.takeover))
        }
        await self.publisher.openLedger(isSuccessor: successor != nil)
        await self.migrations.recallNeeds()
        group.addTask { await self.publisher.runCluster() }
        await self.publisher.joinCluster()
        guard await self.reloader.start(self.options.configuration, bytes: self.options.bytes) else {
            Output.report(await self.reloader.report.problems, in: self.options.path)
            return false
        }
        // Where this process listens is known only now: endpoints that are itself are told.
        await self.health.apply(await self.publisher.current.table)
        self.lifecycle.beginServing()
        for (name, address) in await self.proxy.boundAddresses().sorted(by: { $0.key < $1.key }) {
            Output.line("listening \(name) \(address)")
        }
        guard let successor else { return true }
        do {
            try await successor.ready()
            self.isFollowing.store(false, ordering: .relaxed)
            await self.proxy.releaseAdoptedListeners()
            return true
        } catch {
            Output.error("balancer: take-over failed, the other process serves on: \(error)")
            return false
        }
    }

    /// Stops accepting, finishes what runs, ends.
    private func end(_ cause: StopCause) async -> Int32 {
        self.lifecycle.beginDraining()
        let deadline = await self.publisher.current.table.spec.timeouts.drain
        let handedOver = cause == .handedOver || self.isFollowing.load(ordering: .relaxed)
        async let drained = self.proxy.drain(deadlineMilliseconds: deadline, handedOver: handedOver)
        self.logger.notice("draining", metadata: ["cause": "\(cause)", "deadline": "\(deadline)ms"])
        let finished = await drained
        if !finished { self.logger.warning("the drain deadline passed: what still ran was cut") }
        if !handedOver { await self.migrations.close() }
        self.proxy.stop()
        if !handedOver { await self.publisher.agreement?.leave() }
        await self.comparisons.flush()
        await self.publisher.flushLedger()
        await self.tracing.finish()
        // Long enough for what is queued, unless nobody reads.
        self.accessLog?.stop(milliseconds: 1_000)
        self.logger.notice("stopped")
        self.output.finish()
        return cause == .failed ? 1 : 0
    }
}

// MARK: - what runs beside the data plane

extension BalancerService {
    /// Milliseconds that the start waits for an admin address which another process is still giving up, because it
    /// hands over or drains. After that this process serves, and goes on trying: traffic must not wait for the admin API.
    private static let adminPatience: UInt64 = 10_000
    private static let adminRetry: UInt64 = 20

    private var plane: ControlPlane {
        ControlPlane(
            publisher: self.publisher, dataPlane: self.proxy, health: self.health, reloader: self.reloader,
            discovery: self.discovery, comparisons: self.comparisons, migrations: self.migrations,
            tracing: self.tracing, lifecycle: self.lifecycle, access: self.access, events: self.events,
            adminConnections: self.adminConnections,
            observeConnections: self.observeConnections,
            logLinesDropped: { [errors = self.output.errors] in errors.lost },
            lookUp: { [threads = self.lookUps] name in
                await threads.run { (try? HostResolver.system.addresses(of: name)) ?? [] }
            }, host: ProcessInfo.processInfo.hostName)
    }

    private enum AdminEvent: Sendable {
        case bound
        case failed(String)
        case late
    }

    /// Returns when the admin API is served, or need not be waited for; else the reason why it cannot be.
    private func startAdmin(
        _ address: SocketAddress, _ scope: AdminScope, in group: inout TaskGroup<Void>
    ) async -> String? {
        // Where processes follow each other, the address is the other one's for a while.
        let patient = self.options.takeover != nil
        let (events, event) = AsyncStream<AdminEvent>.makeStream()
        group.addTask { await self.serveAdmin(address, scope, patient: patient, events: event) }
        if patient {
            group.addTask {
                try? await Task.sleep(for: .milliseconds(Self.adminPatience))
                event.yield(.late)
                event.finish()
            }
        }
        var reason = "it ended"
        for await event in events {
            switch event {
            case .bound: return nil
            case .failed(let text):
                let what = scope == .everything ? "the admin API" : "probes and metrics"
                reason = "cannot serve \(what) on \(address): \(text)"
                if !patient { return reason }
            case .late:
                self.logger.error("\(reason); trying on")
                return nil
            }
        }
        return reason
    }

    /// What the address shows by TLS; nil: it is plain, as probes and scrapes want theirs.
    private func certificate(_ scope: AdminScope) -> AdminCertificate? {
        scope == .everything && self.options.configuration.admin?.tls != nil ? self.adminCertificate : nil
    }

    private func serveAdmin(
        _ address: SocketAddress, _ scope: AdminScope, patient: Bool, events: AsyncStream<AdminEvent>.Continuation
    ) async {
        while !Task.isCancelled, self.lifecycle.current != .draining {
            let server = AdminServer(
                plane: self.plane, scope: scope, address: address,
                hosts: self.options.configuration.admin?.hosts ?? [], certificate: self.certificate(scope),
                logger: self.logger
            ) { real in
                Output.line("\(scope == .everything ? "admin" : "observe") \(real)")
                events.yield(.bound)
            }
            self.admin.withLock { $0[scope] = server }
            do {
                try await server.run()
                return
            } catch {
                events.yield(.failed(error.networkWords))
            }
            guard patient else { return }
            try? await Task.sleep(for: .milliseconds(Self.adminRetry))
        }
    }

    private func startWatching(in group: inout TaskGroup<Void>) {
        guard ConfigurationFile.mayChange(self.options.path) else {
            return self.logger.notice("the configuration came from a pipe or a device: changes are not seen")
        }
        do {
            let watcher = try ConfigurationWatcher(path: self.options.path, reloader: self.reloader)
            group.addTask { await watcher.run() }
        } catch {
            self.logger.warning(
                "the configuration file is not watched, SIGHUP loads it", metadata: ["cause": "\(error)"])
        }
    }

    private func startHandOver(in group: inout TaskGroup<Void>) {
        guard let path = self.options.takeover else { return }
        let server: HandOverServer
        do {
            server = try HandOverServer(path: path, logger: self.logger)
        } catch {
            self.logger.error("no process can take over", metadata: ["path": "\(path)", "cause": "\(error)"])
            return
        }
        let steps = HandOverServer.Steps(
            offer: {
                guard self.lifecycle.current == .serving, let state = try? await self.publisher.beginHandOver()
                else { return nil }
                let descriptors = await self.proxy.listeningDescriptors()
                return HandOver(
                    state: state,
                    listeners: descriptors.map { HandOver.Listener(name: $0.name, descriptor: $0.descriptor) },
                    ticketKeys: await self.proxy.ticketKeys(), secureListeners: await self.proxy.secureListeners())
            },
            abandoned: {
                await self.proxy.reclaimListeners()
                await self.publisher.abandonHandOver()
            },
            completed: {
                self.lifecycle.beginDraining()
                for server in self.admin.withLock({ Array($0.values) }) { await server.stop() }
                self.signals.stop(.handedOver)
            })
        group.addTask { await server.run(steps) }
    }
}
