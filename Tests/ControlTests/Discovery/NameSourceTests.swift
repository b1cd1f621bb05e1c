@testable import Control
import Foundation
import Glibc
import Reactor
import Synchronization
import TestSupport
import Testing
import Traffic

@Suite("Endpoints by DNS", .timeLimit(.minutes(2)))
struct NameSourceTests {
    private let dialer: Dialer

    init() throws { self.dialer = try Dialer() }

    private func source(_ server: ScriptedNameServer, name: String = "gateway.test") -> NameSource {
        var lookup = NameLookup(name: name)
        lookup.resolver = server.address
        return NameSource(addressesOf: lookup, port: 80, dialer: self.dialer, clock: .system)
    }

    private func services(_ server: ScriptedNameServer) -> NameSource {
        var lookup = NameLookup(name: "_http._tcp.gateway.test")
        lookup.resolver = server.address
        return NameSource(servicesOf: lookup, dialer: self.dialer, clock: .system)
    }

    private func resolve(_ source: NameSource) async throws -> [String] {
        try await source.resolve().map(\.description).sorted()
    }

    private func failure(_ source: NameSource) async -> String {
        do throws(DiscoveryFailure) {
            return "found \(try await source.resolve())"
        } catch {
            return error.description
        }
    }

    @Test("Addresses of both families, behind an alias")
    func addresses() async throws {
        let server = try ScriptedNameServer { query in
            query.question.type == .a
                ? [query.response([(nil, .alias("pods.test")), ("pods.test", .v4(1)), ("pods.test", .v4(2))])]
                : [query.response([(nil, .v6(3))])]
        }
        defer { server.stop() }
        #expect(try await self.resolve(self.source(server)) == ["10.0.0.1:80", "10.0.0.2:80", "[fd00::3]:80"])
        #expect(Set(server.queries.map(\.text)) == ["gateway.test a", "gateway.test aaaa"])
        #expect(server.queries.allSatisfy { $0.isExtended && !$0.isStream })
    }

    @Test("What is forged, late, cut or garbage is passed over until the answer comes")
    func forged() async throws {
        let server = try ScriptedNameServer { query in
            var wrongID = query
            wrongID.id = query.id &+ 1
            var wrongName = query
            wrongName.question.name = DNSName("evil.test") ?? query.question.name
            let bad = ScriptedNameServer.Data.v4(66)
            return [
                wrongID.response([(nil, bad)]), wrongName.response([(nil, bad)]), [], [0xFF],
                Array(query.response([(nil, bad)]).prefix(20)), query.addresses(1),
            ]
        }
        defer { server.stop() }
        #expect(try await self.resolve(self.source(server)) == ["10.0.0.1:80"])
    }

    @Test("A truncated answer is asked for over TCP")
    func truncated() async throws {
        let server = try ScriptedNameServer { query in
            guard query.isStream else { return [query.response(truncated: true)] }
            return [query.question.type == .a ? query.response((1...200).map { (nil, .v4($0)) }) : query.response()]
        }
        defer { server.stop() }
        #expect(try await self.resolve(self.source(server)).count == 200)
        #expect(server.queries.filter(\.isStream).count == 2)
    }

    @Test("A server that knows no OPT record is asked without")
    func plain() async throws {
        let server = try ScriptedNameServer { query in
            query.isExtended ? [query.response(code: 1)] : [query.addresses(4)]
        }
        defer { server.stop() }
        #expect(try await self.resolve(self.source(server)) == ["10.0.0.4:80"])
    }

    @Test(
        "No name, no address, a failing and a refusing server are failures, each in its words",
        arguments: [(UInt16(3), "NXDOMAIN"), (0, "has no address"), (2, "SERVFAIL"), (5, "REFUSED")])
    func failures(code: UInt16, words: String) async throws {
        let server = try ScriptedNameServer { query in [query.response(code: code)] }
        defer { server.stop() }
        #expect(await self.failure(self.source(server)).contains(words))
    }

    @Test("Where a name server fails the next one is asked, in their order, and then the first again")
    func nextServer() async throws {
        let failing = try ScriptedNameServer { query in [query.response(code: 2)] }
        let slow = try ScriptedNameServer { [asked = Mutex(0)] query in
            let number = asked.withLock { asked in
                asked += 1
                return asked
            }
            return [number < 2 ? query.response(code: 5) : query.addresses(7)]
        }
        let good = try ScriptedNameServer { query in [query.addresses(4)] }
        defer { for server in [failing, slow, good] { server.stop() } }
        let client = DNSClient(dialer: self.dialer)
        let question = DNSQuestion(name: try #require(DNSName("gateway.test")), type: .a)
        func asked() -> [Int] { [failing, slow, good].map(\.queries.count) }
        _ = try await client.ask(question, servers: [failing.address, good.address])
        #expect(asked() == [1, 0, 1])
        _ = try await client.ask(question, servers: [failing.address, slow.address])
        #expect(asked() == [3, 2, 1])
        let failure = await #expect(throws: DiscoveryFailure.self) {
            try await client.ask(question, servers: [failing.address])
        }
        #expect(failure?.description == "\(failing.address) answers SERVFAIL")
        #expect(asked() == [5, 2, 1])
    }

    @Test("A server that says nothing is given up")
    func silent() async throws {
        let server = try ScriptedNameServer { query in
            query.text == "gateway.test aaaa" ? [query.response()] : []
        }
        defer { server.stop() }
        let began = MonotonicClock.milliseconds()
        #expect(await self.failure(self.source(server)).contains("does not answer"))
        let spent = MonotonicClock.milliseconds() - began
        #expect(spent >= 4_000 && spent < 20_000)
        #expect(server.queries.count { $0.question.type == .a } == DNSClient.rounds)
    }

    @Test("A family that fails once keeps its last addresses")
    func partial() async throws {
        let fails = Mutex(false)
        let server = try ScriptedNameServer { query in
            if query.question.type == .a { return [query.addresses(1)] }
            return fails.withLock { $0 } ? [query.response(code: 2)] : [query.response([(nil, .v6(2))])]
        }
        defer { server.stop() }
        let source = self.source(server)
        #expect(try await self.resolve(source) == ["10.0.0.1:80", "[fd00::2]:80"])
        fails.withLock { $0 = true }
        #expect(try await self.resolve(source) == ["10.0.0.1:80", "[fd00::2]:80"])
    }

    @Test("SRV: each target on its port, the least priority only, addresses asked for")
    func srv() async throws {
        let server = try ScriptedNameServer { query in
            switch query.text {
            case "_http._tcp.gateway.test srv":
                [
                    query.response([
                        (nil, .service(priority: 1, port: 3_301, "one.test")),
                        (nil, .service(priority: 1, port: 3_302, "two.test")),
                        (nil, .service(priority: 9, port: 3_303, "three.test")),
                        (nil, .service(priority: 1, port: 3_304, "gone.test")),
                    ])
                ]
            case "one.test a": [query.addresses(1)]
            case "two.test a": [query.addresses(2)]
            case "gone.test a", "gone.test aaaa": [query.response(code: 3)]
            default: [query.response()]
            }
        }
        defer { server.stop() }
        #expect(try await self.resolve(self.services(server)) == ["10.0.0.1:3301", "10.0.0.2:3302"])
        #expect(!server.queries.contains { $0.text.hasPrefix("three.test") })
    }

    @Test("SRV: addresses that come along are not asked for; the root as target is no service")
    func glue() async throws {
        let isOff = Mutex(false)
        let server = try ScriptedNameServer { query in
            if isOff.withLock({ $0 }) { return [query.response([(nil, .service(priority: 0, port: 0, ""))])] }
            return [
                query.response(
                    [(nil, .service(priority: 0, port: 81, "one.test"))], additional: [("one.test", .v4(7))])
            ]
        }
        defer { server.stop() }
        let source = self.services(server)
        #expect(try await self.resolve(source) == ["10.0.0.7:81"])
        #expect(server.queries.count == 1)
        isOff.withLock { $0 = true }
        #expect(await self.failure(source).contains("has no address"))
    }

    @Test("Trouble with an endpoint makes it ask before its time, but not more than once a second")
    func trouble() async throws {
        let server = try ScriptedNameServer { query in [query.addresses(1)] }
        defer { server.stop() }
        var lookup = NameLookup(name: "gateway.test")
        lookup.resolver = server.address
        lookup.interval = 3_600_000
        let source = NameSource(addressesOf: lookup, port: 80, dialer: self.dialer, clock: .system)
        let times = Mutex<[UInt64]>([])
        let listener = SourceListener(
            found: { _ in times.withLock { $0.append(MonotonicClock.milliseconds()) } }, failed: { _ in },
            isTroubled: { true })
        let running = Task { await source.run(listener) }
        #expect(await happens { times.withLock { $0.count } >= 3 })
        running.cancel()
        await running.value
        let seen = times.withLock { $0 }
        #expect(zip(seen, seen.dropFirst()).allSatisfy { (900...5_000).contains($1 - $0) })
    }

    @Test("A name that cannot be found is asked for again soon, whatever the interval")
    func again() async throws {
        let asked = Mutex(0)
        let server = try ScriptedNameServer { query in
            guard query.question.type == .a else { return [query.response()] }
            let number = asked.withLock { count in
                count += 1
                return count
            }
            return [number < 3 ? query.response(code: 3) : query.addresses(1)]
        }
        defer { server.stop() }
        var lookup = NameLookup(name: "gateway.test")
        lookup.resolver = server.address
        lookup.interval = 3_600_000
        let source = NameSource(addressesOf: lookup, port: 80, dialer: self.dialer, clock: .system)
        let listening = Listening()
        let running = Task { await source.run(listening.listener) }
        #expect(await listening.wait(for: ["10.0.0.1:80"]))
        #expect(listening.failures.count == 2)
        running.cancel()
        await running.value
    }

    @Test("The name servers and the search list of resolv.conf, in turn")
    func resolverFile() async throws {
        // Port 53 cannot be had by a test: what is asked, and of whom, is seen in the failure.
        let path = "/tmp/resolv-\(UInt64.random(in: .min ... .max)).conf"
        try "nameserver 127.0.0.253\nsearch here.test\n".write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let source = NameSource(
            addressesOf: NameLookup(name: "gateway"), port: 80, dialer: self.dialer, clock: .system,
            resolver: { .system(path) })
        #expect(await self.failure(source).contains("127.0.0.253:53 cannot be asked"))
    }

    // MARK: search domains

    private func searching(_ server: ScriptedNameServer, _ domains: [String]) -> NameSource {
        var configuration = ResolverConfiguration(servers: [server.address])
        configuration.search = domains.compactMap { DNSName($0) }
        configuration.ndots = 5
        return NameSource(
            addressesOf: NameLookup(name: "gateway.test"), port: 80, dialer: self.dialer, clock: .system,
            resolver: { [configuration] in configuration })
    }

    @Test(
        "A search domain that fails, or is silent, does not hide the name as it stands",
        arguments: [UInt16(2), 5, nil])
    func searchFails(code: UInt16?) async throws {
        let server = try ScriptedNameServer { query in
            guard query.question.name == DNSName("gateway.test") else {
                return code.map { [query.response(code: $0)] } ?? []
            }
            return [query.addresses(1)]
        }
        defer { server.stop() }
        let source = self.searching(server, ["one.test", "two.test"])
        #expect(try await self.resolve(source) == ["10.0.0.1:80"])
        // Who is silent for one domain is not asked for the other.
        #expect(server.queries.contains { $0.text == "gateway.test.two.test a" } == (code != nil))
    }

    @Test("Where the endpoints were found last, a failure is one: another domain's do not take their place")
    func knownName() async throws {
        let fails = Mutex(false)
        let server = try ScriptedNameServer { query in
            if query.question.name == DNSName("gateway.test") { return [query.addresses(9)] }
            return [fails.withLock { $0 } ? query.response(code: 2) : query.addresses(1)]
        }
        defer { server.stop() }
        let source = self.searching(server, ["one.test"])
        #expect(try await self.resolve(source) == ["10.0.0.1:80"])
        fails.withLock { $0 = true }
        #expect(await self.failure(source).contains("SERVFAIL"))
        fails.withLock { $0 = false }
        #expect(try await self.resolve(source) == ["10.0.0.1:80"])
    }

    // MARK: families and aliases

    @Test("Addresses are used at once although the other family's question is never answered")
    func familyLost() async throws {
        let host = Mutex<UInt8>(1)
        let server = try ScriptedNameServer { query in
            query.question.type == .a ? [query.addresses(host.withLock { $0 })] : []
        }
        defer { server.stop() }
        let source = self.source(server)
        for number in UInt8(1)...2 {
            host.withLock { $0 = number }
            let began = MonotonicClock.milliseconds()
            let early = Mutex<(after: UInt64, endpoints: [String])>((0, []))
            let found = try await source.resolve { endpoints in
                early.withLock { $0 = (MonotonicClock.milliseconds() - began, endpoints.map(\.description)) }
            }
            #expect(found.map(\.description) == ["10.0.0.\(number):80"])
            #expect(early.withLock { $0.endpoints } == ["10.0.0.\(number):80"])
            // The delay is 50 ms; without it the question's own patience would be four seconds.
            #expect(early.withLock { $0.after } < 900)
            #expect(MonotonicClock.milliseconds() - began < 3_500)
        }
    }

    @Test("A family that is late is taken in when it comes")
    func familyLate() async throws {
        let server = try ScriptedNameServer { query in
            if query.question.type == .a { return [query.addresses(1)] }
            usleep(300_000)
            return [query.response([(nil, .v6(2))])]
        }
        defer { server.stop() }
        #expect(try await self.resolve(self.source(server)) == ["10.0.0.1:80", "[fd00::2]:80"])
    }

    @Test("An alias that an answer leaves open is asked for")
    func openAlias() async throws {
        let server = try ScriptedNameServer { query in
            switch query.text {
            case "gateway.test a", "gateway.test aaaa": [query.response([(nil, .alias("one.test"))])]
            case "one.test a", "one.test aaaa":
                [query.response([(nil, .alias("two.test")), ("two.test", .alias("three.test"))])]
            case "three.test a": [query.addresses(3)]
            default: [query.response()]
            }
        }
        defer { server.stop() }
        #expect(try await self.resolve(self.source(server)) == ["10.0.0.3:80"])
    }

    @Test("Aliases that lead in a circle, within an answer or over several, end", arguments: [true, false])
    func circle(within: Bool) async throws {
        let server = try ScriptedNameServer { query in
            if within {
                return [query.response([(nil, .alias("one.test")), ("one.test", .alias("gateway.test"))])]
            }
            let next = query.question.name == DNSName("gateway.test") ? "one.test" : "gateway.test"
            return [query.response([(nil, .alias(next))])]
        }
        defer { server.stop() }
        #expect(await self.failure(self.source(server)).contains("do not end"))
        #expect(server.queries.count <= 20)
    }

    // MARK: pace

    @Test("A success resets the back-off: the next failure is tried again soon")
    func backoff() async throws {
        // Time that passes only by waiting.
        let now = Mutex<UInt64>(1_000_000)
        let clock = ControlClock(
            monotonic: { now.withLock { $0 } }, wall: { now.withLock { $0 } },
            sleep: { milliseconds in
                now.withLock { $0 += milliseconds }
                try await Task.sleep(for: .milliseconds(1))
            })
        let failed = Mutex<[UInt64]>([])
        let found = Mutex<[UInt64]>([])
        let server = try ScriptedNameServer { query in
            // Six failures, a success, a failure, a success.
            let attempts = failed.withLock { $0.count } + found.withLock { min($0.count, 1) }
            return [attempts < 6 || attempts == 7 ? query.response(code: 3) : query.addresses(1)]
        }
        defer { server.stop() }
        var lookup = NameLookup(name: "gateway.test")
        lookup.resolver = server.address
        lookup.interval = 60_000
        let source = NameSource(addressesOf: lookup, port: 80, dialer: self.dialer, clock: clock)
        let listener = SourceListener(
            found: { _ in found.withLock { $0.append(now.withLock { $0 }) } },
            failed: { _ in failed.withLock { $0.append(now.withLock { $0 }) } }, isTroubled: { false })
        let running = Task { await source.run(listener) }
        #expect(await happens { failed.withLock { $0.count } == 7 && found.withLock { $0.count } >= 2 })
        running.cancel()
        await running.value
        let last = try #require(failed.withLock { $0.last })
        let next = try #require(found.withLock { times in times.first { $0 > last } })
        // The first wait is at most 250 ms, the seventh would be at least 8 s.
        #expect(next - last < 4_000)
    }
}

/// A name server as Debian ships it.
@Suite("Endpoints by a real name server", .serialized, .timeLimit(.minutes(2)))
struct RealNameServerTests {
    /// dnsmasq with these records, at a loopback address that no other process of the tests has.
    private struct Dnsmasq {
        let address: SocketAddress
        private let program: Program

        init(_ records: [String]) throws {
            let port: UInt16 = 20_053
            // 127.64.0.0 and on, by the number of this process.
            let host = 0x7F40_0000 + UInt32(getpid()) % 0x3F_FFFF + 1
            self.address = SocketAddress(ip: IPAddress(v4: host), port: port)
            self.program = try Program(
                path: "/usr/sbin/dnsmasq",
                [
                    "--keep-in-foreground", "--conf-file=/dev/null", "--port=\(port)", "--no-resolv", "--no-hosts",
                    "--listen-address=\(self.address.ip)", "--bind-interfaces", "--local=/test/", "--user=",
                    "--pid-file=",
                    "--log-facility=/dev/null",
                ] + records)
        }

        func stop() {
            self.program.signal(SIGKILL)
            _ = self.program.awaitExit(seconds: 5)
        }
    }

    private func resolve(_ source: NameSource) async throws -> [String] {
        // It may still be starting.
        for _ in 0..<50 {
            if let found = try? await source.resolve() { return found.map(\.description).sorted() }
            try await Task.sleep(for: .milliseconds(50))
        }
        return try await source.resolve().map(\.description)
    }

    private func lookup(_ name: String, _ server: Dnsmasq) -> NameLookup {
        var lookup = NameLookup(name: name)
        lookup.resolver = server.address
        return lookup
    }

    @Test("A, AAAA, an alias, an answer that needs TCP, and a name that does not exist")
    func addresses() async throws {
        let many = (1...120).map { "--host-record=many.test,10.1.0.\($0)" }
        let server = try Dnsmasq(
            [
                "--host-record=gateway.test,10.0.0.1,fd00::1", "--host-record=gateway.test,10.0.0.2",
                "--cname=alias.test,gateway.test",
            ] + many)
        defer { server.stop() }
        let dialer = try Dialer()
        for name in ["gateway.test", "alias.test"] {
            let source = NameSource(
                addressesOf: self.lookup(name, server), port: 3_301, dialer: dialer, clock: .system)
            #expect(try await self.resolve(source) == ["10.0.0.1:3301", "10.0.0.2:3301", "[fd00::1]:3301"])
        }
        let large = NameSource(addressesOf: self.lookup("many.test", server), port: 1, dialer: dialer, clock: .system)
        #expect(try await self.resolve(large).count == 120)
        let missing = NameSource(addressesOf: self.lookup("no.test", server), port: 1, dialer: dialer, clock: .system)
        await #expect(throws: DiscoveryFailure("no.test does not exist (NXDOMAIN)")) { try await missing.resolve() }
    }

    @Test(
        "A search domain that a real server refuses does not hide the name behind it; an alias out of its zone is open")
    func search() async throws {
        let server = try Dnsmasq(["--host-record=gateway.test,10.0.0.1", "--cname=alias.test,gateway.test"])
        defer { server.stop() }
        // dnsmasq without a server to forward to refuses what is not its own.
        var configuration = ResolverConfiguration(servers: [server.address])
        configuration.search = ["elsewhere.example", "other.example"].compactMap { DNSName($0) }
        configuration.ndots = 5
        for name in ["gateway.test", "alias.test"] {
            let source = NameSource(
                addressesOf: NameLookup(name: name), port: 80, dialer: try Dialer(), clock: .system,
                resolver: { [configuration] in configuration })
            #expect(try await self.resolve(source) == ["10.0.0.1:80"])
        }
    }

    @Test("SRV")
    func services() async throws {
        let server = try Dnsmasq([
            "--srv-host=_http._tcp.gateway.test,one.test,3301", "--srv-host=_http._tcp.gateway.test,two.test,3302",
            "--host-record=one.test,10.0.0.1", "--host-record=two.test,10.0.0.2,fd00::2",
        ])
        defer { server.stop() }
        let source = NameSource(
            servicesOf: self.lookup("_http._tcp.gateway.test", server), dialer: try Dialer(), clock: .system)
        #expect(try await self.resolve(source) == ["10.0.0.1:3301", "10.0.0.2:3302", "[fd00::2]:3302"])
    }
}
