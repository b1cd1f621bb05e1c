import HTTPWire
import Reactor
import Testing
import Traffic

@testable import Proxy

/// What the data plane derives from a table.
@Suite("What is derived from a table") struct PlanDerivationTests {
    private let registry = EndpointRegistry()
    private let counters = CounterRegistry()
    private let kept = Kept()

    /// Routes live as long as their plans.
    private final class Kept {
        var plans: [TablePlan] = []
    }

    private func spec(_ change: (inout TableSpec) -> Void = { _ in }) -> TableSpec {
        var spec = TableSpec()
        for (port, name) in ["core", "gateway"].enumerated() {
            var upstream = UpstreamSpec(name: name)
            upstream.endpoints = [SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: UInt16(port + 1))]
            spec.upstreams.append(upstream)
        }
        spec.routes = [
            RouteSpec(
                name: "all",
                action: .split([SplitEntry(upstream: "gateway", weight: 1), SplitEntry(upstream: "core", weight: 0)]))
        ]
        change(&spec)
        return spec
    }

    private func plan(_ change: (inout TableSpec) -> Void = { _ in }) -> TablePlan {
        let table = RoutingTable(spec: self.spec(change), generation: 1, registry: self.registry)
        let plan = TablePlan(table, registry: self.counters, previous: nil)
        self.kept.plans.append(plan)
        return plan
    }

    private func route(_ change: (inout RouteSpec) -> Void) -> (plan: TablePlan, route: RoutePlan) {
        let plan = self.plan { change(&$0.routes[0]) }
        return (plan, plan.routes[0].object)
    }

    private static let block = [AddressBlock(base: IPAddress(v4: 0x0A00_0001), prefixLength: 128)]

    @Test("A route without policies asks nothing first, and changes and adds nothing")
    func bare() {
        let (plan, route) = self.route { _ in }
        #expect(route.policies.isEmpty && !route.asksFirst && !route.addsLines && !route.changesAnswers)
        #expect(!route.watchesAnswers && !route.copiesBodies && !route.isInPlan && route.watchedMember == -1)
        #expect(route.mirror == nil && route.tracing == nil && route.authentication == nil && route.compression == nil)
        #expect(!route.isSticky && !route.hasOverride && !route.redirects && route.respond == 0)
        #expect(!route.rewritesHostToEndpoint && route.stage.number == -1 && !route.leadsOnlyToWatched)
        #expect(plan.isPlain && plan.trustsNobody && !plan.compresses && plan.opensWebSockets && plan.tracing == nil)
    }

    @Test("Each policy is asked where it belongs: before a request goes, or when its answer comes")
    func policies() {
        func seen(_ change: (inout RouteSpec) -> Void) -> (RoutePolicies, asksFirst: Bool, changesAnswers: Bool) {
            let route = self.route(change).route
            return (route.policies, route.asksFirst, route.changesAnswers)
        }
        let limit = RateLimitSpec(name: "each", key: .all, rate: RateSpec(interval: 1_000, burst: 1))
        #expect(seen { $0.access.deny = Self.block } == (.access, true, false))
        #expect(seen { $0.access.allow = [] } == (.access, true, false))
        #expect(seen { $0.rateLimits = [limit] } == (.rateLimits, true, false))
        #expect(seen { $0.basicAuth = BasicAuthSpec(realm: "r") } == (.authentication, true, false))
        #expect(seen { $0.compression = CompressionSpec() } == (.compression, false, true))
        var told = limit
        told.telling = .always
        #expect(seen { $0.rateLimits = [limit, told] } == ([.rateLimits, .tellsLimits], true, true))
    }

    @Test("Limits by address come first, in the order of the file, and then the others")
    func limits() {
        let rate = RateSpec(interval: 1_000, burst: 1)
        let (plan, route) = self.route {
            $0.rateLimits = [
                RateLimitSpec(name: "a", key: .all, rate: rate),
                RateLimitSpec(name: "b", key: .clientAddress, rate: rate),
                RateLimitSpec(name: "c", key: .header("x"), rate: rate),
                RateLimitSpec(name: "d", key: .clientAddress, rate: rate),
            ]
        }
        withExtendedLifetime(plan) {
            #expect(route.rateLimits.map { $0.object.spec.name } == ["b", "d", "a", "c"] && route.addressLimits == 2)
        }
    }

    @Test("What a client is told by, and where it is led, is the route's")
    func choices() {
        let (plan, route) = self.route {
            $0.sticky = .header("x-user")
            $0.override = OverrideSpec(header: "x-side")
            $0.upgrade = ["websocket", "h2c"]
            $0.hostRewrite = .endpoint
            $0.responseHeaders.set = [HeaderSetting(name: "A", value: "b")]
            $0.responseHeaders.remove = ["c"]
            $0.watchedMember = 0
        }
        withExtendedLifetime(plan) {
            #expect(route.isSticky && route.stickyHeader == Array("x-user".utf8) && route.stickyCookie == nil)
            #expect(!route.stickyByAddress && route.hasOverride && route.overrideHeader == Array("x-side".utf8))
            #expect(route.upgradeTokens == [Array("websocket".utf8), Array("h2c".utf8)] && route.overrideRule != nil)
            #expect(route.rewritesHostToEndpoint && route.policy.host == nil)
            #expect(route.responseEdits.lines == Array("A: b\r\n".utf8))
            #expect(route.memberNames == [Array("gateway".utf8), Array("core".utf8)] && route.counters.count == 2)
            #expect(Set(route.counters + [route.localCounters]).count == 3)
            #expect(route.isInPlan && route.watchedMember == 0 && route.leadsOnlyToWatched)
        }
        for (key, isCookie, isAddress) in [(HashKey.cookie("id"), true, false), (.clientAddress, false, true)] {
            let (plan, route) = self.route { $0.sticky = key }
            withExtendedLifetime(plan) {
                #expect(route.isSticky && route.stickyHeader == nil && (route.stickyCookie != nil) == isCookie)
                #expect(route.stickyByAddress == isAddress)
            }
        }
    }

    @Test(
        "A route leads to its watched member alone if no other has a weight",
        arguments: [
            (0, [1, 0], true), (1, [1, 0], false), (0, [1, 1], false), (1, [0, 1], true), (0, [0, 0], true),
        ]
            as [(Int, [UInt32], Bool)])
    func watched(member: Int, weights: [UInt32], isOnly: Bool) {
        let (plan, route) = self.route {
            $0.watchedMember = member
            $0.action = .split([
                SplitEntry(upstream: "core", weight: weights[0]), SplitEntry(upstream: "gateway", weight: weights[1]),
            ])
        }
        withExtendedLifetime(plan) { #expect(route.leadsOnlyToWatched == isOnly && route.isInPlan) }
    }

    @Test("A route that answers by itself has no members")
    func own() {
        let (plan, redirect) = self.route { $0.action = .redirect(RedirectSpec()) }
        withExtendedLifetime(plan) {
            #expect(redirect.redirects && redirect.redirect != nil && redirect.memberNames.isEmpty)
            #expect(redirect.respond == 0 && redirect.counters.isEmpty)
        }
        let (other, respond) = self.route { $0.action = .respond(status: 403) }
        withExtendedLifetime(other) { #expect(respond.respond == 403 && !respond.redirects) }
    }

    @Test("What is said to upstreams about a request is what forwarding says, each by itself")
    func forwarding() {
        func policy(_ change: (inout TableSpec) -> Void) -> RequestPolicy { self.plan(change).routes[0].object.policy }
        let usual = policy { _ in }
        #expect(usual.xForwarded && !usual.forwarded && usual.requestID && !usual.forwardsCertificate)
        #expect(usual.via == Array("balancer".utf8) && usual.underscores == .drop && usual.host == nil)
        let forwarded = policy { $0.forwarding.forwarded = true }
        #expect(forwarded.forwarded && forwarded.xForwarded && forwarded.requestID)
        let silent = policy { $0.forwarding.xForwarded = false }
        #expect(!silent.xForwarded && !silent.forwarded && silent.requestID)
        let unnumbered = policy { $0.forwarding.requestID = false }
        #expect(!unnumbered.requestID && unnumbered.xForwarded)
        #expect(policy { $0.forwarding.clientCertificate = true }.forwardsCertificate)
        #expect(policy { $0.forwarding.via = "" }.via.isEmpty)
        for (spec, expected) in [
            (Underscores.drop, RequestPolicy.Underscores.drop), (.keep, .keep), (.refuse, .refuse),
        ] {
            #expect(policy { $0.forwarding.underscores = spec }.underscores == expected)
        }
        #expect(policy { $0.routes[0].hostRewrite = .literal("h:1") }.host == Array("h:1".utf8))
        #expect(
            policy { $0.routes[0].requestHeaders.set = [HeaderSetting(name: "A", value: "b")] }.edits.lines
                == Array("A: b\r\n".utf8))
        for (rewrite, prefix, replacement) in [
            (PathRewrite.strip("/a"), "/a", ""), (.replace(prefix: "/b", with: "/c"), "/b", "/c"),
        ] {
            guard case .replace(let from, let to) = policy({ $0.routes[0].pathRewrite = rewrite }).path else {
                Issue.record("\(rewrite) changes nothing")
                continue
            }
            #expect(from == Array(prefix.utf8) && to == Array(replacement.utf8))
        }
    }

    @Test("Lines are added for a user's name, a certificate or a trace, and for nothing else")
    func addedLines() {
        func adds(_ change: (inout TableSpec) -> Void) -> Bool { self.plan(change).routes[0].object.addsLines }
        #expect(!adds { $0.routes[0].basicAuth = BasicAuthSpec(realm: "r") })
        #expect(
            adds {
                $0.routes[0].basicAuth = BasicAuthSpec(realm: "r")
                $0.routes[0].basicAuth?.userHeader = "X-User"
            })
        #expect(adds { $0.forwarding.clientCertificate = true })
        #expect(adds { $0.tracing = TracingSpec(endpoint: "http://h:1") })
    }

    @Test("As many passes as forwarding says, at least one; heads of answers have twice the room of requests'")
    func bounds() {
        for (maximum, expected) in [(UInt32(0), 1), (1, 1), (8, 8)] {
            let plan = self.plan { $0.forwarding.maxPasses = maximum }
            #expect(plan.routes[0].object.maxPasses == expected)
        }
        let small = self.plan {
            $0.limits.headerBytes = 1_000
            $0.limits.requestLine = 100
            $0.limits.headerCount = 10
            $0.routes[0].limits = $0.limits
        }
        #expect(small.headLimits.bytes == 1_000 && small.headLimits.requestLine == 100 && small.headLimits.count == 10)
        let answers = small.routes[0].object.responseHeadLimits
        #expect(answers.bytes == 65_536 && answers.count == 200 && answers.requestLine == 100)
        #expect(small.headRoom == 2_000 + 65_536)
        let large = self.plan {
            $0.routes[0].limits.headerBytes = 100_000
            $0.routes[0].limits.headerCount = 300
            $0.routes[0].limits.trailerBytes = 50_000
        }
        let more = large.routes[0].object.responseHeadLimits
        #expect(more.bytes == 100_000 && more.count == 300)
        #expect(large.frameRoom == BodyFrames.room(trailerLimit: 50_000))
        #expect(small.frameRoom == BodyFrames.room(trailerLimit: 8_192))
    }

    @Test("What a table asks of every request it knows beforehand")
    func questions() {
        let trusting = self.plan { $0.forwarding.trustedProxies = Self.block }
        #expect(!trusting.isPlain && !trusting.trustsNobody)
        let tracing = self.plan { $0.tracing = TracingSpec(endpoint: "http://h:1") }
        #expect(!tracing.isPlain && tracing.trustsNobody && tracing.tracing != nil)
        #expect(tracing.routes[0].object.tracing != nil)
        #expect(self.plan { $0.routes[0].compression = CompressionSpec() }.compresses)
        #expect(!self.plan { $0.routes[0].upgrade = ["h2c"] }.opensWebSockets)
        #expect(self.plan { $0.routes[0].upgrade = ["h2c", "WebSocket"] }.opensWebSockets)
        let plan = self.plan()
        let route = plan.routes[0].object
        #expect(plan.counters == Set(route.counters + [route.localCounters, plan.unrouted]) && plan.stages.isEmpty)
    }

    @Test("A route that stays is derived anew only where forwarding or tracing change")
    func stays() {
        let first = RoutingTable(spec: self.spec(), generation: 1, registry: self.registry)
        let before = TablePlan(first, registry: self.counters, previous: nil)
        func isKept(_ change: (inout TableSpec) -> Void) -> Bool {
            let table = RoutingTable(
                spec: self.spec(change), generation: 2, registry: self.registry, previous: first)
            let plan = TablePlan(table, registry: self.counters, previous: before)
            #expect(plan.counters == before.counters)
            return plan.routes[0].object === before.routes[0].object
        }
        #expect(isKept { _ in })
        #expect(!isKept { $0.forwarding.forwarded = true })
        #expect(!isKept { $0.tracing = TracingSpec(endpoint: "http://h:1") })
        #expect(!isKept { $0.routes[0].timeouts.connect = 7 })
    }

    @Test("Upstreams speak TLS as their own table says; what stays the same is made once")
    func upstreamTLS() {
        func plan(_ name: String?, previous: TablePlan?) -> TablePlan {
            let table = RoutingTable(
                spec: self.spec { spec in
                    spec.upstreams[1].tls = UpstreamTLS()
                    spec.upstreams[1].tls?.serverName = name
                }, generation: 1, registry: self.registry)
            let plan = TablePlan(table, registry: self.counters, previous: previous)
            self.kept.plans.append(plan)
            return plan
        }
        let first = plan("one.example", previous: nil)
        #expect(first.upstreamTLS[0] == nil && first.upstreamTLS[1]?.spec.serverName == "one.example")
        #expect(plan("one.example", previous: first).upstreamTLS[1] === first.upstreamTLS[1])
        #expect(plan("two.example", previous: first).upstreamTLS[1]?.spec.serverName == "two.example")
    }

    @Test(
        "Of the requests without a word on tracing the share is chosen that the file says",
        arguments: [
            (0.0, false, false, false), (0.5, true, false, false), (1.0, true, true, true), (2, true, true, true),
        ])
    func sample(share: Double, low: Bool, middle: Bool, high: Bool) {
        var spec = TracingSpec(endpoint: "http://h:1")
        spec.sample = share
        let choice = TraceChoice(spec)
        #expect(choice.chooses(0) == low && choice.chooses(1 << 63) == middle && choice.chooses(.max) == high)
    }

    @Test("A traced request's word on its trace gives way to ours, unless the route decides about it itself")
    func tracing() {
        func route(_ change: (inout RouteSpec) -> Void) -> (TablePlan, RouteTracing?) {
            let plan = self.plan {
                $0.tracing = TracingSpec(endpoint: "http://h:1")
                change(&$0.routes[0])
            }
            return (plan, plan.routes[0].object.tracing)
        }
        let begun = ExchangeTrace(trace: TraceID(high: 1, low: 2), span: 3, parent: 0, flags: 1)
        let continued = ExchangeTrace(trace: TraceID(high: 1, low: 2), span: 3, parent: 4, flags: 1)
        #expect(!begun.isContinued && continued.isContinued)
        let (plan, usual) = route { _ in }
        #expect(usual?.writesParent == true && usual?.policy(of: begun) !== usual?.policy(of: continued))
        #expect(usual?.policy(of: begun) !== plan.routes[0].object.policy)
        for change: (inout RouteSpec) -> Void in [
            { $0.requestHeaders.remove = ["TraceParent"] },
            { $0.requestHeaders.set = [HeaderSetting(name: "traceparent", value: "x")] },
        ] {
            let (_, own) = route(change)
            #expect(own?.writesParent == false && own?.policy(of: begun) == nil)
        }
        begun.openAttempt(7, at: 9)
        #expect(begun.attempt == 7 && begun.attemptBegan == 9 && begun.attemptEnded == 0)
        let copy = begun.ofCopy
        #expect(copy.parent == 3 && copy.link == 7 && copy.flags == 1 && !copy.isContinued)
        begun.attemptEnded = 11
        begun.forgetAttempt()
        #expect(begun.attempt == 0)
        begun.openAttempt(8, at: 12)
        #expect(begun.attemptEnded == 0)
    }

    // MARK: what is counted

    @Test("A stage counts each side by itself, and how long it took")
    func stages() {
        for isNew in [true, false] {
            let record = StageRecord(epoch: 1, isSticky: false)
            for (end, microseconds) in [
                (FirstAttempt.good, UInt64(100)), (.good, nil), (.error, 100_000), (.clientError, nil),
                (.clientError, nil), (.cancelled, nil), (.cancelled, nil), (.cancelled, nil),
            ] as [(FirstAttempt, UInt64?)] {
                record.count(end, isNew: isNew, microseconds: microseconds)
            }
            var sum = StageCounts(route: "all", epoch: 1)
            record.add(to: &sum)
            record.add(to: &sum)
            let (arm, other) = isNew ? (sum.new, sum.old) : (sum.old, sum.new)
            #expect(arm.samples == 16 && arm.errors == 2 && arm.clientErrors == 4 && arm.cancelled == 6)
            #expect(other == ArmCounters())
            var durations = LatencyGrid()
            for _ in 0..<2 {
                durations.record(microseconds: 100)
                durations.record(microseconds: 100_000)
            }
            #expect((isNew ? sum.newDurations : sum.oldDurations) == durations)
            #expect((isNew ? sum.oldDurations : sum.newDurations) == LatencyGrid())
            #expect(record.admits(1, now: 1) && record.admits(1, now: 1), "a key counts only where clients stick")
        }
        let sticky = StageRecord(epoch: 1, isSticky: true)
        #expect(sticky.admits(1 << 40, now: 1_000) && !sticky.admits(1 << 40, now: 1_000))
    }

    @Test("A run of a stage settles once, however many tables it goes on in")
    func settling() {
        let registry = CounterRegistry()
        func spec(_ epoch: UInt64) -> RouteSpec {
            var spec = RouteSpec(name: "all", action: .split([]))
            var migration = MigrationTraffic(name: "move", from: 1, to: 0)
            migration.epoch = epoch
            migration.settle = 1_000
            spec.migration = migration
            return spec
        }
        let now = MonotonicClock.microseconds()
        let first = StagePlan(spec(3), registry: registry, previous: nil)
        #expect(first.number >= 0 && first.epoch == 3 && first.from == 1 && first.to == 0 && !first.isSticky)
        #expect(first.settled >= now + 1_000_000 && first.settled < now + 60_000_000)
        var before = first
        before.settled = 7
        #expect(StagePlan(spec(3), registry: registry, previous: before).settled == 7)
        let next = StagePlan(spec(4), registry: registry, previous: before)
        #expect(next.settled >= now + 1_000_000 && next.number != first.number)
        let none = StagePlan(spec(0), registry: registry, previous: before)
        #expect(none.number == -1 && none.settled == .max)
        var sticky = spec(3)
        sticky.sticky = .clientAddress
        #expect(StagePlan(sticky, registry: registry, previous: nil).isSticky)
    }

    @Test(
        "A route's answers are counted by the first digit of their status",
        arguments: [(101, 1), (200, 2), (299, 2), (308, 3), (404, 4), (499, 4), (500, 5), (599, 5), (0, 0), (600, 0)])
    func classes(status: UInt16, place: Int) {
        let metrics = RouteMetrics()
        metrics.record(status: status, microseconds: 10)
        let row = metrics.snapshot(route: "r", upstream: "u")
        #expect(row.statusClasses == (0..<6).map { $0 == place ? 1 : 0 } && row.route == "r" && row.upstream == "u")
        #expect(row.latency.count == 1 && row.cancelled == 0 && row.grpc.isEmpty)
    }

    @Test("gRPC's statuses have each their place, and those that it does not define one together")
    func grpcClasses() {
        for (status, place) in [(Int8(0), 0), (16, 16), (17, 17), (-1, 17), (100, 17)] {
            let metrics = RouteMetrics()
            metrics.record(grpc: status)
            #expect(Array(metrics.snapshot(route: "", upstream: "").grpc) == (0..<18).map { $0 == place ? 1 : 0 })
        }
    }

    @Test("A listener's plan says who must speak first, and of what")
    func listeners() {
        let address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 80)
        var spec = ListenerSpec(name: "public", address: address)
        let (proxy, other) = (IPAddress(v4: 0x0A00_0001), IPAddress(v4: 0x0A00_0002))
        let plain = ListenerPlan(plain: spec)
        #expect(!plain.isTLS && !plain.isClosed && plain.access == nil && plain.strictTransport.isEmpty)
        #expect(!plain.needsHandshake(with: proxy) && plain.server(ofWorker: 0) == nil && plain.name == "public")
        #expect(ListenerPlan(closing: spec).isClosed)
        spec.proxyProtocol = ProxyProtocolSpec(from: Self.block)
        let behind = ListenerPlan(plain: spec)
        #expect(behind.awaitsProxyHeader(from: proxy) && behind.needsHandshake(with: proxy))
        #expect(!behind.awaitsProxyHeader(from: other) && !behind.needsHandshake(with: other))
        #expect(behind.proxyVersions == [.one, .two])
        for (version, expected) in [(UInt8(1), ProxyHeader.Versions.one), (2, .two)] {
            spec.proxyProtocol?.versions = [version]
            #expect(ListenerPlan(plain: spec).proxyVersions == expected)
        }
        spec.proxyProtocol = nil
        spec.http2 = true
        #expect(ListenerPlan(plain: spec).needsHandshake(with: other))
        #expect(!ListenerPlan(plain: spec).awaitsProxyHeader(from: proxy))
        spec.access.deny = Self.block
        let access = ListenerPlan(plain: spec).access
        #expect(access?.verdict(on: proxy).isAllowed == false && access?.verdict(on: other).isAllowed == true)
    }
}
