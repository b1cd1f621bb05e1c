import Logging
import Reactor
import RoutesFile
import Traffic

/// Looks up the host names that endpoints are given by: all beside each other when a configuration is loaded, and those
/// that fail again and again until they are found. What is found goes to the publisher; a name that fails holds up
/// nothing but its own endpoint.
package actor HostNames {
    /// Milliseconds that a load waits for the answers.
    static let patience: UInt64 = 2_000
    /// Look-ups at a time. One that nobody answers takes ten seconds of a thread.
    package static let atOnce = 8

    private struct Target {
        /// Distinguishes this look-up from an earlier one of the same name.
        var serial: UInt64
        /// It is being asked for, or waits for a thread.
        var isAsking = true
    }

    private typealias Start = (host: String, serial: UInt64)

    private let resolver: HostResolver
    private let threads: BlockingThreads
    private let clock: ControlClock
    private let logger: Logger
    private var publisher: TablePublisher?
    private var targets: [String: Target] = [:]
    private var nextSerial: UInt64 = 1
    /// Names whose first answer a load waits for.
    private var awaited = FirstAnswers<String>()
    /// Holds what routes.json names at the most: one element a name and load.
    private let starts = StartQueue<Start>()

    /// Look-ups block, on `threads`.
    package init(
        resolver: HostResolver = .system, threads: BlockingThreads, clock: ControlClock = .system, logger: Logger
    ) {
        self.resolver = resolver
        self.threads = threads
        self.clock = clock
        self.logger = logger
    }

    /// Looks up what is to be looked up and hands it to `publisher`, until the task is cancelled.
    package func run(publishing publisher: TablePublisher) async {
        self.publisher = publisher
        await self.starts.run { start in await self.follow(start) }
    }

    /// Asks for all names of `table` anew and waits until each has its answer, but no longer than `patience`.
    package func prepare(_ table: TableSpec) async {
        let hosts = table.hostNames
        guard !hosts.isEmpty else { return }
        for host in hosts where self.targets[host]?.isAsking != true {
            let serial = self.nextSerial
            self.nextSerial += 1
            self.targets[host] = Target(serial: serial)
            self.starts.start((host, serial))
        }
        let answers = self.awaited.expect(hosts)
        await FirstAnswers<String>.wait(for: answers, atMost: Self.patience, self.clock)
        self.awaited.end()
    }

    /// Gives up the names that `table`, the one in force, does not have.
    package func retain(only table: TableSpec) {
        let wanted = Set(table.hostNames)
        self.targets = self.targets.filter { wanted.contains($0.key) }
    }

    private func follow(_ start: Start) async {
        var backoff = Backoff(first: 1_000, limit: 30_000)
        var told = ""
        while !Task.isCancelled, self.targets[start.host]?.serial == start.serial {
            self.targets[start.host]?.isAsking = true
            let resolver = self.resolver
            let outcome = await self.threads.run {
                Result { () throws(LookUpFailure) in try resolver.addresses(of: start.host) }
            }
            guard self.targets[start.host]?.serial == start.serial else { return }
            self.targets[start.host]?.isAsking = false
            if case .failure(let failure) = outcome, failure.reason != told {
                told = failure.reason
                self.logger.warning(
                    "a host name is not found, its endpoint waits for it",
                    metadata: ["host": "\(start.host)", "cause": "\(failure.reason)"])
            }
            await self.publisher?.resolved(outcome, host: start.host)
            self.awaited.answered(start.host)
            if case .success = outcome {
                if !told.isEmpty {
                    self.logger.notice("a host name is found", metadata: ["host": "\(start.host)"])
                }
                // The next load asks again.
                return
            }
            try? await self.clock.sleep(backoff.next())
        }
    }
}
