import Reactor
import Traffic

/// Endpoints by DNS: asks, waits, asks again.
actor NameSource: EndpointSource {
    /// SRV targets looked at, and how many of them are asked for at a time.
    static let targetLimit = 512
    private static let targetsAtOnce = 16
    /// Milliseconds between two looks at whether something is wrong with an endpoint, and the least time between two
    /// look-ups because of that.
    private static let glance: UInt64 = 250
    private static let restraint: UInt64 = 1_000

    private enum Kind { case addresses(port: UInt16), services }

    private let lookup: NameLookup
    private let kind: Kind
    private let client: DNSClient
    private let clock: ControlClock
    private let resolverFile: String
    /// The last answers by question. A question that fails keeps its last answer as long as others succeed, so that
    /// a lost datagram does not take half the endpoints away.
    private var known: [DNSQuestion: [IPAddress]] = [:]

    init(
        addressesOf lookup: NameLookup, port: UInt16, dialer: Dialer, clock: ControlClock,
        resolverFile: String = "/etc/resolv.conf"
    ) {
        (self.lookup, self.kind) = (lookup, .addresses(port: port))
        (self.client, self.clock, self.resolverFile) = (DNSClient(dialer: dialer), clock, resolverFile)
    }

    init(
        servicesOf lookup: NameLookup, dialer: Dialer, clock: ControlClock,
        resolverFile: String = "/etc/resolv.conf"
    ) {
        (self.lookup, self.kind) = (lookup, .services)
        (self.client, self.clock, self.resolverFile) = (DNSClient(dialer: dialer), clock, resolverFile)
    }

    func run(_ listener: SourceListener) async {
        var backoff = Backoff(first: 250, limit: UInt64(self.lookup.interval))
        while !Task.isCancelled {
            let began = self.clock.monotonic()
            let pause: UInt64
            do throws(DiscoveryFailure) {
                await listener.found(try await self.resolve())
                backoff.reset()
                // Give or take a tenth, so that replicas do not ask in step.
                pause = UInt64(self.lookup.interval) * UInt64.random(in: 900...1_100) / 1_000
            } catch {
                await listener.failed(error)
                pause = backoff.next()
            }
            await self.wait(pause, since: began, listener)
        }
    }

    private func wait(_ pause: UInt64, since began: UInt64, _ listener: SourceListener) async {
        let end = self.clock.monotonic() + pause
        while !Task.isCancelled {
            let now = self.clock.monotonic()
            guard now < end else { return }
            if now >= began + Self.restraint, await listener.isTroubled() { return }
            try? await self.clock.sleep(min(Self.glance, end - now))
        }
    }

    // MARK: resolving

    /// Never empty: an empty answer is a failure.
    func resolve() async throws(DiscoveryFailure) -> [SocketAddress] {
        let configuration = self.configuration
        let names = configuration.candidates(self.lookup.name)
        var asked: [DNSQuestion: [IPAddress]] = [:]
        var failure = DiscoveryFailure("\(self.lookup.name) does not exist (NXDOMAIN)")
        for name in names {
            let found: (endpoints: [SocketAddress], exists: Bool)
            switch self.kind {
            case .addresses(let port):
                let answer = try await self.addresses(of: name, configuration.servers, asked: &asked)
                found = (answer.addresses.map { SocketAddress(ip: $0, port: port) }, answer.exists)
            case .services: found = try await self.services(of: name, configuration.servers, asked: &asked)
            }
            if !found.endpoints.isEmpty {
                self.known = asked
                return found.endpoints
            }
            if found.exists { failure = DiscoveryFailure("\(name) has no address") }
        }
        throw failure
    }

    private var configuration: ResolverConfiguration {
        if let server = self.lookup.resolver { return ResolverConfiguration(servers: [server]) }
        // Read each time: it may be replaced. Without it the defaults hold.
        let bytes = (try? WholeFile.read(self.resolverFile)) ?? []
        return ResolverConfiguration(parsing: String(decoding: bytes, as: UTF8.self))
    }

    private typealias Addresses = (addresses: [IPAddress], exists: Bool)

    private func addresses(
        of name: DNSName, _ servers: [SocketAddress], asked: inout [DNSQuestion: [IPAddress]]
    ) async throws(DiscoveryFailure) -> Addresses {
        let answers = await Self.ask([.a, .aaaa].map { DNSQuestion(name: name, type: $0) }, servers, self.client)
        return try self.merge(answers, asked: &asked)
    }

    /// Throws if neither family has an answer, or one has failed and the other is empty.
    private func merge(
        _ answers: [DNSQuestion: Result<DNSResponse, DiscoveryFailure>], asked: inout [DNSQuestion: [IPAddress]]
    ) throws(DiscoveryFailure) -> Addresses {
        var addresses: [IPAddress] = []
        var failure: DiscoveryFailure?
        var exists = false
        for (question, answer) in answers {
            switch answer {
            case .success(let response):
                exists = exists || response.code == .noError
                asked[question] = response.addresses(of: question.name)
            case .failure(let reason):
                failure = reason
                asked[question] = self.known[question]
            }
            addresses += asked[question] ?? []
        }
        if let failure, addresses.isEmpty || answers.values.allSatisfy({ (try? $0.get()) == nil }) { throw failure }
        return (addresses, exists)
    }

    private func services(
        of name: DNSName, _ servers: [SocketAddress], asked: inout [DNSQuestion: [IPAddress]]
    ) async throws(DiscoveryFailure) -> (endpoints: [SocketAddress], exists: Bool) {
        let response = try await self.client.ask(DNSQuestion(name: name, type: .srv), servers: servers)
        let services = response.services(of: name).filter { !$0.target.isRoot }
        // Those with the lowest number are to be used as long as there is one (RFC 2782); weights are left to the
        // upstream's own way of choosing.
        let best = services.map(\.priority).min()
        let wanted = Array(services.filter { $0.priority == best }.prefix(Self.targetLimit))
        guard !wanted.isEmpty else { return ([], response.code == .noError) }

        let extra = Dictionary(
            grouping: response.additional.compactMap { record -> (DNSName, IPAddress)? in
                if case .address(let address) = record.content { (record.name, address) } else { nil }
            }, by: \.0)
        if wanted.allSatisfy({ extra[$0.target] != nil }) {
            return (
                wanted.flatMap { service in
                    (extra[service.target] ?? []).map { SocketAddress(ip: $0.1, port: service.port) }
                }, true
            )
        }
        let targets = Array(Set(wanted.map(\.target)))
        var byTarget: [DNSName: [IPAddress]] = [:]
        var failure: DiscoveryFailure?
        for start in stride(from: 0, to: targets.count, by: Self.targetsAtOnce) {
            let batch = targets[start..<min(start + Self.targetsAtOnce, targets.count)]
            let questions = batch.flatMap { target in
                [DNSType.a, .aaaa].map { DNSQuestion(name: target, type: $0) }
            }
            let answers = await Self.ask(questions, servers, self.client)
            for target in batch {
                let own = answers.filter { $0.key.name == target }
                do throws(DiscoveryFailure) {
                    byTarget[target] = try self.merge(own, asked: &asked).addresses
                } catch {
                    failure = error
                    byTarget[target] = own.keys.flatMap { self.known[$0] ?? [] }
                }
            }
        }
        let endpoints = wanted.flatMap { service in
            (byTarget[service.target] ?? []).map { SocketAddress(ip: $0, port: service.port) }
        }
        if endpoints.isEmpty, let failure { throw failure }
        return (endpoints, true)
    }

    /// All at once.
    private nonisolated static func ask(
        _ questions: [DNSQuestion], _ servers: [SocketAddress], _ client: DNSClient
    ) async -> [DNSQuestion: Result<DNSResponse, DiscoveryFailure>] {
        await withTaskGroup(of: (DNSQuestion, Result<DNSResponse, DiscoveryFailure>).self) { group in
            for question in questions {
                group.addTask {
                    // The answer first, then the pair: optimised by Swift 6.3.1, a pair begun before an await loses its
                    // first half.
                    let answer: Result<DNSResponse, DiscoveryFailure>
                    do throws(DiscoveryFailure) {
                        answer = .success(try await client.ask(question, servers: servers))
                    } catch {
                        answer = .failure(error)
                    }
                    return (question, answer)
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }
}
