import Reactor
import Traffic

/// Endpoints by DNS: asks, waits, asks again.
///
/// Both families are asked for at once. What has come is used 50 ms after the first addresses have (RFC 8305 §3 calls it the
/// resolution delay), so that a family whose answer is lost does not hold the other one's change up; what comes within a
/// second is still taken in.
actor NameSource: EndpointSource {
    /// SRV targets looked at, and how many of them are asked for at a time.
    static let targetLimit = 512
    private static let targetsAtOnce = 16
    /// Milliseconds between two looks at whether something is wrong with an endpoint, and the least time between two
    /// look-ups because of that.
    private static let glance: UInt64 = 250
    private static let restraint: UInt64 = 1_000

    /// Milliseconds from the first addresses until they are used without what is still missing, and until that is given up.
    private static let resolutionDelay: UInt64 = 50
    private static let straggling: UInt64 = 1_000

    private enum Kind { case addresses(port: UInt16), services }

    private let lookup: NameLookup
    private let kind: Kind
    private let client: DNSClient
    private let clock: ControlClock
    private let resolver: @Sendable () -> ResolverConfiguration
    /// The last answers by question. A question that fails keeps its last answer as long as others succeed, so that
    /// a lost datagram does not take half the endpoints away.
    private var known: [DNSQuestion: [IPAddress]] = [:]
    /// The candidate that endpoints were found at last.
    private var knownName: DNSName?

    init(
        addressesOf lookup: NameLookup, port: UInt16, dialer: Dialer, clock: ControlClock,
        resolver: @escaping @Sendable () -> ResolverConfiguration = { .system() }
    ) {
        (self.lookup, self.kind) = (lookup, .addresses(port: port))
        (self.client, self.clock, self.resolver) = (DNSClient(dialer: dialer), clock, resolver)
    }

    init(
        servicesOf lookup: NameLookup, dialer: Dialer, clock: ControlClock,
        resolver: @escaping @Sendable () -> ResolverConfiguration = { .system() }
    ) {
        (self.lookup, self.kind) = (lookup, .services)
        (self.client, self.clock, self.resolver) = (DNSClient(dialer: dialer), clock, resolver)
    }

    func run(_ listener: SourceListener) async {
        var backoff = Backoff(first: 250, limit: UInt64(self.lookup.interval))
        while !Task.isCancelled {
            let began = self.clock.monotonic()
            let end: UInt64
            do throws(DiscoveryFailure) {
                let endpoints = try await self.resolve { await listener.found($0) }
                await listener.found(endpoints)
                backoff.reset()
                // Give or take a tenth, so that replicas do not ask in step. From when it was asked: an answer that took long
                // must not delay the next change by as much.
                end = began + UInt64(self.lookup.interval) * UInt64.random(in: 900...1_100) / 1_000
            } catch {
                if Task.isCancelled { return }
                await listener.failed(error)
                end = self.clock.monotonic() + backoff.next()
            }
            await self.wait(until: end, since: began, listener)
        }
    }

    private func wait(until end: UInt64, since began: UInt64, _ listener: SourceListener) async {
        while !Task.isCancelled {
            let now = self.clock.monotonic()
            guard now < end else { return }
            if now >= began + Self.restraint, await listener.isTroubled() { return }
            try? await self.clock.sleep(min(Self.glance, end - now))
        }
    }

    // MARK: resolving

    /// Never empty: an empty answer is a failure. `early` is told of addresses that are good to use while others may still
    /// come.
    func resolve(
        early: @Sendable ([SocketAddress]) async -> Void = { _ in }
    ) async throws(DiscoveryFailure) -> [SocketAddress] {
        let configuration = self.configuration
        let names = configuration.candidates(self.lookup.name)
        let plain = DNSName(self.lookup.name)
        var asked: [DNSQuestion: [IPAddress]] = [:]
        var isMissing = DiscoveryFailure("\(self.lookup.name) does not exist (NXDOMAIN)")
        var failure: DiscoveryFailure?
        for name in names {
            // Who does not answer for one domain will not for the next; the name as it stands is tried in any case.
            if let failure, failure.isSilence, name != plain { continue }
            do throws(DiscoveryFailure) {
                let found = try await self.look(name, configuration.servers, asked: &asked, early: early)
                if !found.endpoints.isEmpty {
                    self.known = asked
                    self.knownName = name
                    return found.endpoints
                }
                if found.exists { isMissing = DiscoveryFailure("\(name) has no address") }
            } catch {
                // A search domain that fails must not hide the names behind it, but where the endpoints were found last nobody
                // else's take their place because a server is ill for a moment.
                if name == self.knownName { throw error }
                failure = failure ?? error
            }
        }
        throw failure ?? isMissing
    }

    private func look(
        _ name: DNSName, _ servers: [SocketAddress], asked: inout [DNSQuestion: [IPAddress]],
        early: @Sendable ([SocketAddress]) async -> Void
    ) async throws(DiscoveryFailure) -> (endpoints: [SocketAddress], exists: Bool) {
        switch self.kind {
        case .services: return try await self.services(of: name, servers, asked: &asked, early: early)
        case .addresses(let port):
            let answers = await self.ask([.a, .aaaa].map { DNSQuestion(name: name, type: $0) }, servers) { answers in
                var asked: [DNSQuestion: [IPAddress]] = [:]
                let addresses = (try? self.merge(answers, asked: &asked))?.addresses ?? []
                // Empty it would say that there is none.
                guard !addresses.isEmpty else { return }
                await early(addresses.map { SocketAddress(ip: $0, port: port) })
            }
            let found = try self.merge(answers, asked: &asked)
            return (found.addresses.map { SocketAddress(ip: $0, port: port) }, found.exists)
        }
    }

    private var configuration: ResolverConfiguration {
        if let server = self.lookup.resolver { return ResolverConfiguration(servers: [server]) }
        return self.resolver()
    }

    private typealias Addresses = (addresses: [IPAddress], exists: Bool)

    /// Throws if neither family has an answer, or one has failed and the other is empty.
    private func merge(
        _ answers: Answers, asked: inout [DNSQuestion: [IPAddress]]
    ) throws(DiscoveryFailure) -> Addresses {
        var addresses: [IPAddress] = []
        var failure: DiscoveryFailure?
        var exists = false
        for (question, answer) in answers {
            switch answer {
            case .success(let response):
                exists = exists || response.exists
                asked[question] = response.addresses
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
        of name: DNSName, _ servers: [SocketAddress], asked: inout [DNSQuestion: [IPAddress]],
        early: @Sendable ([SocketAddress]) async -> Void
    ) async throws(DiscoveryFailure) -> (endpoints: [SocketAddress], exists: Bool) {
        let answer = try await self.client.follow(DNSQuestion(name: name, type: .srv), servers: servers)
        let services = answer.services.filter { !$0.target.isRoot }
        // Those with the lowest number are to be used as long as there is one (RFC 2782); weights are left to the
        // upstream's own way of choosing.
        let best = services.map(\.priority).min()
        let wanted = Array(services.filter { $0.priority == best }.prefix(Self.targetLimit))
        guard !wanted.isEmpty else { return ([], answer.exists) }

        let extra = Dictionary(
            grouping: answer.response.additional.compactMap { record -> (DNSName, IPAddress)? in
                if case .address(let address) = record.content { (record.name, address) } else { nil }
            }, by: \.0
        ).mapValues { $0.map(\.1) }
        if wanted.allSatisfy({ extra[$0.target] != nil }) { return (Self.endpoints(wanted, extra), true) }
        let targets = Array(Set(wanted.map(\.target)))
        var byTarget: [DNSName: [IPAddress]] = [:]
        var failure: DiscoveryFailure?
        for start in stride(from: 0, to: targets.count, by: Self.targetsAtOnce) {
            let batch = targets[start..<min(start + Self.targetsAtOnce, targets.count)]
            let questions = batch.flatMap { target in
                [DNSType.a, .aaaa].map { DNSQuestion(name: target, type: $0) }
            }
            let before = byTarget
            let isLast = batch.endIndex == targets.endIndex
            let answers = await self.ask(questions, servers) { answers in
                guard isLast else { return }
                var present = before
                for target in batch { present[target] = self.addresses(of: target, answers).addresses }
                let endpoints = Self.endpoints(wanted, present)
                if !endpoints.isEmpty { await early(endpoints) }
            }
            for target in batch {
                let found = self.addresses(of: target, answers)
                byTarget[target] = found.addresses
                asked.merge(found.asked) { $1 }
                failure = found.failure ?? failure
            }
        }
        let endpoints = Self.endpoints(wanted, byTarget)
        if endpoints.isEmpty, let failure { throw failure }
        return (endpoints, true)
    }

    private static func endpoints(_ services: [DNSService], _ addresses: [DNSName: [IPAddress]]) -> [SocketAddress] {
        services.flatMap { service in
            (addresses[service.target] ?? []).map { SocketAddress(ip: $0, port: service.port) }
        }
    }

    /// Of one target of several; where asking has failed, what was known.
    private func addresses(
        of target: DNSName, _ answers: Answers
    ) -> (addresses: [IPAddress], asked: [DNSQuestion: [IPAddress]], failure: DiscoveryFailure?) {
        let own = answers.filter { $0.key.name == target }
        var asked: [DNSQuestion: [IPAddress]] = [:]
        do throws(DiscoveryFailure) {
            let found = try self.merge(own, asked: &asked)
            return (found.addresses, asked, nil)
        } catch {
            return (own.keys.flatMap { self.known[$0] ?? [] }, asked, error)
        }
    }

    // MARK: asking

    private typealias Answers = [DNSQuestion: Result<DNSAnswer, DiscoveryFailure>]

    private enum Event: Sendable {
        case answer(DNSQuestion, Result<DNSAnswer, DiscoveryFailure>)
        case delayOver
        case stragglingOver
    }

    /// All at once. Once each name has addresses, `early` gets what there is after the resolution delay, and what has not
    /// come a second later counts as failed.
    private func ask(
        _ questions: [DNSQuestion], _ servers: [SocketAddress], early: (Answers) async -> Void
    ) async -> Answers {
        var answers: Answers = [:]
        for question in questions {
            answers[question] = .failure(DiscoveryFailure("\(question.name) is not answered in time", isSilence: true))
        }
        var open = Set(questions)
        var bare = Set(questions.map(\.name))
        let client = self.client
        let clock = self.clock
        await withTaskGroup(of: Event.self) { group in
            for question in questions {
                group.addTask {
                    // The answer first, then the pair: optimised by Swift 6.3.1, a pair begun before an await loses its
                    // first half.
                    let answer: Result<DNSAnswer, DiscoveryFailure>
                    do throws(DiscoveryFailure) {
                        answer = .success(try await client.follow(question, servers: servers))
                    } catch {
                        answer = .failure(error)
                    }
                    return .answer(question, answer)
                }
            }
            events: for await event in group {
                switch event {
                case .answer(let question, let answer):
                    answers[question] = answer
                    open.remove(question)
                    if open.isEmpty { break events }
                    guard case .success(let found) = answer, !found.addresses.isEmpty,
                        bare.remove(question.name) != nil, bare.isEmpty
                    else { continue }
                    group.addTask {
                        try? await clock.sleep(Self.resolutionDelay)
                        return .delayOver
                    }
                case .delayOver:
                    await early(answers)
                    group.addTask {
                        try? await clock.sleep(Self.straggling)
                        return .stragglingOver
                    }
                case .stragglingOver: break events
                }
            }
            group.cancelAll()
        }
        return answers
    }
}
