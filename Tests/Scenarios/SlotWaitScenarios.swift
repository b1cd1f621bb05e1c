import Glibc
import TestSupport
import Testing

/// Requests that wait for a slot at an endpoint: what that costs, where they wait, and how long.
@Suite("Waiting for a slot", .serialized) struct SlotWaitScenarios {
    static let caps = ["maxConnections", "maxOutstanding"]

    /// Answers with its name; requests for `/hold` wait until `release` is given.
    private func upstream(_ name: String, holding release: Progress) throws -> ScriptedUpstream {
        try .answering { request, _ in
            if request.start.contains(" /hold ") { _ = eventually(seconds: 60) { release.value > 0 } }
            return "HTTP/1.1 200 OK\r\nContent-Length: \(name.utf8.count)\r\n\r\n\(name)"
        }
    }

    /// A request under way on a connection of its own.
    private func asking(_ balancer: BalancerProcess, _ target: String, _ fields: String = "") throws -> RawConnection {
        let connection = try balancer.connect()
        connection.send("GET \(target) HTTP/1.1\r\nHost: h\r\n\(fields)Connection: close\r\n\r\n")
        return connection
    }

    private func answer(_ connection: RawConnection) throws -> Message {
        var reader = MessageReader(connection)
        return try reader.message()
    }

    private func awaitExchanges(_ balancer: BalancerProcess, _ count: Int) throws {
        try #require(try eventually { try balancer.metric("balancer_exchanges_active") == Double(count) })
    }

    @Test("A waiter costs a worker less than 1 % of a processor, and gets the slot that is given back", arguments: caps)
    func processorTime(cap: String) throws {
        let release = Progress()
        let upstream = try self.upstream("ok", holding: release)
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"\(cap)\": 1", top: "\"timeouts\": {\"queue\": \"60s\"}", workers: 2)
        let holder = try self.asking(balancer, "/hold")
        #expect(eventually { upstream.requests.count == 1 })
        let waiter = try self.asking(balancer, "/waiter")
        try self.awaitExchanges(balancer, 2)
        let before = balancer.program.processorSeconds
        // What it does while nothing happens is what the test is about.
        usleep(3_000_000)
        let spent = balancer.program.processorSeconds - before
        #expect(spent < 0.06, "\(spent) s in 3 s, with two workers")
        #expect(upstream.requests.count == 1)
        release.add(1)
        #expect(try self.answer(holder).text == "ok")
        #expect(try self.answer(waiter).text == "ok")
    }

    @Test("Waiters of several workers cost as little while a connection without a request holds the place")
    func processorTimeOfMany() throws {
        // Answers before the body has come, and reads on: the slot is free then, the connection is not.
        let upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.head()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            while case .data = connection.receive(by: Deadline(seconds: 60)) {}
        }
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"maxConnections\": 1", top: "\"timeouts\": {\"queue\": \"60s\"}", workers: 2)
        let holder = try balancer.connect()
        holder.send("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nbegin")
        try #require(holder.read(until: "\r\n\r\nok") != nil)
        // Enough that each worker has some.
        let waiters = try (0..<12).map { try self.asking(balancer, "/\($0)") }
        try self.awaitExchanges(balancer, 13)
        let before = balancer.program.processorSeconds
        // What it does while nothing happens is what the test is about.
        usleep(3_000_000)
        let spent = balancer.program.processorSeconds - before
        #expect(spent < 0.06, "\(spent) s in 3 s, with two workers")
        withExtendedLifetime((holder, waiters)) {}
    }

    @Test("With every endpoint of its side at the cap it waits there, and no other side hears of it", arguments: caps)
    func staysOnItsSide(cap: String) throws {
        let release = Progress()
        let core = try (0..<2).map { _ in try self.upstream("core", holding: release) }
        let gateway = try self.upstream("gateway", holding: release)
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", core.map(\.port)), ("gateway", [gateway.port])],
                routes: """
                    {"name": "api", "split": {"core": 1, "gateway": 1},
                     "sticky": {"by": "header", "name": "X-User"}, "timeouts": {"queue": "60s"}}
                    """,
                upstreamKeys: "\"\(cap)\": 1, \"balance\": \"round-robin\""))
        let user = try #require(
            try (0..<64).first { try balancer.request(fields: "X-User: \($0)\r\n").text == "core" })
        let fields = "X-User: \(user)\r\n"
        let before = gateway.requests.count
        let holders = try (1...2).map { _ in try self.asking(balancer, "/hold", fields) }
        #expect(eventually { core.allSatisfy { $0.requests.contains { $0.start.contains("/hold") } } })
        let waiters = try (0..<4).map { try self.asking(balancer, "/\($0)", fields) }
        try self.awaitExchanges(balancer, 6)
        for waiter in waiters { #expect(waiter.staysOpen(seconds: 0.3), "answered without a slot") }
        release.add(1)
        for connection in holders + waiters { #expect(try self.answer(connection).text == "core") }
        #expect(gateway.requests.count == before)
    }

    @Test("With two endpoints at the cap it is refused when timeouts.queue is over, not before", arguments: caps)
    func deadline(cap: String) throws {
        let release = Progress()
        let core = try (0..<2).map { _ in try self.upstream("core", holding: release) }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", core.map(\.port))], upstreamKeys: "\"\(cap)\": 1, \"balance\": \"round-robin\"",
                top: "\"timeouts\": {\"queue\": \"1s\"}"))
        let holders = try (1...2).map { _ in try self.asking(balancer, "/hold") }
        #expect(eventually { core.allSatisfy { $0.requests.count == 1 } })
        let began = Deadline.now()
        let refused = try balancer.request("/waiter")
        #expect(refused.status == 503 && refused.field("x-balancer-reason") == "queue-timeout")
        #expect(Deadline.now() - began >= 950_000)
        release.add(1)
        for holder in holders { #expect(try self.answer(holder).text == "core") }
    }

    @Test("A waiter that moves to another side blocks nobody behind it, and its deadline stays")
    func movesOn() throws {
        let (releaseCore, releaseGateway) = (Progress(), Progress())
        let core = try self.upstream("core", holding: releaseCore)
        let gateway = try self.upstream("gateway", holding: releaseGateway)
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                routes: """
                    {"name": "api", "split": {"core": 1, "gateway": 1},
                     "sticky": {"by": "header", "name": "X-User"}, "timeouts": {"queue": "10s"}}
                    """,
                upstreamKeys: "\"maxOutstanding\": 1"))
        func user(_ side: String) throws -> String {
            let user = try (0..<64).first { try balancer.request(fields: "X-User: \($0)\r\n").text == side }
            return "X-User: \(try #require(user))\r\n"
        }
        let (ofCore, ofGateway) = (try user("core"), try user("gateway"))
        let holders = [
            try self.asking(balancer, "/hold", ofCore), try self.asking(balancer, "/hold", ofGateway),
        ]
        #expect(eventually { [core, gateway].allSatisfy { $0.requests.contains { $0.start.contains("/hold") } } })
        let began = Deadline.now()
        let moving = try self.asking(balancer, "/moving", ofGateway)
        try self.awaitExchanges(balancer, 3)
        let address = "127.0.0.1:\(gateway.port)"
        // Late enough that a deadline which began again would show.
        usleep(4_000_000)
        #expect(try balancer.command("endpoint", address, "drain").status == 0)
        usleep(200_000)
        #expect(try balancer.command("endpoint", address, "ready").status == 0)
        let behind = try self.asking(balancer, "/behind", ofGateway)
        try self.awaitExchanges(balancer, 4)
        releaseGateway.add(1)
        #expect(try self.answer(holders[1]).text == "gateway")
        #expect(try self.answer(behind).text == "gateway", "it waits behind one that has gone")
        // Whether or not it came back for the slot at its own side: one wait, one deadline.
        let moved = try self.answer(moving)
        let waited = Double(Deadline.now() - began) / 1_000_000
        #expect(moved.text == "gateway" || moved.field("x-balancer-reason") == "queue-timeout")
        #expect(waited < 13.5, "\(waited) s")
        releaseCore.add(1)
        #expect(try self.answer(holders[0]).text == "core")
    }
}
