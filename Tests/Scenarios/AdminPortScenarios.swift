import Glibc
import TestSupport
import Testing

/// Traffic and the admin API share a process's descriptors: neither takes them all from the other.
@Suite("Admin port", .serialized) struct AdminPortScenarios {
    @Test("1,100 idle connections at the admin port stop neither traffic nor probes, and nothing spins")
    func idleConnections() throws {
        try raiseOpenFiles(to: 4_000)
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, "", prelude: "ulimit -n 1024;")
        try balancer.awaitReady()
        let held = try (0..<1_100).map { _ in try balancer.connectToAdmin() }
        for _ in 0..<50 { #expect(try balancer.request().text == "ok") }
        for _ in 0..<5 { #expect(try balancer.admin("/readyz").status == 200) }
        #expect(try eventually { try balancer.counter("balancer_admin_connections_refused_total") >= 1_030 })
        #expect(balancer.program.openFiles < 200)
        let before = try balancer.processorSeconds()
        usleep(1_000_000)
        #expect(try balancer.processorSeconds() - before < 0.25)
        #expect(try balancer.request().text == "ok")
        #expect(held.count == 1_100)
        #expect(balancer.stop() == 0)
    }

    @Test("With every descriptor taken by traffic the admin port still answers, and nothing spins")
    func exhausted() throws {
        try raiseOpenFiles(to: 4_000)
        // Takes requests and answers none: each holds two of the balancer's descriptors.
        let upstream = try ScriptedUpstream { connection, _ in
            _ = connection.readAll(seconds: 60)
        }
        let balancer = try PlainBalancer(before: upstream, "", prelude: "ulimit -n 256;")
        try balancer.awaitReady()
        var clients: [RawConnection] = []
        for _ in 0..<300 {
            let client = try RawConnection(port: balancer.port)
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            clients.append(client)
        }
        for _ in 0..<5 {
            #expect(try balancer.admin("/readyz").status == 200)
            #expect(try balancer.admin("/metrics").status == 200)
        }
        let before = try balancer.processorSeconds()
        let idle = try (0..<20).map { _ in try balancer.connectToAdmin() }
        usleep(1_000_000)
        #expect(try balancer.processorSeconds() - before < 0.25)
        #expect(idle.count == 20 && clients.count == 300)
    }
}
