import Glibc
import TestSupport
import Testing

/// Endpoints that die, hang and come back in mid-load.
@Suite("Health", .serialized) struct HealthScenarios {
    static let probes = """
        "health": {"path": "/healthcheck", "interval": "500ms", "timeout": "500ms", "rise": 2, "fall": 3},
        "retry": {"budgetPercent": 100}, "passive": {"baseEjection": "500ms", "maxEjection": "1s"}
        """

    /// A gateway of its own process on sample data.
    private func gateway(_ name: String, port: UInt16 = 0) throws -> (Program, UInt16) {
        let program = try Program("gateway", ["serve", "--port", "\(port)", "--role", "gateway", "--identify", name])
        let bound = try program.await(seconds: 60) { line -> UInt16? in
            guard line.hasPrefix("gateway (") else { return nil }
            return line.components(after: "http://127.0.0.1:").flatMap { UInt16($0.prefix { $0.isNumber }) }
        }
        return (program, bound)
    }

    private func state(_ balancer: BalancerProcess, _ port: UInt16) throws -> String? {
        let upstreams = try balancer.json("/api/v1/upstreams")["upstreams"] as? [[String: Any]] ?? []
        return upstreams.flatMap { $0["endpoints"] as? [[String: Any]] ?? [] }
            .first { $0["address"] as? String == "127.0.0.1:\(port)" }?["availability"] as? String
    }

    @Test("kill -9, stop, continue and restart of real gateways under load: no request fails")
    func processes() throws {
        let (core, corePort) = try self.gateway("core")
        let (first, firstPort) = try self.gateway("one")
        let (second, secondPort) = try self.gateway("two")
        defer { for program in [core, first, second] { program.signal(SIGKILL) } }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [corePort]), ("gateway", [firstPort, secondPort])], upstreamKeys: Self.probes,
                top: "\"timeouts\": {\"connect\": \"500ms\"}"), workers: 2)
        let load = LoadClient(port: balancer.port) { _ in "GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n" }
        load.start(connections: 8)
        try load.awaitAnswers(500)

        first.signal(SIGKILL)
        #expect(try eventually { try self.state(balancer, firstPort) == "down" })
        try load.awaitAnswers(500)
        let (again, _) = try self.gateway("one", port: firstPort)
        defer { again.signal(SIGKILL) }
        #expect(try eventually { try self.state(balancer, firstPort) == "up" })
        try load.awaitAnswers(500)

        second.signal(SIGSTOP)
        #expect(try eventually { try self.state(balancer, secondPort) == "down" })
        try load.awaitAnswers(500)
        second.signal(SIGCONT)
        #expect(try eventually { try self.state(balancer, secondPort) == "up" })

        core.signal(SIGKILL)
        #expect(try eventually { try self.state(balancer, corePort) == "down" })
        try load.awaitAnswers(500)
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
        let upstreams = try balancer.admin("/api/v1/upstreams").text
        #expect(upstreams.contains("\"cause\":\"refused\"") && upstreams.contains("\"cause\":\"response-timeout\""))
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("No POST is ever sent twice, whatever its endpoints do")
    func postOnce() throws {
        let doomed = Progress()
        let seen = SeenRequests()
        func upstream(_ name: String, dies: Bool) throws -> ScriptedUpstream {
            try ScriptedUpstream { connection, upstream in
                var reader = MessageReader(connection)
                while true {
                    let request = try reader.message(seconds: 60)
                    seen.add(request.text)
                    // Every eleventh request ends in a reset before, and every seventh in the middle of, its answer.
                    doomed.add(1)
                    if dies, doomed.value % 11 == 0 { return connection.resetOnClose() }
                    if dies, doomed.value % 7 == 0 {
                        connection.send("HTTP/1.1 200 OK\r\nContent-Le")
                        return connection.resetOnClose()
                    }
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(name.utf8.count)\r\n\r\n\(name)")
                }
            }
        }
        let upstreams = try [upstream("a", dies: true), upstream("b", dies: false), upstream("c", dies: true)]
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", upstreams.map(\.port))],
                upstreamKeys: "\"passive\": {\"enabled\": false}, \"retry\": {\"attempts\": 5, \"budgetPercent\": 100}")
        )
        let load = LoadClient(port: balancer.port) { number in
            let body = "post-\(number)"
            return "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        load.start(connections: 8, limit: 5_000)
        try load.finish()
        #expect(seen.repeated.isEmpty, "\(seen.repeated.prefix(5))")
        #expect(!load.failures.isEmpty, "the endpoints did fail, and the clients were told")
        #expect(load.failures.allSatisfy { $0.contains(" 502 ") }, "\(load.failures.prefix(5))")
    }

    @Test("Probes decide by status and body; their causes are kept")
    func probeExpectations() throws {
        let healthy = Progress()
        let upstream = try ScriptedUpstream.answering { request, _ in
            let body = request.start.contains("/health") && healthy.value == 0 ? "starting" : "fine"
            return "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        let balancer = try BalancerProcess(
            before: upstream,
            keys:
                "\"health\": {\"path\": \"/health\", \"interval\": \"50ms\", \"rise\": 2, \"fall\": 2, \"expect\": {\"status\": \"2xx\", \"body\": \"fine\"}}"
        )
        #expect(try eventually { try self.state(balancer, upstream.port) == "down" })
        let refused = try balancer.request()
        #expect(refused.status == 503 && refused.field("retry-after") != nil)
        #expect(try balancer.admin("/api/v1/upstreams").text.contains("\"cause\":\"body\""))
        healthy.add(1)
        #expect(try eventually { try self.state(balancer, upstream.port) == "up" })
        #expect(try balancer.request().text == "fine")
        #expect(
            try balancer.metric(
                "balancer_endpoint_available{upstream=\"core\",endpoint=\"127.0.0.1:\(upstream.port)\"}") == 1)
    }

    @Test("Health and weight accounting survive a reload")
    func survivesReload() throws {
        let dead = try ScriptedUpstream.plain("x")
        dead.stop()
        let good = try ScriptedUpstream.plain("good")
        let configuration = Routes.configuration(
            upstreams: [("core", [dead.port, good.port])],
            upstreamKeys: "\"health\": {\"path\": \"/\", \"interval\": \"1h\", \"timeout\": \"1s\"}")
        let balancer = try BalancerProcess(configuration)
        #expect(try eventually { try self.state(balancer, dead.port) == "down" })
        try BalancerProcess.write(configuration + " ", to: balancer.file)
        balancer.program.signal(SIGHUP)
        #expect(try eventually { try balancer.metric("balancer_reloads_total{result=\"success\"}") >= 1 })
        // Probes come once an hour: what is known now is what was known before.
        #expect(try self.state(balancer, dead.port) == "down")
        for _ in 0..<5 { #expect(try balancer.request().text == "good") }
    }
}

/// Bodies seen by all upstreams together.
final class SeenRequests: Sendable {
    private let counts = Locked<[String: Int]>([:])
    func add(_ text: String) { self.counts.change { $0[text, default: 0] += 1 } }
    var repeated: [String] { self.counts.value.filter { $0.value > 1 }.map(\.key) }
    var count: Int { self.counts.value.values.reduce(0, +) }
}
