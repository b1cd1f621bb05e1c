import Glibc
import TestSupport
import Testing

/// Starts, ends and hand-overs.
@Suite("Lifecycle", .serialized) struct LifecycleScenarios {
    @Test("A drain finishes a slow response, refuses new connections, and ends with 0")
    func drain() throws {
        let release = Progress()
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message())
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
            _ = eventually(seconds: 40) { release.value > 0 }
            connection.send("def")
        }
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"drain\": \"40s\"}")
        let connection = try balancer.connect()
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(connection.read(until: "abc") != nil)
        let idle = try balancer.connect()
        balancer.program.signal(SIGTERM)
        #expect(eventually { (try? RawConnection(port: balancer.port)) == nil }, "nobody new is accepted")
        #expect(try balancer.admin("/readyz").status == 503)
        #expect(balancer.program.exitStatus == nil, "it waits for what runs")
        #expect(idle.readAll(seconds: 10).end == .closed, "idle connections are closed")
        release.add(1)
        #expect(connection.readAll().text == "def")
        #expect(balancer.program.awaitExit() == 0)
    }

    @Test("A drain ends at its deadline, and a second signal ends it at once")
    func drainDeadline() throws {
        for second in [false, true] {
            let upstream = try ScriptedUpstream.once { connection in
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
                _ = connection.readAll(seconds: 60)
            }
            let balancer = try BalancerProcess(
                before: upstream, top: "\"timeouts\": {\"drain\": \"\(second ? "60s" : "300ms")\"}")
            let connection = try balancer.connect()
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(connection.read(until: "abc") != nil)
            balancer.program.signal(SIGTERM)
            if second {
                #expect(eventually { (try? RawConnection(port: balancer.port)) == nil })
                balancer.program.signal(SIGTERM)
            }
            #expect(balancer.program.awaitExit() == (second ? 130 : 0))
            #expect(connection.readAll().end != .timeout)
        }
    }

    @Test("Keep-alive clients are told to close while draining, and get whole answers")
    func drainUnderLoad() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let balancer = try BalancerProcess(before: upstream, workers: 2)
        let failures = Locked<[String]>([])
        let finished = Progress()
        for _ in 0..<8 {
            let connection = try balancer.connect()
            startThread {
                var reader = MessageReader(connection)
                do {
                    while true {
                        guard connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n") else { break }
                        let response = try reader.message()
                        if response.status != 200 { failures.change { $0.append(response.start) } }
                        if response.closes { break }
                    }
                } catch {
                    failures.change { $0.append("\(error)") }
                }
                finished.add(1)
            }
        }
        #expect(eventually { upstream.requests.count > 500 })
        #expect(balancer.stop() == 0)
        #expect(eventually { finished.value == 8 })
        #expect(failures.value.isEmpty, "\(failures.value.prefix(3))")
    }

    @Test("A second process takes over under load, three times in a row: no request fails, live weights go along")
    func takeover() throws {
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                top: "\"takeover\": {\"path\": \"\(folder)/takeover.sock\"}"), to: folder + "/routes.json")
        var running = try BalancerProcess("", workers: 2, folder: folder)
        #expect(try running.setWeights("{\"core\": 0, \"gateway\": 1}").status == 200)
        let load = LoadClient(port: running.port)
        load.start(connections: 8)
        try load.awaitAnswers(200)
        for _ in 0..<3 {
            let successor = try BalancerProcess("", workers: 2, folder: folder)
            #expect(successor.port == running.port)
            #expect(running.program.awaitExit(seconds: 60) == 0)
            running = successor
            try load.awaitAnswers(200)
        }
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
        #expect(load.answers["core"] == nil, "the live weights went along")
        #expect(running.stop() == 0)
    }

    @Test("A successor that fails leaves the running one as it was")
    func failedTakeover() throws {
        let core = try ScriptedUpstream.plain("core")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let text = Routes.configuration(
            upstreams: [("core", [core.port])], top: "\"takeover\": {\"path\": \"\(folder)/takeover.sock\"}")
        try BalancerProcess.write(text, to: folder + "/routes.json")
        let running = try BalancerProcess("", folder: folder)
        try BalancerProcess.write("{bad", to: folder + "/bad.json")
        let failed = try Program.run(
            "balancer", ["serve", "--config", folder + "/bad.json", "--takeover", folder + "/takeover.sock"])
        #expect(failed.status == 1)
        #expect(try running.request().text == "core")
        #expect(try running.setWeights("{\"core\": 3}").status == 200, "changes are taken again")
    }
}
