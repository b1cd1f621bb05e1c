import Synchronization
import Testing

@testable import Traffic

/// Words that operators read, and the last value on each side of a bound.
@Suite("Words and edges") struct WordsAndEdgesTests {
    @Test("Why an endpoint is out, in words")
    func reasons() {
        #expect(EjectionReason.consecutiveFailures(5).words == "5 requests in a row failed")
        #expect(EjectionReason.failureRate(failures: 3, requests: 7).words == "3 of 7 requests failed")
        #expect(EjectionReason.failedTrial.words == "its trial request failed")
        #expect(EjectionReason.malformed(pages: 4).words == "all answers were malformed, on 4 different pages")
        let reason = EjectionReason.failedTrial
        #expect(EjectionState.none.words(now: 1).isEmpty)
        for (until, now, seconds) in [(2_001, 1_000, 2), (2_000, 1_000, 1), (1_001, 1_000, 1), (1_000, 2_000, 0)]
            as [(UInt64, UInt64, Int)]
        {
            #expect(
                EjectionState.until(until, reason: reason, count: 2).words(now: now)
                    == "its trial request failed; ejection 2, a trial request comes in \(seconds) s")
        }
        #expect(
            EjectionState.trialDue(reason: reason, count: 3).words(now: 1)
                == "its trial request failed; ejection 3, the next request is its trial")
        #expect(
            EjectionState.trialRunning(reason: reason, count: 4).words(now: 1)
                == "its trial request failed; ejection 4, its trial request is under way")
    }

    @Test("What every cause of a probe's failure is called")
    func probes() {
        let words: [(ProbeCause, String)] = [
            (.ok, "the probe passed"), (.refused, "the connection was refused"),
            (.connectTimeout, "connecting timed out"), (.unreachable, "the address was unreachable"),
            (.reset, "the connection was reset"), (.handshake, "no session of TLS came of it"),
            (.certificate, "its certificate is not believed, or not its own"),
            (.responseTimeout, "no answer came in time"), (.status, "the answer's status was 418"),
            (.body, "the answer's body was not the expected one"),
            (.notServing, "its gRPC health service did not say SERVING"), (.malformed, "the answer was not HTTP"),
        ]
        for (cause, text) in words {
            #expect(ProbeResult(at: 1, wallClock: 2, cause: cause, status: 418, microseconds: 3).words == text)
        }
        // Of several causes the last one counts, while passing ones say nothing of why it is down.
        var machine = ProbeMachine(ProbeSpec())
        for cause in [ProbeCause.refused, .reset, .ok] {
            _ = machine.record(ProbeResult(at: 1, wallClock: 1, cause: cause, status: 0, microseconds: 1))
        }
        #expect(machine.explanation == "the connection was reset; 1 more passing probe would bring it back")
    }

    @Test("An endpoint's state in words: what is mightier comes first, each with its own since")
    func explanations() {
        let upstream = Tables.one(endpoints: 2) {
            $0.health = ProbeSpec()
            $0.passive.baseEjection = 5_000
            $0.passive.maxEjection = 5_000
        }
        let endpoint = upstream.endpoints[0]
        func say(_ now: UInt64, slowStart: UInt32 = 0) -> EndpointExplanation {
            endpoint.explain(now: now, slowStart: slowStart)
        }
        func words(_ availability: String, _ reason: String, _ since: UInt64) -> EndpointExplanation {
            EndpointExplanation(availability: availability, reason: reason, since: since)
        }
        endpoint.setOperational(.joining, now: 10)
        #expect(say(11) == words("starting", "newly found, it takes nothing until a probe has passed", 10))
        endpoint.setOperational(.unknown, now: 20)
        #expect(say(21) == words("starting", "no probe has answered yet", 20))
        endpoint.setOperational(.down, now: 30)
        #expect(say(31) == words("down", "its probes fail", 30))
        endpoint.setOperational(.up, now: 1_000)
        #expect(say(1_250, slowStart: 1_000) == words("starting", "slow start, at 25 % of its share", 1_000))
        #expect(say(2_000, slowStart: 1_000) == words("up", "", 1_000))
        #expect(upstream.eject(0, now: 3_000))
        #expect(
            say(3_500)
                == words("ejected", "5 requests in a row failed; ejection 1, a trial request comes in 5 s", 3_000))
        #expect(
            say(8_000)
                == words("ejected", "5 requests in a row failed; ejection 1, the next request is its trial", 3_000))
        #expect(
            say(7_999)
                == words("ejected", "5 requests in a row failed; ejection 1, a trial request comes in 1 s", 3_000))
        endpoint.setAdministrative(.drain, now: 9_000)
        #expect(say(9_001) == words("draining", "an operator drains it: nothing new, what runs finishes", 9_000))
        endpoint.setAdministrative(.maintenance, now: 9_500)
        #expect(say(9_501) == words("maintenance", "an operator took it out; it is not probed", 9_500))
        endpoint.setRefused(true)
        #expect(
            say(9_502)
                == words("refused", "it is a listener of this balancer itself: each request would come back", 1_000))
    }

    @Test("Which answers count against an endpoint, at each bound")
    func outcomes() {
        let rows: [(UInt16, Outcome)] = [
            (100, .success), (200, .success), (399, .success), (400, .clientFault), (428, .clientFault),
            (429, .overload), (430, .clientFault), (499, .clientFault), (500, .success), (501, .success),
            (502, .failure), (503, .overload), (504, .failure), (505, .success), (599, .success),
        ]
        for (status, outcome) in rows { #expect(Outcome(status: status) == outcome, "\(status)") }
    }

    @Test("A client's address may have a port of one to five digits")
    func ports() throws {
        let trusted = AddressSet([try #require(AddressBlock(parsing: "10.0.0.1"))])
        for (element, isTaken) in [
            ("203.0.113.7:8", true), ("203.0.113.7:12345", true), ("[2001:db8::7]:12345", true),
            ("203.0.113.7:123456", false), ("[2001:db8::7]:123456", false), ("203.0.113.7:", false),
            ("[2001:db8::7]:", false), ("203.0.113.7:1/", false), ("203.0.113.7:1:", false),
        ] {
            var identity = ClientIdentity(peer: try #require(IPAddress(parsing: "10.0.0.1")), trusted: trusted)
            _ = identity.offer(Array(element.utf8).span, trusted: trusted)
            #expect(("\(identity.address)" != "10.0.0.1") == isTaken, "\(element)")
        }
    }

    @Test("A limit counts a block of addresses as one client, and both halves of IPv6 tell them apart")
    func limits() throws {
        func limit(_ change: (inout RateLimitSpec) -> Void = { _ in }) -> RateLimit {
            var route = RouteSpec(name: "r", action: .respond(status: 404))
            var spec = RateLimitSpec(name: "a", key: .clientAddress, rate: RateSpec(interval: 1, burst: 1))
            change(&spec)
            route.rateLimits = [spec]
            return Tables.table([], routes: [route]).routes[0].rateLimits[0]
        }
        func same(_ limit: RateLimit, _ first: String, _ second: String) throws -> Bool {
            limit.hash(try #require(IPAddress(parsing: first))) == limit.hash(try #require(IPAddress(parsing: second)))
        }
        let plain = limit()
        #expect(try !same(plain, "192.0.2.1", "192.0.2.2"))
        #expect(try same(plain, "2001:db8:1:2::1", "2001:db8:1:2:ffff::2"))
        #expect(try !same(plain, "2001:db8:1:2::1", "2001:db8:1:3::1"))
        #expect(try !same(plain, "::1", "2001:db8::1"))
        let wide = limit {
            $0.ipv4Prefix = 24
            $0.ipv6Prefix = 128
        }
        #expect(try same(wide, "192.0.2.1", "192.0.2.255") && !same(wide, "192.0.2.1", "192.0.3.1"))
        #expect(try !same(wide, "2001:db8:1:2::1", "2001:db8:1:2::2"))
        let except = limit { $0.except = ["192.0.2.0/24"].compactMap { AddressBlock(parsing: $0) } }
        #expect(!except.holds(for: try #require(IPAddress(parsing: "192.0.2.9"))))
        #expect(except.holds(for: try #require(IPAddress(parsing: "192.0.3.9"))))
        #expect(plain.holds(for: try #require(IPAddress(parsing: "192.0.2.9"))))
        // A value and an address never meet, and a limit on all has one key.
        let value = plain.hash(Array("192.0.2.1".utf8).span)
        #expect(value != plain.hash(try #require(IPAddress(parsing: "192.0.2.1"))) && value != plain.hashOfAll)
    }

    @Test("Kinds of limits, and where their key is")
    func limitKinds() {
        let rows: [(RateKey, RateLimit.Kind, String)] = [
            (.clientAddress, .address, ""), (.all, .all, ""), (.user, .user, ""), (.header("x-a"), .header, "x-a"),
            (.cookie("b"), .cookie, "b"),
        ]
        for (key, kind, name) in rows {
            var route = RouteSpec(name: "r", action: .respond(status: 404))
            var spec = RateLimitSpec(name: "a", key: key, rate: RateSpec(interval: 2, burst: 3))
            spec.dryRun = kind == .all
            route.rateLimits = [spec]
            let limit = Tables.table([], routes: [route]).routes[0].rateLimits[0]
            #expect(limit.kind == kind && limit.keyName == Array(name.utf8) && limit.isOnTrial == (kind == .all))
            #expect(limit.rate == spec.rate)
        }
    }

    @Test("A token is given back up to the moment, and no further")
    func givenBack() {
        let table = RateTable(entries: 8, key: (0, 0))
        let rate = RateSpec(interval: 1_000, burst: 2)
        func left(_ now: UInt64) -> UInt64? {
            if case .allowed(_, let left) = table.preview(5, rate, now: now).outcome { left } else { nil }
        }
        _ = table.take(5, rate, now: 10_000)
        #expect(left(10_000) == 0)
        // All are back by then: there is nothing to give.
        table.giveBack(5, rate, now: 11_000)
        #expect(left(10_000) == 0)
        table.giveBack(5, rate, now: 10_999)
        #expect(left(10_000) == 1)
        table.giveBack(6, rate, now: 10_000)
        #expect(left(10_000) == 1)
    }

    @Test("What limits have given out is handed on up to a number of keys, of all tables together")
    func debts() {
        var route = RouteSpec(name: "r", action: .respond(status: 404))
        route.rateLimits = ["a", "b"].map {
            RateLimitSpec(name: $0, key: .header("x"), rate: RateSpec(interval: 1_000_000_000, burst: 5))
        }
        let registry = EndpointRegistry(secret: (5, 6))
        let limits = Tables.table([], routes: [route], registry: registry).routes[0].rateLimits
        for limit in limits {
            for key in 1...6 as ClosedRange<UInt64> { _ = limit.table.take(key << 8, limit.rate, now: 1) }
        }
        let record = registry.routeRecord("r")
        func counts(_ limit: Int) -> [Int] { record.debts(now: 1, atMost: limit).map { $0.cells.count / 2 }.sorted() }
        #expect(counts(100) == [6, 6] && counts(12) == [6, 6])
        #expect(counts(11) == [5, 6] && counts(6) == [6] && counts(1) == [1] && counts(0) == [])
    }

    @Test("Of two users of one name the first counts")
    func users() {
        let table = UserTable(
            [UserSpec(name: "ann", hash: "1"), UserSpec(name: "bob", hash: "2"), UserSpec(name: "ann", hash: "3")],
            key: (1, 2))
        #expect(table.users.map(\.hash) == [Array("1".utf8), Array("2".utf8)])
        let ann = table.find(Array("ann".utf8).span)
        #expect(ann.index == 0 && ann.isKnown)
    }

    @Test("Patterns of types may have 127 bytes")
    func types() {
        #expect(MediaTypes.isPattern("text/" + String(repeating: "a", count: 122)))
        #expect(!MediaTypes.isPattern("text/" + String(repeating: "a", count: 123)))
    }

    @Test("Of a very long path the beginning is kept, letter by letter")
    func longPaths() {
        // No two neighbours are alike, so that nothing that slips is hidden.
        let names = (0..<4_000).map { String($0, radix: 36) }
        let path = "//" + names.joined(separator: "/")
        let bytes = Array(path.utf8)
        #expect(bytes.count > 12_000)
        let normal = NormalPath(bytes.span)
        let kept = normal.range.map { normal.buffer[$0] }
        #expect(normal.count == bytes.count - 1 && kept.count >= NormalPath.kept)
        #expect(kept == Array(bytes[1...].prefix(kept.count)))
    }

    @Test("Suffixes of several lengths, the longest declared first or last; a label must stand before the dot")
    func suffixes() {
        let specs = [
            MatchTests.spec("long", hosts: [.suffix(".a.b.example.org")], paths: [.prefix("/")]),
            MatchTests.spec("short", hosts: [.suffix(".org")], paths: [.prefix("/")]),
        ]
        for routes in [specs, specs.reversed()] {
            let table = Tables.table([], routes: routes)
            for (host, name) in [
                ("x.a.b.example.org", "long"), ("x.A.b.Example.org", "long"), ("a.b.example.org", "short"),
                (".a.b.example.org", "short"), (".org", nil), ("org", nil), ("x.org.", "short"),
                ("x.a.b.example.org:80", "long"),
            ] as [(String, String?)] {
                let found = Probe(host: host, path: "/").match(table).map { table.routes[$0].name }
                #expect(found == name, "\(host)")
            }
        }
    }

    @Test("An endpoint where this process listens is refused, whenever it comes and whenever that is known")
    func own() {
        let registry = EndpointRegistry()
        let early = registry.endpoint(upstream: "u", address: Tables.address(1), probed: false)
        let other = registry.endpoint(upstream: "u", address: Tables.address(3), probed: false)
        let own = OwnAddresses(listeners: [Tables.address(1), Tables.address(2)], interfaces: [])
        registry.refuse(own)
        let late = registry.endpoint(upstream: "u", address: Tables.address(2), probed: true)
        #expect(early.isRefused && late.isRefused && !other.isRefused)
        registry.refuse(OwnAddresses(listeners: [Tables.address(3)], interfaces: []))
        #expect(!early.isRefused && !late.isRefused && other.isRefused)
    }

    @Test("An endpoint that is no longer probed is up where nobody had a verdict, and else what it was")
    func unprobed() {
        let registry = EndpointRegistry()
        let states: [(Operational, Operational)] = [(.unknown, .up), (.up, .up), (.down, .down)]
        for (place, (state, expected)) in states.enumerated() {
            let address = Tables.address(place)
            let endpoint = registry.endpoint(upstream: "u", address: address, probed: true)
            endpoint.setOperational(state, now: 1)
            #expect(registry.endpoint(upstream: "u", address: address, probed: false) === endpoint)
            #expect(endpoint.operational == expected)
        }
    }
}
