@testable import Control
import Logging
import Synchronization
@testable import Reactor
import Testing
import Traffic

struct HealthMonitorTests {
    private struct Rig {
        let transport = FakeProbeTransport()
        let time = ManualClock()
        let registry = EndpointRegistry()
        let monitor: HealthMonitor
        let key = EndpointKey(upstream: "core", address: Sample.address(3300))

        init() {
            self.monitor = HealthMonitor(
                transport: self.transport, clock: self.time.clock, seed: 1,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        func apply(_ spec: TableSpec = Sample.table()) async {
            await self.monitor.apply(RoutingTable(spec: spec, generation: 1, registry: self.registry))
        }

        func probe(_ count: Int = 1) async {
            for _ in 0..<count { await self.monitor.probe(self.key) }
        }

        var endpoint: Endpoint {
            self.registry.endpoint(upstream: "core", address: self.key.address, probed: true)
        }
    }

    @Test("The first answer decides; then it takes `fall` failures to go down and `rise` answers to come back")
    func flips() async {
        let rig = Rig()
        await rig.apply()
        #expect(rig.endpoint.operational == .unknown)
        await rig.probe()
        #expect(rig.endpoint.operational == .up)
        rig.transport.answer(rig.key.address, .refused)
        await rig.probe(2)
        #expect(rig.endpoint.operational == .up)
        await rig.probe()
        #expect(rig.endpoint.operational == .down)
        rig.transport.answer(rig.key.address, .complete, "HTTP/1.1 204 No Content\r\n\r\n")
        await rig.probe()
        #expect(rig.endpoint.operational == .down)
        await rig.probe()
        #expect(rig.endpoint.operational == .up)
        let record = await rig.monitor.records[rig.key]
        #expect(record?.counts == [.ok: 3, .refused: 3])
        #expect(record?.results.map(\.cause) == [.ok, .refused, .refused, .refused, .ok, .ok])
        #expect(record?.results.map(\.status) == [200, 0, 0, 0, 204, 204])
    }

    @Test("A first failure decides at once")
    func firstFailure() async {
        let rig = Rig()
        await rig.apply()
        rig.transport.answer(rig.key.address, .connectTimeout)
        await rig.probe()
        #expect(rig.endpoint.operational == .down)
    }

    @Test("A reload keeps the history, whatever it changes of the probe: one failure does not take an endpoint out")
    func reload() async {
        let rig = Rig()
        await rig.apply()
        await rig.probe(2)
        var table = Sample.table(core: 1)
        await rig.apply(table)
        #expect(await rig.monitor.records[rig.key]?.results.count == 2)
        table.upstreams[0].health?.path = "/other"
        await rig.apply(table)
        #expect(await rig.monitor.records[rig.key]?.results.count == 2)
        #expect(rig.endpoint.operational == .up)
        rig.transport.answer(rig.key.address, .refused)
        await rig.probe()
        #expect(
            rig.transport.calls.last.map { String(decoding: $0.request, as: UTF8.self) }?.hasPrefix("GET /other ")
                == true)
        #expect(rig.endpoint.operational == .up, "one of three")
        table.upstreams[0].health?.path = "/third"
        table.upstreams[0].health?.interval = 77
        await rig.apply(table)
        await rig.probe()
        #expect(rig.endpoint.operational == .up, "two of three")
        await rig.probe()
        #expect(rig.endpoint.operational == .down)
        #expect(await rig.monitor.records[rig.key]?.counts == [.ok: 2, .refused: 3])

        // Nor does one success bring it back.
        table.upstreams[0].health?.path = "/fourth"
        await rig.apply(table)
        rig.transport.answer(rig.key.address, .complete, "HTTP/1.1 200 OK\r\n\r\n")
        await rig.probe()
        #expect(rig.endpoint.operational == .down)
        await rig.probe()
        #expect(rig.endpoint.operational == .up)
    }

    @Test("A reload that changes an upstream's TLS changes that of its probes")
    func reloadTLS() async {
        let rig = Rig()
        var table = Sample.table()
        await rig.apply(table)
        for name in ["one.example", "two.example", nil] as [String?] {
            table.upstreams[0].tls = name.map {
                var tls = UpstreamTLS()
                tls.serverName = $0
                return tls
            }
            await rig.apply(table)
            await rig.probe()
            #expect(rig.transport.calls.last?.secureName == name)
        }
    }

    @Test("An endpoint that served without probes is not taken out by the first one that fails")
    func firstProbe() async {
        let rig = Rig()
        var table = Sample.table()
        table.upstreams[0].health = nil
        await rig.apply(table)
        await rig.apply()
        rig.transport.answer(rig.key.address, .refused)
        await rig.probe(2)
        #expect(rig.endpoint.operational == .up)
        await rig.probe()
        #expect(rig.endpoint.operational == .down)
    }

    @Test("The answer to a probe that was replaced meanwhile says nothing")
    func replaced() async {
        let rig = Rig()
        await rig.apply()
        await rig.probe()
        rig.transport.answer(rig.key.address, .refused)
        var other = Sample.table()
        other.upstreams[0].health?.path = "/other"
        let table = other
        rig.transport.beforeAnswer { await rig.apply(table) }
        await rig.probe()
        #expect(await rig.monitor.records[rig.key]?.counts == [.ok: 1])
        await rig.probe()
        #expect(await rig.monitor.records[rig.key]?.counts == [.ok: 1, .refused: 1])
    }

    @Test("A probe for which we have no descriptor says nothing of the endpoint")
    func exhausted() async {
        let rig = Rig()
        await rig.apply()
        await rig.probe()
        rig.transport.answer(rig.key.address, .exhausted)
        await rig.probe(5)
        #expect(rig.endpoint.operational == .up)
        #expect(await rig.monitor.records[rig.key]?.counts == [.ok: 1])
    }

    @Test("A probe in flight when maintenance begins says nothing, nor one that maintenance has come and gone over")
    func maintenanceBegins() async {
        let rig = Rig()
        await rig.apply()
        await rig.probe()
        rig.transport.answer(rig.key.address, .refused)
        for returns in [false, true] {
            rig.endpoint.setAdministrative(.ready, now: rig.time.now.withLock { $0 })
            rig.time.advance(1_000)
            for _ in 0..<5 {
                rig.transport.beforeAnswer {
                    rig.time.advance(10)
                    rig.endpoint.setAdministrative(.maintenance, now: rig.time.now.withLock { $0 })
                    rig.time.advance(10)
                    if returns { rig.endpoint.setAdministrative(.ready, now: rig.time.now.withLock { $0 }) }
                }
                await rig.probe()
            }
        }
        #expect(rig.endpoint.operational == .up)
        #expect(await rig.monitor.records[rig.key]?.results.count == 1)
        #expect(rig.transport.calls.count == 1 + 1 + 5)
    }

    @Test("An endpoint that is this process itself is not probed")
    func own() async {
        let rig = Rig()
        rig.registry.refuse(OwnAddresses(listeners: [rig.key.address]))
        await rig.apply()
        await rig.probe()
        #expect(rig.transport.calls.isEmpty)
        #expect(!rig.endpoint.isSelectable(now: 0) && rig.endpoint.explain(now: 0).availability == "refused")
        rig.registry.refuse(OwnAddresses())
        await rig.probe()
        #expect(rig.transport.calls.count == 1 && rig.endpoint.operational == .up)
    }

    @Test("An endpoint that is gone from the table, or no longer probed, is left alone")
    func removed() async {
        let rig = Rig()
        await rig.apply()
        rig.transport.answer(rig.key.address, .refused)
        await rig.probe()
        #expect(rig.endpoint.operational == .down)
        var table = Sample.table()
        table.upstreams[0].health = nil
        await rig.apply(table)
        #expect(rig.endpoint.operational == .up)
        let calls = rig.transport.calls.count
        await rig.probe()
        #expect(rig.transport.calls.count == calls)
        #expect(await rig.monitor.records[rig.key] == nil)
    }

    @Test("Maintenance means no probes")
    func maintenance() async {
        let rig = Rig()
        await rig.apply()
        rig.endpoint.setAdministrative(.maintenance, now: 0)
        await rig.probe()
        #expect(rig.transport.calls.isEmpty)
        rig.endpoint.setAdministrative(.drain, now: 0)
        await rig.probe()
        #expect(rig.transport.calls.count == 1)
    }

    @Test("Running, every endpoint of a new table is probed at once", .timeLimit(.minutes(1)))
    func run() async {
        let rig = Rig()
        let task = Task { await rig.monitor.run() }
        await rig.apply()
        #expect(await happens { Set(rig.transport.calls.map(\.address)).count >= 3 })
        #expect(Set(rig.transport.calls.map(\.address.port)) == [3300, 3301, 3302])
        task.cancel()
        await task.value
    }
}

struct ProbeExchangeTests {
    private func exchange(_ change: (inout ProbeSpec) -> Void = { _ in }) -> ProbeExchange {
        var spec = ProbeSpec()
        change(&spec)
        return ProbeExchange(spec: spec, address: Sample.address(3300))
    }

    @Test("A probe says who asks and closes")
    func request() {
        let plain = String(decoding: self.exchange { $0.path = "/healthcheck?x=1" }.request, as: UTF8.self)
        #expect(
            plain == "GET /healthcheck?x=1 HTTP/1.1\r\nHost: 127.0.0.1:3300\r\nUser-Agent: balancer-probe\r\n"
                + "Accept: */*\r\nConnection: close\r\n\r\n")
        let named = String(
            decoding: self.exchange {
                $0.method = "HEAD"
                $0.host = "api.example.org"
            }.request, as: UTF8.self)
        #expect(named.hasPrefix("HEAD / HTTP/1.1\r\nHost: api.example.org\r\n"))
    }

    @Test("Whom a connection is for is told in front of the request, or in front of TLS", arguments: [1, 2] as [UInt8])
    func announcement(version: UInt8) {
        var exchange = self.exchange()
        let request = exchange.request
        #expect(exchange.announcement.isEmpty)
        exchange.proxyProtocol = version
        let start = version == 1 ? "PROXY UNKNOWN\r\n" : "\r\n\r\n\0\r\nQUIT\n"
        #expect(exchange.announcement.starts(with: start.utf8))
        #expect(exchange.request == exchange.announcement + request)
        exchange.speaksTLS = true
        #expect(exchange.request == request, "it is sent before the handshake already")
    }

    @Test(
        "How an exchange ends is the cause",
        arguments: [
            (DialResult.End.refused, "", ProbeCause.refused), (.unreachable, "", .unreachable),
            (.connectTimeout, "", .connectTimeout), (.reset, "", .reset), (.closed, "", .reset),
            (.responseTimeout, "HTTP/1.1 200", .responseTimeout), (.closed, "HTTP/1.1 200 O", .malformed),
            (.complete, "SSH-2.0-OpenSSH\r\n\r\n", .malformed), (.complete, "HTTP/1.1 200 OK\r\n\r\n", .ok),
            (.complete, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", .status),
            (.complete, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", .ok),
        ])
    func causes(end: DialResult.End, text: String, cause: ProbeCause) {
        let result = DialResult(end: end, bytes: Array(text.utf8), microseconds: 1)
        #expect(self.exchange().judge(result).cause == cause)
    }

    @Test("Without an expected body the head settles it; with one, the end of the body")
    func completeness() {
        let head = Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".utf8)
        for length in 0..<head.count { #expect(!self.exchange().isComplete(Array(head.prefix(length)))) }
        #expect(self.exchange().isComplete(head))
        let strict = self.exchange { $0.expectedBody = "ello" }
        let whole = head + Array("hello".utf8)
        for length in 0..<whole.count { #expect(!strict.isComplete(Array(whole.prefix(length)))) }
        #expect(strict.isComplete(whole))
        // A status that is wrong anyway needs no body.
        #expect(strict.isComplete(Array("HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\n".utf8)))
    }

    @Test(
        "An expected text is looked for in the decoded body",
        arguments: [
            ("Content-Length: 9\r\n\r\nall green", DialResult.End.complete, ProbeCause.ok),
            ("Content-Length: 7\r\n\r\nall red", .complete, .body),
            ("X: y\r\n\r\nuntil the end: green", .closed, .ok),
            ("Transfer-Encoding: chunked\r\n\r\n3\r\ngre\r\n2\r\nen\r\n0\r\n\r\n", .complete, .ok),
            ("Transfer-Encoding: chunked\r\n\r\n3 \r\ngre\r\n2;x\r\nen\r\n0\r\nX-T: 1\r\n\r\n", .complete, .ok),
            ("Transfer-Encoding: chunked\r\n\r\n9\r\nall gre", .closed, .body),
            ("Transfer-Encoding: chunked\r\n\r\n9\r\nall green", .closed, .ok),
            ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", .complete, .malformed),
            ("Content-Length: 99\r\n\r\ngreen", .limit, .ok),
        ])
    func bodies(rest: String, end: DialResult.End, cause: ProbeCause) {
        let exchange = self.exchange { $0.expectedBody = "green" }
        let result = DialResult(end: end, bytes: Array("HTTP/1.1 200 OK\r\n\(rest)".utf8), microseconds: 1)
        #expect(exchange.judge(result).cause == cause)
    }

    @Test("Only expected statuses pass")
    func statuses() {
        let exchange = self.exchange { $0.expectedStatus = [200...200, 300...302] }
        for (status, cause) in [(200, ProbeCause.ok), (201, .status), (301, .ok), (404, .status)] {
            let result = DialResult(end: .complete, bytes: Array("HTTP/1.1 \(status) X\r\n\r\n".utf8), microseconds: 1)
            let judged = exchange.judge(result)
            #expect(judged.cause == cause && judged.status == UInt16(status))
        }
    }
}
