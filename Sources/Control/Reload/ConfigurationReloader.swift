import Glibc
import Logging
import Reactor
import RoutesFile
import Traffic

/// Loads routes.json into the publisher: whole or not at all. `ReloadStep` decides what a look at the file leads to; this
/// remembers what that depends on, does it, and tells how it went. What failed for a cause that may pass is tried again.
package actor ConfigurationReloader {
    let path: String
    private let publisher: TablePublisher
    private let discovery: EndpointDiscovery?
    private let names: HostNames?
    private let access: AdminAccess?
    private let comparisons: ComparisonService?
    private let adminCertificate: AdminCertificate?
    private let clock: ControlClock
    private let logger: Logger
    /// Reads the file, which blocks.
    let thread: BlockingThreads
    /// Two loads at once could put the older file in force last.
    let turnstile = Turnstile()
    /// What the configuration in force was read from.
    private(set) var inForce: [UInt8]?
    private var trouble: ReloadTrouble?
    private var nextTry: Task<Void, Never>?
    private var started: BalancerConfiguration?
    /// The configuration in force as its file says it, and with what the files that it names held.
    private var named: (plain: BalancerConfiguration, files: NamedFiles.Outcome)?
    /// Of the files that were looked at last, whatever came of it.
    private var lastStamps: [FileStamp] = []
    /// Files that have changed, as they were found last, and how often since they were found as in `lastStamps`.
    private var restless: (stamps: [FileStamp], looks: Int)?
    /// Why the files that are there now are not the ones in force; empty: they are.
    package private(set) var fileProblems: [ControlProblem] = []
    package private(set) var report: ReloadReport

    /// The file is read on `thread`.
    package init(
        path: String, publisher: TablePublisher, discovery: EndpointDiscovery? = nil, names: HostNames? = nil,
        access: AdminAccess? = nil, adminCertificate: AdminCertificate? = nil,
        comparisons: ComparisonService? = nil, clock: ControlClock = .system,
        thread: BlockingThreads, logger: Logger
    ) {
        self.thread = thread
        self.path = path
        self.publisher = publisher
        self.discovery = discovery
        self.names = names
        self.access = access
        self.comparisons = comparisons
        self.adminCertificate = adminCertificate
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
        let files = await self.readFiles(configuration)
        guard files.problems.isEmpty else {
            // The files may be on their way.
            return await self.reject(files.problems, .bytes(bytes), .passing, origin)
        }
        async let found: Void? = self.discovery?.prepare(configuration.table)
        async let resolved: Void? = self.names?.prepare(configuration.table)
        _ = await (found, resolved)
        do throws(ChangeRefused) {
            let outcome = try await self.publisher.load(files.configuration, origin: origin)
            self.inForce = bytes
            self.showAdminCertificate(files.configuration)
            await self.comparisons?.adopt(configuration.migrations)
            self.access?.set(known, metrics: admin?.metricsToken)
            self.adopt(files, of: configuration)
            self.accept(configuration, outcome: outcome, origin: origin)
        } catch {
            let problems: [ControlProblem]
            switch error {
            // The document has been checked before: what is wrong is around it, such as a port that is taken.
            case .invalid(let found): problems = found
            case .handingOver, .notFound, .stale, .needsForce, .gone, .guarded, .journal, .unsaved, .unreachable,
                .owned,
                .plan:
                problems = [ControlProblem(path: "$", message: "another process is taking over")]
            }
            await self.reject(problems, .bytes(bytes), .passing, origin)
        }
        let inForce = await self.publisher.current.table.spec
        await self.discovery?.retain(only: inForce)
        await self.names?.retain(only: inForce)
    }

    // MARK: files that the configuration names

    /// Milliseconds between two looks at the files that the configuration names.
    private static let fileLook: UInt64 = 1_000
    /// Milliseconds that whoever writes a certificate gets for its key, and for which files have to stand still.
    private static let pairTime: UInt64 = 500
    /// Looks at files that do not stand still; then they are read as they are.
    private static let restlessLooks = 20

    /// The listeners in force, as the file has them.
    package var listeners: [ListenerSpec] { self.named?.plain.listeners ?? [] }
    /// The certificates in force.
    package var certificates: [CertificateRecord] { self.named?.files.certificates ?? [] }
    private var fileReloads: (successes: UInt64, failures: UInt64) = (0, 0)

    /// For the metrics page.
    package var certificateFigures: CertificateFigures {
        var figures = CertificateFigures()
        figures.records = self.certificates
        (figures.reloads, figures.failures) = self.fileReloads
        figures.now = Int64(clamping: self.clock.wall() / 1_000)
        return figures
    }

    /// Puts certificates and keys that were replaced in force, until the task is cancelled. Looks at the files now and then
    /// rather than waiting for word: they stand in many directories, behind links that are swapped, and on file systems that
    /// send no word.
    package func followFiles() async {
        while !Task.isCancelled {
            do { try await self.clock.sleep(self.restless == nil ? Self.fileLook : Self.pairTime) } catch { return }
            await self.lookAtFiles()
        }
    }

    func lookAtFiles() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard let named, !self.lastStamps.isEmpty else { return }
        let stamps = await self.thread.run { NamedFiles.stamps(named.plain) }
        guard stamps != self.lastStamps else {
            self.restless = nil
            return
        }
        guard self.stand(stamps) else { return }
        var files = await self.readFiles(named.plain)
        if !files.problems.isEmpty {
            // Of a pair one half may be new.
            try? await self.clock.sleep(Self.pairTime)
            files = await self.readFiles(named.plain)
        }
        self.lastStamps = files.stamps
        guard files.problems.isEmpty else {
            self.fileProblems = files.problems
            self.fileReloads.failures += 1
            for problem in files.problems {
                self.logger.error(
                    "a file was replaced and is not good, what it held before stays",
                    metadata: ["path": "\(problem.path)", "problem": "\(problem.message)"])
            }
            return
        }
        guard files.configuration != named.files.configuration else {
            self.fileProblems = []
            return
        }
        do throws(ChangeRefused) {
            let outcome = try await self.publisher.load(
                files.configuration, origin: ChangeOrigin(.file, who: "named files"))
            self.showAdminCertificate(files.configuration)
            self.adopt(files, of: named.plain)
            self.fileReloads.successes += 1
            self.logger.info("replaced files loaded", metadata: ["generation": "\(outcome.generation)"])
        } catch {
            // Looked at again: what is in the way passes.
            self.lastStamps = named.files.stamps
            let problem = ControlProblem(path: "$", message: "the files could not be put in force: \(error)")
            guard self.fileProblems != [problem] else { return }
            self.fileProblems = [problem]
            self.fileReloads.failures += 1
            self.logger.error("files were replaced and are not in force yet", metadata: ["cause": "\(error)"])
        }
    }

    /// Whether files that have changed are found again as they were found before. One that is rewritten where it stands is there
    /// in part for a while, and may well make sense: of a file of users, whoever comes behind that part would be refused.
    private func stand(_ stamps: [FileStamp]) -> Bool {
        if let restless, restless.stamps == stamps || restless.looks >= Self.restlessLooks {
            self.restless = nil
            return true
        }
        self.restless = (stamps, (self.restless?.looks ?? 0) + 1)
        return false
    }

    private func readFiles(_ configuration: BalancerConfiguration) async -> NamedFiles.Outcome {
        let now = Int64(clamping: self.clock.wall() / 1_000)
        return await self.thread.run { NamedFiles.read(configuration, now: now) }
    }

    /// Tried when the files were read.
    private func showAdminCertificate(_ configuration: BalancerConfiguration) {
        guard let tls = configuration.admin?.tls, let context = try? AdminCertificate.context(tls) else { return }
        self.adminCertificate?.set(context)
    }

    private func adopt(_ files: NamedFiles.Outcome, of configuration: BalancerConfiguration) {
        self.named = (configuration, files)
        self.lastStamps = files.stamps
        self.fileProblems = []
        for warning in files.warnings {
            self.logger.warning(
                "a file is taken as it is", metadata: ["path": "\(warning.path)", "problem": "\(warning.message)"])
        }
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
        if first.cluster != configuration.cluster { needsRestart.append("$.cluster") }
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
