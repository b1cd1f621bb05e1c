import Glibc
import Logging
import Reactor
import RoutesFile
import Traffic

/// Loads routes.json into the publisher: whole or not at all. `ReloadStep` decides what a look at the file leads to; this
/// remembers what that depends on, does it, and tells how it went. What failed for a cause that may pass is tried again.
package actor ConfigurationReloader {
    private let path: String
    private let publisher: TablePublisher
    private let discovery: EndpointDiscovery?
    private let names: HostNames?
    private let access: AdminAccess?
    private let clock: ControlClock
    private let logger: Logger
    /// Reads the file, which blocks.
    private let thread: BlockingThreads
    /// Two loads at once could put the older file in force last.
    private let turnstile = Turnstile()
    /// What the configuration in force was read from.
    private var inForce: [UInt8]?
    private var trouble: ReloadTrouble?
    private var nextTry: Task<Void, Never>?
    private var started: BalancerConfiguration?
    package private(set) var report: ReloadReport

    /// The file is read on `thread`.
    package init(
        path: String, publisher: TablePublisher, discovery: EndpointDiscovery? = nil, names: HostNames? = nil,
        access: AdminAccess? = nil, clock: ControlClock = .system,
        thread: BlockingThreads, logger: Logger
    ) {
        self.thread = thread
        self.path = path
        self.publisher = publisher
        self.discovery = discovery
        self.names = names
        self.access = access
        self.clock = clock
        self.logger = logger
        self.report = ReloadReport(
            at: clock.wall(), ok: false, problems: [], needsRestart: [], successes: 0, failures: 0)
    }

    deinit { self.nextTry?.cancel() }

    /// Looks at the file and does what that leads to. `.file` is for a change that was seen, or to look again; every other
    /// door loads whatever is there, because host names may resolve differently now. Returns whether the file in place is
    /// in force.
    @discardableResult
    package func reload(_ door: ChangeOrigin.Door) async -> Bool {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        let origin = ChangeOrigin(door, who: self.path)
        let path = self.path
        let file = await self.thread.run { ConfigurationFile.read(path) }
        let step = ReloadStep.decide(
            file, inForce: self.inForce, trouble: self.trouble, isDemanded: door != .file, now: self.clock.monotonic())
        switch step {
        case .upToDate: self.settle()
        case .load(let bytes): await self.load(bytes, origin: origin)
        case .refuse(let reason):
            await self.reject(
                [ControlProblem(path: "$", message: "cannot read \(self.path): \(reason)")], file, .passing, origin)
        case .lookAgain: self.trouble = ReloadTrouble(file, .unsettled, now: self.clock.monotonic())
        case .wait: self.trouble?.postpone(now: self.clock.monotonic())
        }
        self.planNextTry()
        return self.report.ok
    }

    /// Puts the first configuration in force; `bytes` are those it was parsed from. Returns whether it is.
    package func start(_ configuration: BalancerConfiguration, bytes: [UInt8]) async -> Bool {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        await self.load(configuration, from: bytes, origin: ChangeOrigin(.start, who: self.path))
        return self.report.ok
    }

    private func planNextTry() {
        self.nextTry?.cancel()
        self.nextTry = nil
        guard let due = self.trouble?.due else { return }
        let now = self.clock.monotonic()
        self.nextTry = Task { [weak self, clock] in
            try? await clock.sleep(due > now ? due - now : 0)
            guard !Task.isCancelled else { return }
            await self?.tryAgain()
        }
    }

    private func tryAgain() async {
        // From here on nobody cancels the task: a load must not be cut short.
        guard !Task.isCancelled else { return }
        self.nextTry = nil
        await self.reload(.file)
    }

    // MARK: loading

    private func load(_ bytes: [UInt8], origin: ChangeOrigin) async {
        let parsed = await self.thread.run {
            Result { () throws(ConfigurationRejected) in try RoutesFile.parse(bytes) }
        }
        switch parsed {
        case .success(let configuration): await self.load(configuration, from: bytes, origin: origin)
        case .failure(let rejected):
            await self.reject(rejected.problems.map(ControlProblem.init), .bytes(bytes), .content, origin)
        }
    }

    private func load(_ configuration: BalancerConfiguration, from bytes: [UInt8], origin: ChangeOrigin) async {
        let admin = configuration.admin
        let tokens = await self.thread.run { AdminAccess.tokens(of: admin) }
        let known: [AdminToken]
        switch tokens {
        case .success(let read): known = read
        case .failure(let rejected):
            return await self.reject(
                rejected.problems.map(ControlProblem.init), .bytes(bytes), .passing, origin)
        }
        async let found: Void? = self.discovery?.prepare(configuration.table)
        async let resolved: Void? = self.names?.prepare(configuration.table)
        _ = await (found, resolved)
        do throws(ChangeRefused) {
            let outcome = try await self.publisher.load(configuration, origin: origin)
            self.inForce = bytes
            self.access?.set(known, metrics: admin?.metricsToken)
            self.accept(configuration, outcome: outcome, origin: origin)
        } catch {
            let problems: [ControlProblem]
            switch error {
            // The document has been checked before: what is wrong is around it, such as a port that is taken.
            case .invalid(let found): problems = found
            case .handingOver, .notFound, .stale, .needsForce, .gone, .guarded, .journal:
                problems = [ControlProblem(path: "$", message: "another process is taking over")]
            }
            await self.reject(problems, .bytes(bytes), .passing, origin)
        }
        let inForce = await self.publisher.current.table.spec
        await self.discovery?.retain(only: inForce)
        await self.names?.retain(only: inForce)
    }

    // MARK: how it went

    /// What is in place is in force without having been loaded now.
    private func settle() {
        self.trouble = nil
        guard !self.report.ok else { return }
        self.report.at = self.clock.wall()
        self.report.ok = true
        self.report.problems = []
        self.logger.notice("the file is the one in force again", metadata: ["file": "\(self.path)"])
    }

    private func accept(_ configuration: BalancerConfiguration, outcome: LoadOutcome, origin: ChangeOrigin) {
        let first = self.started ?? configuration
        self.started = first
        var needsRestart: [String] = []
        if first.admin?.fixed != configuration.admin?.fixed { needsRestart.append("$.admin") }
        if first.accessLog != configuration.accessLog { needsRestart.append("$.accessLog") }
        if first.operationalLog != configuration.operationalLog { needsRestart.append("$.operationalLog") }
        if first.batching != configuration.batching { needsRestart.append("$.batching") }
        if first.workers != configuration.workers { needsRestart.append("$.workers") }
        if first.takeover != configuration.takeover { needsRestart.append("$.takeover") }
        if first.state != configuration.state { needsRestart.append("$.state") }
        for path in needsRestart {
            self.logger.warning("changed in the file, takes effect at the next start", metadata: ["path": "\(path)"])
        }
        self.trouble = nil
        self.report.at = self.clock.wall()
        self.report.ok = true
        self.report.problems = []
        self.report.needsRestart = needsRestart
        self.report.successes += 1
        self.logger.info(
            "configuration loaded",
            metadata: [
                "file": "\(self.path)", "origin": "\(origin.door.rawValue)", "generation": "\(outcome.generation)",
                "changed": "\(outcome.changed)",
            ])
    }

    private func reject(
        _ problems: [ControlProblem], _ file: ConfigurationFile, _ cause: ReloadTrouble.Cause, _ origin: ChangeOrigin
    ) async {
        let now = self.clock.monotonic()
        if self.trouble?.file == file, self.trouble?.cause == cause {
            self.trouble?.postpone(now: now)
        } else {
            self.trouble = ReloadTrouble(file, cause, now: now)
        }
        // A further try that ends like the one before is no news.
        let isNews = origin.door != .file || self.report.ok || self.report.problems != problems
        self.report.at = self.clock.wall()
        self.report.ok = false
        self.report.problems = problems
        self.report.failures += 1
        guard isNews else { return }
        for problem in problems {
            self.logger.error(
                origin.door == .start ? "configuration rejected" : "configuration rejected, the old one stays",
                metadata: [
                    "file": "\(self.path)", "line": "\(problem.line ?? 0)", "path": "\(problem.path)",
                    "problem": "\(problem.message)",
                ])
        }
        await self.publisher.noteRejected(problems, origin: origin)
    }
}
