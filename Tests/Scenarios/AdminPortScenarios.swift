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

    @Test("While each connection has a request under way, one more is told to come again, and then it may")
    func full() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, "")
        try balancer.awaitReady()
        var busy: [RawConnection] = []
        func occupy() throws {
            let connection = try balancer.connectToAdmin()
            connection.send(
                "PUT /api/v1/routes/all/weights HTTP/1.1\r\nHost: 127.0.0.2:\(balancer.adminPort)\r\n"
                    + "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
            busy.append(connection)
        }
        for _ in 0..<64 { try occupy() }
        #expect(
            try eventually {
                let answer = try balancer.admin("/readyz")
                // One that had not asked yet may have given way to another while a connection of before was still there.
                if answer.status == 200, busy.count < 128 { try occupy() }
                return answer.status == 503 && answer.text.contains("has a request under way")
                    && answer.field("retry-after") == "1"
            })
        #expect(try balancer.request().text == "ok")
        busy.removeAll()
        #expect(try eventually { try balancer.admin("/readyz").status == 200 })
        #expect(balancer.stop() == 0)
    }

    @Test("Probes and metrics have an address of their own, which a take-over passes on and a reload leaves")
    func observe() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let reserved = try [ReservedPort(), ReservedPort(), ReservedPort()]
        defer { withExtendedLifetime(reserved) {} }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let observe = reserved[1].number
        func write(observe port: UInt16) throws {
            let text = Listening.file(upstream.port, [("public", "127.0.0.1:\(reserved[0].number)")], takeover: folder)
            let admin = #""admin": {"address": "127.0.0.1:0""#
            try BalancerProcess.write(
                text.replacing(admin, with: admin + #", "observe": "127.0.0.1:\#(port)""#), to: folder + "/routes.json")
        }
        try write(observe: observe)
        let first = try BalancerProcess("", folder: folder)
        #expect(first.program.output.contains("observe 127.0.0.1:\(observe)"))
        for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/api/v1/status", 404)] {
            #expect(try get(path, port: observe).status == status)
        }
        #expect(try first.admin("/api/v1/status").status == 200)
        try write(observe: reserved[2].number)
        #expect(try eventually { try first.admin("/api/v1/status").text.contains(#""needsRestart":["$.admin"]"#) })
        #expect(try get("/readyz", port: observe).status == 200)
        try write(observe: observe)
        let second = try BalancerProcess("", folder: folder)
        #expect(first.program.awaitExit(seconds: 60) == 0)
        #expect(second.program.output.contains("observe 127.0.0.1:\(observe)"))
        let page = try get("/metrics", port: observe).text
        #expect(page.contains("balancer_admin_connections_active 1\n"))
        #expect(second.stop() == 0)
    }

    @Test("An address for probes and metrics that is taken ends the start with the reason")
    func observeTaken() throws {
        let taken = try ScriptedUpstream.plain("x")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let text = Routes.configuration(upstreams: [("core", [taken.port])]).replacing(
            #""admin": {"address": "127.0.0.1:0"}"#,
            with: #""admin": {"address": "127.0.0.1:0", "observe": "127.0.0.1:\#(taken.port)"}"#)
        try BalancerProcess.write(text, to: folder + "/routes.json")
        let ended = try Program.run("balancer", ["serve", "--config", folder + "/routes.json"])
        #expect(ended.status == 1)
        #expect(ended.errors.contains("cannot serve probes and metrics on 127.0.0.1:\(taken.port)"))
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
