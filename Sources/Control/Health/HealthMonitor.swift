import Logging
import Reactor
import Traffic

/// Probes every endpoint whose upstream asks for it and writes the verdicts where the data plane reads them. Histories
/// survive reloads by upstream and address, whatever becomes of the probe: a new path or interval is no reason to take an
/// endpoint out on the first failure.
package actor HealthMonitor {
    private struct Target {
        var endpoint: Endpoint
        var spec: ProbeSpec
        var proxyProtocol: UInt8
        var speaks: EndpointProtocol
        /// nil: plain.
        var tls: ProbeTLS?
        var machine: ProbeMachine
        /// Distinguishes this target's task from that of a predecessor with the same key.
        var serial: UInt64
        var counts: [ProbeCause: UInt64] = [:]
        var lastMicroseconds: UInt64 = 0
    }

    private let transport: any ProbeTransport
    private let clock: ControlClock
    private let logger: Logger
    private var targets: [EndpointKey: Target] = [:]
    /// Endpoints that are this process itself, as told in the log.
    private var refused: Set<EndpointKey> = []
    private var nextSerial: UInt64 = 1
    private var random: SplitMix64

    private let starts: AsyncStream<(EndpointKey, UInt64)>
    private let startsContinuation: AsyncStream<(EndpointKey, UInt64)>.Continuation

    /// `seed` decides the jitter: replicas must differ, or they all probe an endpoint at the same moment.
    package init(transport: any ProbeTransport, clock: ControlClock = .system, seed: UInt64, logger: Logger) {
        self.transport = transport
        self.clock = clock
        self.logger = logger
        self.random = SplitMix64(seed: seed)
        // Bounded by what routes.json names: one element an endpoint and reload, consumed at once while running.
        (self.starts, self.startsContinuation) = AsyncStream.makeStream()
    }

    /// Probes until the task is cancelled. A target's probes follow each other; targets do not wait for one another.
    package func run() async {
        let starts = self.starts
        await withDiscardingTaskGroup { group in
            for await (key, serial) in starts {
                group.addTask { await self.serve(key, serial: serial) }
            }
            group.cancelAll()
        }
    }

    /// Follows a new table: new endpoints are probed at once, gone ones no longer, the others go on undisturbed.
    package func apply(_ table: RoutingTable) {
        var wanted: Set<EndpointKey> = []
        for upstream in table.upstreams {
            for endpoint in upstream.endpoints {
                guard let spec = upstream.spec.health else {
                    // Not probed (any more): counts as up.
                    if endpoint.operational != .up { endpoint.setOperational(.up, now: self.clock.monotonic()) }
                    continue
                }
                let key = EndpointKey(upstream: upstream.name, address: endpoint.address)
                wanted.insert(key)
                self.follow(
                    key, endpoint: endpoint, spec: spec, proxyProtocol: upstream.spec.sendProxyProtocol,
                    speaks: upstream.spec.speaks, tls: self.tls(of: upstream.spec))
            }
        }
        self.targets = self.targets.filter { wanted.contains($0.key) }
        self.noteRefused(table)
    }

    private func noteRefused(_ table: RoutingTable) {
        var present: Set<EndpointKey> = []
        for upstream in table.upstreams {
            for endpoint in upstream.endpoints where endpoint.isRefused {
                present.insert(EndpointKey(upstream: upstream.name, address: endpoint.address))
            }
        }
        for key in present.subtracting(self.refused) {
            self.logger.error(
                "an endpoint is a listener of this balancer itself, nothing is sent there",
                metadata: ["upstream": "\(key.upstream)", "endpoint": "\(key.address)"])
        }
        self.refused = present
    }

    /// How probes of an upstream speak TLS: one for all of its endpoints, and for all tables that say the same.
    private func tls(of upstream: UpstreamSpec) -> ProbeTLS? {
        guard let spec = upstream.tls else { return nil }
        let known = self.targets.values.lazy.compactMap(\.tls).first { $0.spec == spec && $0.name == upstream.tlsName }
        return known ?? ProbeTLS(spec: spec, name: upstream.tlsName, client: try? TLSClient(spec))
    }

    private func follow(
        _ key: EndpointKey, endpoint: Endpoint, spec: ProbeSpec, proxyProtocol: UInt8, speaks: EndpointProtocol,
        tls: ProbeTLS?
    ) {
        if let known = self.targets[key], known.spec == spec, known.proxyProtocol == proxyProtocol,
            known.speaks == speaks, known.tls == tls, known.endpoint === endpoint
        {
            return
        }
        let serial = self.nextSerial
        self.nextSerial += 1
        if var known = self.targets[key], known.endpoint === endpoint {
            // Another number ends the task of the old probe; an answer to it that is still under way is not recorded.
            known.serial = serial
            known.spec = spec
            known.proxyProtocol = proxyProtocol
            known.speaks = speaks
            known.tls = tls
            known.machine.adopt(spec)
            self.targets[key] = known
        } else {
            self.targets[key] = Target(
                endpoint: endpoint, spec: spec, proxyProtocol: proxyProtocol, speaks: speaks, tls: tls,
                machine: ProbeMachine(spec, operational: endpoint.operational), serial: serial)
        }
        self.startsContinuation.yield((key, serial))
    }

    private func serve(_ key: EndpointKey, serial: UInt64) async {
        while !Task.isCancelled, let target = self.targets[key], target.serial == serial {
            await self.probe(key)
            let pause = self.jittered(target.spec.interval)
            do { try await self.clock.sleep(pause) } catch { return }
        }
    }

    /// The interval give or take a tenth.
    private func jittered(_ interval: UInt32) -> UInt64 {
        UInt64(interval) * UInt64(900 + self.random.below(201)) / 1_000
    }

    /// One probe, judged and recorded. An endpoint in maintenance is left alone, and so is one that is this process itself.
    package func probe(_ key: EndpointKey) async {
        guard let target = self.targets[key], target.endpoint.administrative != .maintenance,
            !target.endpoint.isRefused
        else { return }
        let exchange = ProbeExchange(
            spec: target.spec, address: key.address, proxyProtocol: target.proxyProtocol,
            speaksTLS: target.tls != nil, speaks: target.speaks)
        let tls = target.tls?.dial(key.address, for: exchange)
        // Never in plain where TLS is wanted.
        guard target.tls == nil || tls != nil else { return }
        let began = self.clock.monotonic()
        let answer = await self.transport.exchange(
            with: key.address, tls: tls, request: exchange.request, connectMilliseconds: target.spec.timeout,
            milliseconds: target.spec.timeout, limit: ProbeExchange.limit, isComplete: { exchange.isComplete($0) })
        // A cancelled probe says nothing, nor does one whose target was replaced or put into maintenance meanwhile.
        guard !Task.isCancelled, self.targets[key]?.serial == target.serial,
            target.endpoint.administrative != .maintenance, target.endpoint.administrativeSince <= began
        else { return }
        guard answer.end != .exhausted else {
            // Our own shortage says nothing about the endpoint: what is known of it stays.
            self.logger.error("no descriptor for a probe", metadata: ["endpoint": "\(key.address)"])
            return
        }
        let (cause, status) = exchange.judge(answer)
        self.record(
            key,
            ProbeResult(
                at: self.clock.monotonic(), wallClock: self.clock.wall(), cause: cause, status: status,
                microseconds: answer.microseconds))
    }

    private func record(_ key: EndpointKey, _ result: ProbeResult) {
        guard var target = self.targets[key] else { return }
        let verdict = target.machine.record(result)
        target.counts[result.cause, default: 0] += 1
        target.lastMicroseconds = result.microseconds
        self.targets[key] = target
        guard let verdict else { return }
        let operational: Operational =
            switch verdict {
            case .up: .up
            case .down: .down
            }
        target.endpoint.setOperational(operational, now: self.clock.monotonic())
        self.logger.notice(
            "endpoint is \(operational == .up ? "up" : "down")",
            metadata: [
                "upstream": "\(key.upstream)", "endpoint": "\(key.address)", "cause": "\(result.cause.rawValue)",
                "status": "\(result.status)",
            ])
    }

    /// What is known of every probed endpoint.
    package var records: [EndpointKey: ProbeRecord] {
        self.targets.mapValues { target in
            ProbeRecord(
                results: Array(target.machine.history), counts: target.counts,
                lastMicroseconds: target.lastMicroseconds, outlook: target.machine.explanation)
        }
    }
}

/// An endpoint's identity: it survives reloads.
package struct EndpointKey: Hashable, Sendable {
    package var upstream: String
    package var address: SocketAddress

    package init(upstream: String, address: SocketAddress) {
        self.upstream = upstream
        self.address = address
    }
}

/// What probing an endpoint has brought so far.
package struct ProbeRecord: Sendable {
    /// The last ones, oldest first.
    package var results: [ProbeResult]
    /// Since the probe was first configured.
    package var counts: [ProbeCause: UInt64]
    package var lastMicroseconds: UInt64
    /// Why the state is what it is and what would change it, in words.
    package var outlook: String
}
