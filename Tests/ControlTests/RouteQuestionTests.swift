import Synchronization
import Testing
import Traffic

@testable import Control

@Suite("Where would this request go")
struct RouteQuestionTests {
    private let registry = EndpointRegistry()

    /// core and gateway, 90 to 10, changed by `change`.
    private func table(_ change: (inout RouteSpec, inout TableSpec) -> Void) -> RoutingTable {
        var spec = Sample.table()
        for index in spec.upstreams.indices { spec.upstreams[index].health = nil }
        var route = spec.routes[0]
        change(&route, &spec)
        spec.routes[0] = route
        return RoutingTable(spec: spec, generation: 1, registry: self.registry)
    }

    private func ask(_ table: RoutingTable, _ headers: [String], client: String? = nil) throws -> Explanation {
        try RouteQuestion(host: "example.org", path: "/candidates", method: "GET", headers: headers, client: client)
            .answer(table, now: 1_000)
    }

    @Test("An override that may be used decides, whatever the weights")
    func override() throws {
        let table = self.table { route, _ in
            route.override = OverrideSpec(header: "x-side")
            route.action = .split([
                SplitEntry(upstream: "core", weight: 1), SplitEntry(upstream: "gateway", weight: 0),
            ])
        }
        let found = try self.ask(table, ["X-Side: gateway "])
        #expect(found.upstream == "gateway")
        #expect(found.reasons.contains("field x-side names gateway: the weights do not count"))
        let other = try self.ask(table, ["X-Side: elsewhere"])
        #expect(other.upstream == nil)
        #expect(other.reasons.last == "field x-side names no upstream of the split: the weights decide")
        #expect(try self.ask(table, []).upstream == nil)
        for endpoint in table.upstreams[1].endpoints { endpoint.setAdministrative(.drain, now: 1) }
        let out = try self.ask(table, ["x-side:gateway"])
        #expect(out.upstream == "gateway")
        #expect(out.reasons.last == "gateway has no available endpoint: the answer is 503")
    }

    @Test("The route's conditions are told as they are written")
    func conditions() throws {
        let table = self.table { route, _ in
            route.match.hosts = [.exact("example.org"), .suffix(".example.net")]
            route.match.paths = [.exact("/candidates"), .prefix("/api")]
            route.match.methods = ["GET", "HEAD"]
            route.match.headers = [HeaderMatch(name: "x-a", value: nil), HeaderMatch(name: "x-b", value: "c")]
        }
        #expect(
            try self.ask(table, ["X-A: 1", "X-B: c"]).reasons.first
                == "route \"api\" is the most specific one that matches: host example.org or *.example.net, "
                + "path prefix /api or exactly /candidates, method GET or HEAD, field x-a is present, field x-b is \"c\""
        )
        let all = self.table { route, _ in route.match = MatchSpec() }
        #expect(
            try self.ask(all, []).reasons.first
                == "route \"api\" is the most specific one that matches: it matches everything")
    }

    @Test(
        "Only who may override does",
        arguments: [
            (true, [], "10.0.0.1", true), (true, [], "192.0.2.1", false),
            (false, ["192.0.2.0/24"], "192.0.2.1", true), (false, ["192.0.2.0/24"], "10.0.0.1", false),
        ] as [(Bool, [String], String, Bool)])
    func mayOverride(trustedOnly: Bool, from: [String], client: String, expected: Bool) throws {
        let table = self.table { route, spec in
            var override = OverrideSpec(header: "x-side")
            override.trustedOnly = trustedOnly
            override.trusted = from.compactMap { AddressBlock(parsing: $0) }
            route.override = override
            spec.forwarding.trustedProxies = ["10.0.0.0/8"].compactMap { AddressBlock(parsing: $0) }
        }
        let found = try self.ask(table, ["X-Side: gateway"], client: client)
        #expect((found.upstream == "gateway") == expected)
        let unknown = try self.ask(table, ["X-Side: gateway"])
        #expect(unknown.upstream == nil)
        #expect(unknown.reasons.last?.contains("?client=") == true)
    }

    @Test("A sticky cookie's side is that of the workers' own hash", arguments: 0..<40)
    func cookie(number: Int) throws {
        let table = self.table { route, _ in route.sticky = .cookie("session") }
        let value = Array("s\(number)".utf8)
        let split = try #require(table.routes[0].split)
        let member = split.rendezvous(key: KeyHash.hash(value.span), available: 0b11)
        let expected = member == 0 ? "core" : "gateway"
        #expect(try self.ask(table, ["Cookie: a=b; session=s\(number)"]).upstream == expected)
        #expect(try self.ask(table, ["Cookie: a=b", "Cookie: session=\"s\(number)\""]).upstream == expected)
        let without = try self.ask(table, ["Cookie: a=b; session="])
        #expect(without.upstream == nil)
        #expect(without.reasons.last?.contains("clients stick by cookie session") == true)
    }

    @Test("Field values are read as the listener reads them: without the white space around them")
    func blanks() throws {
        let table = self.table { route, _ in route.sticky = .header("x-user") }
        let plain = try self.ask(table, ["X-User: 7"]).upstream
        #expect(plain != nil)
        #expect(try self.ask(table, ["X-User:\t 7 \t"]).upstream == plain)
    }

    @Test("A side whose endpoints are all at their caps: the request waits")
    func full() throws {
        let table = self.table { route, spec in
            route.override = OverrideSpec(header: "x-side")
            spec.upstreams[0].maxOutstanding = 1
        }
        table.upstreams[0].endpoints[0].outstanding.add(1, ordering: .relaxed)
        let found = try self.ask(table, ["X-Side: core"])
        #expect(found.upstream == "core")
        #expect(found.reasons.last == "all endpoints of core are at their caps: the request waits in its queue")
    }

    @Test("Asking changes nothing")
    func pure() throws {
        let table = self.table { route, spec in
            route.sticky = .header("x-user")
            spec.upstreams[0].balance = .consistentHash(.header("x-user"))
            spec.upstreams[1].balance = .roundRobin
        }
        let before = table.routes[0].nextPosition()
        for user in 0..<50 { #expect(try self.ask(table, ["X-User: \(user)"]).upstream != nil) }
        #expect(table.routes[0].nextPosition() == before + 1)
        for endpoint in table.upstreams.flatMap(\.endpoints) {
            #expect(endpoint.outstanding.load(ordering: .relaxed) == 0)
        }
    }
}
