import Foundation
import Glibc
import TestSupport
import Testing

/// Where clients connect: changed while they come, taken over, contended for.
@Suite("Listeners", .serialized) struct ListenerScenarios {
    // MARK: reload

    @Test("A listener is widened, narrowed and widened to both families while clients come: each is answered")
    func widened() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let port = reserved.number
        let balancer = try BalancerProcess(Listening.file(core.port, [("public", "127.0.0.1:\(port)")]), workers: 2)
        let load = Arrivals(port: port)
        load.start(4)
        try load.awaitAnswers(50)
        for address in ["0.0.0.0", "127.0.0.1", "[::]", "0.0.0.0", "[::]", "127.0.0.1"] {
            try Listening.change(balancer, core.port, [("public", "\(address):\(port)")])
            try load.awaitAnswers(100)
        }
        load.stop()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5)) of \(load.answers)")
        #expect(balancer.program.errors.allSatisfy { !$0.contains("in use") }, "\(balancer.program.errors)")
    }

    @Test("A listener that is renamed, and two that swap their names, keep their sockets")
    func renamed() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try [ReservedPort(), ReservedPort()]
        defer { withExtendedLifetime(reserved) {} }
        let ports = reserved.map(\.number)
        let addresses = ports.map { "127.0.0.1:\($0)" }
        let balancer = try BalancerProcess(
            Listening.file(core.port, [("public", addresses[0]), ("inside", addresses[1])]), workers: 2)
        let sockets = try ports.map { try Listening.inodes($0) }
        #expect(sockets.map(\.count) == [2, 2], "one a worker")
        try Listening.change(balancer, core.port, [("inside", addresses[0]), ("public", addresses[1])])
        #expect(try ports.map { try Listening.inodes($0) } == sockets)
        try Listening.change(balancer, core.port, [("new", addresses[0])])
        #expect(try Listening.inodes(ports[0]) == sockets[0])
        #expect(try get("/", port: ports[0]).text == "core")
        #expect(try eventually { try Listening.inodes(ports[1]).isEmpty }, "the other one is closed")
    }

    @Test("A client that waits in the queue of a listener which goes is served")
    func queued() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try [ReservedPort(), ReservedPort()]
        defer { withExtendedLifetime(reserved) {} }
        let ports = reserved.map(\.number)
        let balancer = try BalancerProcess(Listening.file(core.port, [("public", "127.0.0.1:\(ports[0])")]), workers: 1)
        for round in 0..<10 {
            let (from, to) = round % 2 == 0 ? (ports[0], ports[1]) : (ports[1], ports[0])
            // Clients that find it open are answered; the others are refused before they have sent anything.
            let load = Arrivals(port: from, mayBeRefused: true)
            load.start(4)
            try load.awaitAnswers(10)
            try Listening.change(balancer, core.port, [("public", "127.0.0.1:\(to)")])
            #expect(eventually { load.refused > 20 })
            load.stop()
            #expect(load.failures.isEmpty, "\(load.failures.prefix(5)) of \(load.answers)")
        }
    }

    @Test("A stop refuses who comes and resets nobody")
    func stopped() throws {
        let core = try ScriptedUpstream.plain("core")
        for _ in 0..<5 {
            let balancer = try BalancerProcess(before: core, workers: 2)
            let load = Arrivals(port: balancer.port, mayBeRefused: true)
            load.start(4)
            try load.awaitAnswers(20)
            #expect(balancer.stop() == 0)
            #expect(eventually { load.refused > 0 })
            load.stop()
            #expect(load.failures.isEmpty, "\(load.failures.prefix(5)) of \(load.answers)")
        }
    }

    @Test("A stop for want of descriptors waits a while for one: who is in the queue is served")
    func stoppedShort() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(before: core)
        // It finds at once that it is to end, that a client waits, and that there is no descriptor for one. For a moment only: the
        // system's libraries cannot do without for long.
        try balancer.program.pause()
        try Listening.limitFiles(of: balancer.program, to: 3)
        let waiting = try balancer.connect()
        waiting.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        balancer.program.signal(SIGTERM)
        balancer.program.signal(SIGCONT)
        let isShort = eventually {
            ["cannot accept", "draining"].allSatisfy { word in balancer.program.errors.contains { $0.contains(word) } }
        }
        #expect(isShort, "\(balancer.program.errors)")
        try Listening.limitFiles(of: balancer.program, to: 1_024)
        #expect(waiting.readAll(seconds: 10).text.hasSuffix("core"))
        #expect(balancer.program.awaitExit() == 0)
    }

    // MARK: contention

    @Test("Of a hundred processes that start at the same moment on one address one serves")
    func simultaneousStarts() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let port = reserved.number
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Listening.file(core.port, [("public", "127.0.0.1:\(port)")]),
            to: folder + "/routes.json")
        let all = try (0..<100).map { _ in
            try Program("balancer", ["serve", "--config", folder + "/routes.json", "--workers", "2"])
        }
        #expect(eventually(seconds: 60) { all.count { $0.exitStatus != nil } >= 99 })
        let serving = all.filter { $0.exitStatus == nil }
        #expect(serving.count == 1)
        #expect(eventually { all.count { $0.output.contains("ready") } == 1 })
        #expect(try get("/", port: port).text == "core")
        let refused = try #require(all.first { $0.exitStatus != nil })
        #expect(refused.awaitExit() == 1)
        #expect(refused.errors.contains { $0.contains("in use") }, "\(refused.errors)")
        #expect(try Listening.inodes(port).count == 2)
    }

    @Test("A listener is not widened over another program's of the same user")
    func foreign() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let port = reserved.number
        let balancer = try BalancerProcess(Listening.file(core.port, [("public", "127.0.0.1:\(port)")]))
        let other = try BalancerProcess(Listening.file(core.port, [("public", "127.0.0.2:\(port)")]))
        try BalancerProcess.write(Listening.file(core.port, [("public", "0.0.0.0:\(port)")]), to: balancer.file)
        #expect(eventually { balancer.program.errors.contains { $0.contains("in use") } })
        #expect(try get("/", port: port).text == "core")
        #expect(try Listening.inodes(port).count == 2, "one socket each")
        #expect(other.program.exitStatus == nil)
    }

    // MARK: shortage

    @Test("A listener that its loop refuses once, behind a pause for want of descriptors, accepts again")
    func registrationFails() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let port = reserved.number
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Listening.file(core.port, [("public", "127.0.0.1:\(port)")]), to: folder + "/routes.json")
        let faults = try FaultyEpoll(in: folder)
        let balancer = try Program(
            path: "/usr/bin/env",
            faults.environment + [
                Program.path("balancer"), "serve", "--config", folder + "/routes.json", "--workers", "1",
            ])
        _ = try balancer.await { $0 == "ready" ? true : nil }
        #expect(try get("/", port: port).text == "core")
        // No descriptor is left: accepting pauses. When it is tried again, the loop has no memory for it, for a while.
        try Listening.limitFiles(of: balancer, to: 3)
        let waiting = try RawConnection(port: port)
        waiting.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(eventually { balancer.errors.contains { $0.contains("cannot accept") } }, "\(balancer.errors)")
        try faults.begin()
        usleep(500_000)
        try Listening.limitFiles(of: balancer, to: 1_024)
        faults.end()
        #expect(waiting.readAll(seconds: 10).text.hasSuffix("core"))
        #expect(eventually { balancer.errors.contains { $0.contains("accepts again") } }, "\(balancer.errors)")
    }

    @Test(
        "With few descriptors every client that is let in has one for its endpoint too: no 503", arguments: [256, 512])
    func descriptors(limit: Int) throws {
        let core = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                upstream.record(try reader.message(seconds: 60))
                // Each answer waits until nobody else comes, so that all requests are under way at once.
                _ = connection.readAll(seconds: 1)
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let port = reserved.number
        try BalancerProcess.write(
            Listening.file(core.port, [("public", "127.0.0.1:\(port)")]), to: folder + "/routes.json")
        let balancer = try Program(
            path: "/usr/bin/prlimit",
            [
                "--nofile=\(limit)", Program.path("balancer"), "serve", "--config", folder + "/routes.json",
                "--workers",
                "2",
            ])
        _ = try balancer.await { $0 == "ready" ? true : nil }
        try raiseOpenFiles(to: 4_096)
        let clients = try (0..<430).map { _ in try RawConnection(port: port) }
        for client in clients { client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n") }
        var answered = 0
        for client in clients {
            var reader = MessageReader(client)
            // Those beyond the ceiling are closed without a word.
            guard let answer = try? reader.message(seconds: 30) else { continue }
            #expect(answer.status == 200, "\(answer.start) \(answer.field("x-balancer-reason") ?? "")")
            answered += 1
        }
        #expect(
            answered == (limit == 512 ? 176 : 64),
            "(descriptors − 128 − 8 a worker − 1/32 for copies, at most half) / 2")
    }
}
