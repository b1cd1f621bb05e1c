import Glibc
import Logging
import Reactor
import RoutesFile
import Traffic

/// Loads routes.json into the publisher: whole or not at all. Remembers the bytes in force, so that a touched but
/// unchanged file is no reload, and how the last attempt ended.
package actor ConfigurationReloader {
    private let path: String
    private let publisher: TablePublisher
    private let discovery: EndpointDiscovery?
    private let clock: ControlClock
    private let logger: Logger
    /// Reads the file and looks names up, which blocks.
    private let thread: BlockingThread
    /// Two loads at once could put the older file in force last.
    private let turnstile = Turnstile()
    private var bytes: [UInt8]?
    private var started: BalancerConfiguration?
    package private(set) var report: ReloadReport

    /// The file is read on `thread`.
    package init(
        path: String, publisher: TablePublisher, discovery: EndpointDiscovery? = nil, clock: ControlClock = .system,
        thread: BlockingThread, logger: Logger
    ) {
        self.thread = thread
        self.path = path
        self.publisher = publisher
        self.discovery = discovery
        self.clock = clock
        self.logger = logger
        self.report = ReloadReport(
            at: clock.wall(), ok: false, problems: [], needsRestart: [], successes: 0, failures: 0)
    }

    /// Loads the file. For `.file` an unchanged or empty (still being written) file is left alone; every other door
    /// always loads, because host names may resolve differently now. Returns whether the file is in force.
    @discardableResult
    package func reload(_ door: ChangeOrigin.Door) async -> Bool {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        let origin = ChangeOrigin(door, who: self.path)
        let bytes: [UInt8]
        do {
            bytes = try await self.read()
        } catch {
            // Between the two steps of a replacement the file may be missing for a moment; the next event tells.
            if door == .file, error.code == ENOENT { return self.report.ok }
            return await self.reject(
                [ControlProblem(path: "$", message: "cannot read \(self.path): \(error)")], origin: origin)
        }
        if door == .file, bytes.isEmpty || bytes == self.bytes { return self.report.ok }
        self.bytes = bytes

        let configuration: BalancerConfiguration
        do {
            configuration = try await self.parse(bytes)
        } catch {
            return await self.reject(error.problems.map(ControlProblem.init), origin: origin)
        }
        return await self.load(configuration, origin: origin)
    }

    /// Puts the first configuration in force; `bytes` are those it was parsed from. Returns whether it is.
    package func start(_ configuration: BalancerConfiguration, bytes: [UInt8]) async -> Bool {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        self.bytes = bytes
        return await self.load(configuration, origin: ChangeOrigin(.start, who: self.path))
    }

    private func load(_ configuration: BalancerConfiguration, origin: ChangeOrigin) async -> Bool {
        await self.discovery?.prepare(configuration.table)
        let isLoaded = await self.put(configuration, origin: origin)
        await self.discovery?.retain(only: await self.publisher.current.table.spec)
        return isLoaded
    }

    private func put(_ configuration: BalancerConfiguration, origin: ChangeOrigin) async -> Bool {
        do throws(ChangeRefused) {
            let outcome = try await self.publisher.load(configuration, origin: origin)
            self.accept(configuration, outcome: outcome, origin: origin)
            return true
        } catch {
            switch error {
            case .invalid(let problems): return await self.reject(problems, origin: origin)
            case .handingOver, .notFound, .stale, .needsForce:
                // Not the file's fault: if the take-over fails, its next event loads it.
                self.bytes = nil
                return await self.reject(
                    [ControlProblem(path: "$", message: "another process is taking over")], origin: origin)
            }
        }
    }

    private func read() async throws(SystemError) -> [UInt8] {
        let path = self.path
        return try await self.thread.run {
            Result { () throws(SystemError) in try FileBytes.read(path) }
        }.get()
    }

    private func parse(_ bytes: [UInt8]) async throws(ConfigurationRejected) -> BalancerConfiguration {
        try await self.thread.run {
            Result { () throws(ConfigurationRejected) in try RoutesFile.parse(bytes) }
        }.get()
    }

    private func accept(_ configuration: BalancerConfiguration, outcome: LoadOutcome, origin: ChangeOrigin) {
        let first = self.started ?? configuration
        self.started = first
        var needsRestart: [String] = []
        if first.admin != configuration.admin { needsRestart.append("$.admin") }
        if first.accessLog != configuration.accessLog { needsRestart.append("$.accessLog") }
        if first.operationalLog != configuration.operationalLog { needsRestart.append("$.operationalLog") }
        if first.batching != configuration.batching { needsRestart.append("$.batching") }
        if first.workers != configuration.workers { needsRestart.append("$.workers") }
        if first.takeover != configuration.takeover { needsRestart.append("$.takeover") }
        for path in needsRestart {
            self.logger.warning("changed in the file, takes effect at the next start", metadata: ["path": "\(path)"])
        }
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

    private func reject(_ problems: [ControlProblem], origin: ChangeOrigin) async -> Bool {
        self.report.at = self.clock.wall()
        self.report.ok = false
        self.report.problems = problems
        self.report.failures += 1
        for problem in problems {
            self.logger.error(
                origin.door == .start ? "configuration rejected" : "configuration rejected, the old one stays",
                metadata: [
                    "file": "\(self.path)", "line": "\(problem.line ?? 0)", "path": "\(problem.path)",
                    "problem": "\(problem.message)",
                ])
        }
        await self.publisher.noteRejected(problems, origin: origin)
        return false
    }
}
