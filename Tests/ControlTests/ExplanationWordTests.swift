import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

@testable import Control
@testable import Reactor

/// Every sentence of `explain`, for routes with policies, redirects, reserves and certificates.
@Suite("The sentences of explain") struct ExplanationWordTests {
    private let registry = EndpointRegistry()

    private func table(_ change: (inout RouteSpec, inout TableSpec) -> Void = { _, _ in }) -> RoutingTable {
        var spec = Sample.table()
        for index in spec.upstreams.indices { spec.upstreams[index].health = nil }
        var route = spec.routes[0]
        change(&route, &spec)
        spec.routes[0] = route
        return RoutingTable(spec: spec, generation: 7, registry: self.registry)
    }

    private func ask(
        _ table: RoutingTable, _ headers: [String] = [], path: String = "/candidates", client: String? = nil,
        listener: String? = nil
    ) throws -> Explanation {
        try RouteQuestion(
            host: "example.org", path: path, method: "GET", headers: headers, client: client, listener: listener
        ).answer(table, now: 1_000)
    }

    /// All but the first sentence, which names the route.
    private func reasons(
        _ table: RoutingTable, _ headers: [String] = [], path: String = "/candidates", client: String? = nil
    ) throws -> [String] { Array(try self.ask(table, headers, path: path, client: client).reasons.dropFirst()) }

    @Test("Without a split: what the balancer answers itself; without a route: 404")
    func own() throws {
        let table = self.table { _, spec in
            spec.routes[0].match.paths = [.prefix("/api")]
            var gone = RouteSpec(name: "gone", action: .respond(status: 410))
            gone.match.paths = [.exact("/gone")]
            spec.routes.append(gone)
        }
        #expect(try self.reasons(table, path: "/gone") == ["the balancer answers 410 itself"])
        #expect(try self.reasons(table, path: "/old") == ["it redirects"])
        let redirected = try self.ask(table, path: "/old?a=b")
        #expect(redirected.generation == 7 && redirected.route == "old" && redirected.shares.isEmpty)
        let narrow = self.table { route, _ in route.match.paths = [.prefix("/api")] }
        #expect(
            try self.ask(narrow, path: "/none")
                == Explanation(
                    generation: 7, route: nil, reasons: ["none of the 2 routes matches: the answer is 404"], shares: [],
                    upstream: nil))
    }

    @Test("Sides that cannot serve: who takes their share, by fail-over, in reserve, or nobody")
    func sides() throws {
        let both = self.table()
        both.upstreams[0].endpoints[0].setOperational(.down, now: 1)
        #expect(try self.reasons(both) == ["core has no available endpoint: its share goes to the others"])
        #expect(try self.ask(both).shares.map(\.effectiveShare) == [0, 1])
        #expect(try self.ask(both).shares.map(\.share) == [0.9, 0.1])
        let strict = self.table { route, _ in route.failover = false }
        #expect(
            try self.reasons(strict)
                == ["core has no available endpoint, and failover is off: its share is answered 503"])
        let spare = self.table { route, _ in
            route.action = .split([
                SplitEntry(upstream: "core", weight: 1), SplitEntry(upstream: "gateway", weight: 0),
            ])
            route.reserve = ["gateway"]
        }
        #expect(
            try self.reasons(spare) == [
                "core has no available endpoint: its share goes to the others",
                "no side with a weight can serve: gateway does, in reserve",
            ])
        for endpoint in both.upstreams[1].endpoints { endpoint.setOperational(.down, now: 1) }
        #expect(
            try self.reasons(both) == [
                "core has no available endpoint: its share goes to the others",
                "gateway has no available endpoint: its share goes to the others",
                "no side can serve: the answer is 503",
            ])
    }

    @Test("Who may come: by address, by password")
    func access() throws {
        let table = self.table { route, _ in
            route.access.deny = ["10.0.0.0/8"].compactMap { AddressBlock(parsing: $0) }
            route.access.allow = ["192.0.2.0/24"].compactMap { AddressBlock(parsing: $0) }
            route.basicAuth = BasicAuthSpec(realm: "ops")
        }
        let password = "a user and password are asked for (realm \"ops\"): without, the answer is 401 unauthorized"
        for (client, text) in [
            (nil, "not every client may come: ask with ?client= to see whether one may"),
            ("10.1.2.3", "the client is denied by 10.0.0.0/8: the answer is 403 address-denied"),
            ("192.0.2.1", "the client is allowed by 192.0.2.0/24"),
            ("198.51.100.1", "the client is in no block of allow: the answer is 403 address-denied"),
        ] as [(String?, String)] { #expect(try self.reasons(table, client: client) == [text, password]) }
        let denying = self.table { route, _ in
            route.access.deny = ["10.0.0.0/8"].compactMap { AddressBlock(parsing: $0) }
        }
        #expect(try self.reasons(denying, client: "192.0.2.1") == ["no block denies the client"])
    }

    @Test("Limits: what is left by which key, on trial or not")
    func limits() throws {
        func limited(_ key: RateKey, _ change: (inout RateLimitSpec) -> Void = { _ in }) -> RoutingTable {
            self.table { route, _ in
                var limit = RateLimitSpec(name: "each", key: key, rate: RateSpec(interval: 1_500_000, burst: 2))
                change(&limit)
                route.rateLimits = [limit]
            }
        }
        let all = limited(.all)
        #expect(try self.reasons(all) == ["limit \"each\": 2 of 2 requests may come at once"])
        let limit = try #require(all.routes[0].rateLimits.first)
        for _ in 0..<2 { _ = limit.table.take(limit.hashOfAll, limit.rate, now: 1_000_000_000) }
        #expect(
            try self.reasons(all)
                == ["limit \"each\": used up, the next request may come in 2 ms, the answer is 429 rate-limited"])
        let trial = limited(.all) { $0.dryRun = true }
        #expect(
            try self.reasons(trial) == ["limit \"each\", on trial: used up, the next request may come in 2 ms"])
        let address = limited(.clientAddress) {
            $0.except = ["10.0.0.0/8"].compactMap { AddressBlock(parsing: $0) }
        }
        #expect(
            try self.reasons(address)
                == ["limit \"each\" counts by the client's address: ask with ?client= to see what is left"])
        #expect(try self.reasons(address, client: "10.0.0.1") == ["limit \"each\" does not hold for the client"])
        #expect(
            try self.reasons(address, client: "192.0.2.1") == ["limit \"each\": 2 of 2 requests may come at once"])
        #expect(try self.reasons(limited(.user)) == ["limit \"each\" counts by the user"])
        for (key, field) in [(RateKey.header("x-key"), "X-Key: a"), (.cookie("key"), "Cookie: key=a")] {
            let keyed = limited(key)
            let limit = try #require(keyed.routes[0].rateLimits.first)
            _ = limit.table.take(limit.hash(Array("a".utf8).span), limit.rate, now: 1_000_000_000)
            #expect(try self.reasons(keyed, [field]) == ["limit \"each\": 1 of 2 requests may come at once"])
            #expect(
                try self.reasons(keyed, client: "192.0.2.1") == ["limit \"each\": 2 of 2 requests may come at once"])
            #expect(
                try self.reasons(keyed)
                    == ["limit \"each\" counts by the client's address: ask with ?client= to see what is left"])
        }
    }

    @Test("Compression: in which form the answer goes, and why it may not")
    func compression() throws {
        let table = self.table { route, _ in
            var spec = CompressionSpec()
            spec.algorithms = [.brotli, .gzip]
            spec.types = ["text/*", "application/json"]
            spec.minimum = 100
            spec.credentials = false
            route.compression = spec
        }
        let none = "the answer goes as it comes: the client takes none of br, gzip"
        let credentials = "the answer goes as it comes: the request has credentials"
        func form(_ coding: String) -> String {
            "the answer goes as \(coding) if it is one of text/*, application/json, has 100 bytes or more, and nothing "
                + "about it forbids that"
        }
        for (fields, text) in [
            ([], none), (["Accept-Encoding: gzip"], form("gzip")), (["Accept-Encoding: gzip, br"], form("br")),
            (["Accept-Encoding: gzip", "Accept-Encoding: br;q=0.5"], form("gzip")),
            (["Accept-Encoding: zstd"], none), (["Accept-Encoding: gzip;q=0"], none),
            (["Accept-Encoding: gzip", "Cookie: a=b"], credentials),
            (["Accept-Encoding: gzip", "Authorization: Basic eA=="], credentials),
        ] as [([String], String)] { #expect(try self.reasons(table, fields) == [text], "\(fields)") }
    }

    @Test("Clients that stick: by what, and where their key lands")
    func sticky() throws {
        for (key, field, text) in [
            (HashKey.clientAddress, nil, "clients stick by address: ask with ?client= to see the side"),
            (
                .header("x-user"), "X-User: 7",
                "clients stick by field x-user, and a request without it goes by the weights: ask with ?header= to see the "
                    + "side"
            ),
            (
                .cookie("s"), "Cookie: s=7",
                "clients stick by cookie s, and a request without it goes by the weights: ask with ?header=Cookie:… to see "
                    + "the side"
            ),
        ] as [(HashKey, String?, String)] {
            let table = self.table { route, _ in
                route.sticky = key
                route.action = .split([
                    SplitEntry(upstream: "core", weight: 0), SplitEntry(upstream: "gateway", weight: 1),
                ])
            }
            let without = try self.ask(table)
            #expect(without.reasons.dropFirst() == [text] && without.upstream == nil)
            let found = try self.ask(table, field.map { [$0] } ?? [], client: "192.0.2.1")
            #expect(found.reasons.dropFirst() == ["this client's key lands on gateway, on every replica"])
            #expect(found.upstream == "gateway")
        }
    }

    @Test("Listeners that routes ask for, and questions that leave them open")
    func listeners() throws {
        let table = self.table { route, _ in route.match.listeners = ["public"] }
        #expect(
            try self.ask(table).reasons.first
                == "some routes ask for the listener and match nothing here: ask with ?listener= to see them")
        #expect(
            try self.ask(table, listener: "other").reasons
                == [
                    "no route asks for the listener \"other\"", "none of the 2 routes matches: the answer is 404",
                ])
        #expect(
            try self.ask(table, listener: "public").reasons
                == ["route \"api\" is the most specific one that matches: path prefix /, listener public"])
        #expect(try self.ask(self.table(), listener: "other").reasons.count == 1)
    }

    @Test("What is wrong with a question, all of it at once")
    func questions() throws {
        do {
            _ = try RouteQuestion(
                host: "", path: "x", method: "GET", headers: ["none", ": b", "a:"], client: "nobody")
            Issue.record("taken")
        } catch {
            #expect(
                error
                    == .invalid([
                        ControlProblem(path: "?header", message: "expected Name: value, found \"none\""),
                        ControlProblem(path: "?header", message: "expected Name: value, found \": b\""),
                        ControlProblem(path: "?client", message: "\"nobody\" is not an IP address"),
                        ControlProblem(path: "?path", message: "must begin with /"),
                    ]))
        }
        _ = try RouteQuestion(host: "", path: "*", method: "OPTIONS", headers: [], client: nil)
    }

    // MARK: certificates

    private static func listener(_ name: String, _ change: (inout ListenerTLS) -> Void = { _ in }) -> ListenerSpec {
        var listener = ListenerSpec(name: name, address: Sample.address(8443))
        var tls = ListenerTLS(certificates: [
            .init(chain: NamedFile(path: "a.pem"), key: NamedFile(path: "a.key")),
            .init(chain: NamedFile(path: "b.pem"), key: NamedFile(path: "b.key")),
        ])
        change(&tls)
        listener.tls = tls
        return listener
    }

    private static func record(_ file: String, key: String? = nil, _ names: [String]) throws -> CertificateRecord {
        let made = try TestCertificates()
        let pair = try made.make("words", names: ["x.example"])
        var configuration = Sample.configuration()
        configuration.listeners[0].tls = ListenerTLS(certificates: [
            .init(chain: NamedFile(path: pair.certificate), key: NamedFile(path: pair.key))
        ])
        var record = try #require(NamedFiles.read(configuration, now: 0).certificates.first)
        record.certificate = file + ".pem"
        record.key = (key ?? file) + ".key"
        record.facts.names = names
        return record
    }

    @Test("Which certificate a name is shown, and whether its request goes on")
    func certificates() throws {
        let records = [
            try Self.record("a", ["a.example", "*.wild.example"]),
            try Self.record("b", ["b.example", "x.wild.example"]),
            try Self.record("b", key: "other", ["other.example"]),
        ]
        func ask(
            _ name: String, host: String = "", listener: String? = nil, _ listeners: [ListenerSpec]
        ) -> [String] {
            CertificateQuestion(serverName: name, host: host, listener: listener).answer(listeners, records)
        }
        let plain = ListenerSpec(name: "plain", address: Sample.address(8080))
        let public1 = Self.listener("public")
        let first = "public shows a.pem (a.example, *.wild.example)"
        let second = "public shows b.pem (b.example, x.wild.example)"
        #expect(ask("a.example", [plain]) == ["no listener speaks TLS"])
        #expect(ask("a.example", listener: "plain", [plain, public1]) == ["the listener \"plain\" does not speak TLS"])
        #expect(
            ask("a.example", [public1, Self.listener("more")])
                == ["several listeners speak TLS: ask with ?listener= to see the certificate"])
        #expect(ask("a.example", listener: "public", [plain, Self.listener("more"), public1]) == [first])
        #expect(ask("A.Example", [plain, public1]) == [first])
        #expect(ask("y.wild.example", [public1]) == [first])
        #expect(ask("x.wild.example", [public1]) == [second])
        #expect(
            ask("other.example", [public1]) == [
                first + ", the first one, for no certificate has the name \"other.example\""
            ])
        #expect(ask(".wild.example", [public1]).first?.contains("the first one") == true)
        #expect(ask("", [public1]) == [first + ", the first one, for no certificate has the name \"\""])
        let refusing = Self.listener("public") { $0.unknownName = .refused }
        #expect(
            ask("C.example", [refusing])
                == ["no certificate has the name \"c.example\": the handshake is refused (unrecognized_name)"])
        #expect(ask("", [refusing]).first?.contains("the first one") == true)
        #expect(ask("b.example", [refusing]) == [second])
    }

    @Test("Hosts that the certificate does not name, and clients that show one of their own")
    func hosts() throws {
        let records = [try Self.record("a", ["a.example", "*.wild.example"])]
        let strict = Self.listener("public") { $0.isHostStrict = true }
        func ask(_ host: String, _ listener: ListenerSpec) -> [String] {
            Array(
                CertificateQuestion(serverName: "a.example", host: host, listener: nil).answer([listener], records)
                    .dropFirst())
        }
        #expect(ask("a.example", strict).isEmpty)
        #expect(ask("A.example:8443", strict).isEmpty)
        #expect(ask("y.wild.example", strict).isEmpty)
        #expect(
            ask("b.example:8443", strict)
                == ["it does not name b.example, and strictHost is on: the answer is 421 misdirected"])
        #expect(ask("z.y.wild.example", strict).count == 1)
        #expect(ask("b.example", Self.listener("public")).isEmpty)
        for (required, text) in [(true, "demanded"), (false, "asked for")] {
            let listener = Self.listener("public") {
                $0.clientCertificates = .init(authorities: NamedFile(path: "ca.pem"), isRequired: required)
            }
            #expect(ask("", listener) == ["a client certificate is \(text)"])
        }
    }
}
