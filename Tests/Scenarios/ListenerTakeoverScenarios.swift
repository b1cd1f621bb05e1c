import Glibc
import TestSupport
import Testing

/// Listening sockets that pass from one process to the next.
@Suite("Listeners in a take-over", .serialized) struct ListenerTakeoverScenarios {
    @Test("Listeners are renamed, swapped, widened and narrowed by a take-over while clients come")
    func changed() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try [ReservedPort(), ReservedPort()]
        defer { withExtendedLifetime(reserved) {} }
        let ports = reserved.map(\.number)
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let changes: [[(String, String)]] = [
            [("public", "127.0.0.1:\(ports[0])"), ("b", "127.0.0.1:\(ports[1])")],
            [("b", "127.0.0.1:\(ports[0])"), ("public", "127.0.0.1:\(ports[1])")],
            [("c", "127.0.0.1:\(ports[0])"), ("public", "0.0.0.0:\(ports[1])")],
            [("public", "[::]:\(ports[0])"), ("d", "127.0.0.1:\(ports[1])")],
            [("public", "0.0.0.0:\(ports[0])"), ("d", "[::]:\(ports[1])")],
        ]
        let load = ports.map { Arrivals(port: $0) }
        var running: BalancerProcess?
        for listeners in changes {
            try BalancerProcess.write(
                Listening.file(core.port, listeners, takeover: folder), to: folder + "/routes.json")
            let successor = try BalancerProcess("", workers: 2, folder: folder)
            if let running {
                #expect(running.program.awaitExit(seconds: 60) == 0)
            } else {
                for each in load { each.start(2) }
            }
            running = successor
            for each in load { try each.awaitAnswers(50) }
        }
        for each in load {
            each.stop()
            #expect(each.failures.isEmpty, "\(each.failures.prefix(5)) of \(each.answers)")
        }
    }

    @Test("Listeners that the successor does not have are closed, and who waits in their queues is served")
    func dropped() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try [ReservedPort(), ReservedPort()]
        defer { withExtendedLifetime(reserved) {} }
        let ports = reserved.map(\.number)
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let both = [("public", "127.0.0.1:\(ports[0])"), ("b", "127.0.0.1:\(ports[1])")]
        try BalancerProcess.write(Listening.file(core.port, both, takeover: folder), to: folder + "/routes.json")
        let running = try BalancerProcess("", workers: 2, folder: folder)
        let load = Arrivals(port: ports[1], mayBeRefused: true)
        load.start(4)
        try load.awaitAnswers(20)
        try BalancerProcess.write(
            Listening.file(core.port, [both[0]], takeover: folder), to: folder + "/routes.json")
        let successor = try BalancerProcess("", workers: 2, folder: folder)
        #expect(running.program.awaitExit(seconds: 60) == 0)
        #expect(eventually { load.refused > 0 }, "nobody serves it any more")
        load.stop()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5)) of \(load.answers)")
        #expect(try eventually { try Listening.inodes(ports[1]).isEmpty })
        #expect(try successor.request().text == "core")
    }

    @Test("With fewer workers than the predecessor had, or more, every socket of theirs is served")
    func workers() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Listening.file(core.port, [("public", "127.0.0.1:\(reserved.number)")], takeover: folder),
            to: folder + "/routes.json")
        var running: BalancerProcess?
        for count in [4, 1, 3] {
            let successor = try BalancerProcess("", workers: count, folder: folder)
            if let running { #expect(running.program.awaitExit(seconds: 60) == 0) }
            running = successor
            // The kernel deals new connections to the sockets by their ports: of so many each gets some.
            for _ in 0..<60 { #expect(try successor.request().text == "core") }
        }
    }

    @Test("A predecessor that drains sleeps while connections wait for its successor")
    func sleeps() throws {
        let core = try ScriptedUpstream.answering { request, _ in
            if request.start.contains("/slow") { usleep(6_000_000) }
            return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncore"
        }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Listening.file(core.port, [("public", "127.0.0.1:0")], takeover: folder), to: folder + "/routes.json")
        let predecessor = try BalancerProcess("", workers: 2, folder: folder)
        let slow = try predecessor.connect()
        slow.send("GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(eventually { core.requests.count == 1 })
        let successor = try BalancerProcess("", workers: 2, folder: folder)
        successor.program.signal(SIGSTOP)
        defer { successor.program.signal(SIGCONT) }
        let waiting = try (0..<8).map { _ in try RawConnection(port: predecessor.port) }
        let before = predecessor.program.cpuSeconds
        usleep(1_000_000)
        let used = predecessor.program.cpuSeconds - before
        #expect(used < 0.1, "\(used) s of processor time in 1 s")
        #expect(predecessor.program.exitStatus == nil, "it still drains")
        successor.program.signal(SIGCONT)
        for connection in waiting {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(connection.readAll(seconds: 20).text.hasSuffix("core"))
        }
        #expect(slow.readAll(seconds: 30).text.hasSuffix("core"))
        #expect(predecessor.program.awaitExit() == 0)
    }

    @Test("A drain goes along, as maintenance does")
    func drains() throws {
        let core = try ScriptedUpstream.plain("core")
        let other = try ScriptedUpstream.plain("other")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Routes.configuration(
                upstreams: [("core", [core.port, other.port])],
                top: "\"takeover\": {\"path\": \"\(folder)/takeover.sock\"}"), to: folder + "/routes.json")
        let predecessor = try BalancerProcess("", workers: 2, folder: folder)
        let endpoint = "127.0.0.1:\(other.port)"
        let set = try predecessor.command("endpoint", endpoint, "drain")
        #expect(set.status == 0, "\(set)")
        let successor = try BalancerProcess("", workers: 2, folder: folder)
        #expect(predecessor.program.awaitExit(seconds: 60) == 0)
        for _ in 0..<20 { #expect(try successor.request().text == "core") }
        let text = try successor.admin("/api/v1/upstreams").text
        #expect(text.contains("\"drain\""), "\(text)")
        #expect(try successor.command("endpoint", endpoint, "ready").status == 0)
        #expect(try eventually { try successor.request().text == "other" })
    }
}
