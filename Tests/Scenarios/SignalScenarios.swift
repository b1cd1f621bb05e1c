import Glibc
import TestSupport
import Testing

/// Signals at every moment of a process's life.
@Suite("Signals", .serialized) struct SignalScenarios {
    /// Seconds in which a stop must have begun, and here also ended. It takes milliseconds; a loaded machine takes its time.
    private static let prompt = 2.0

    /// Starts a balancer that waits for its configuration, and answers it with the writing end of the pipe.
    private func starting() throws -> (program: Program, pipe: Int32, folder: String) {
        let folder = BalancerProcess.makeFolder()
        #expect(mkfifo(folder + "/routes.json", 0o600) == 0)
        let program = try Program("balancer", ["serve", "--config", folder + "/routes.json", "--workers", "1"])
        var pipe: Int32 = -1
        // Opening succeeds once the other side reads: the program is in `main` then.
        let reads = eventually(seconds: 20) {
            pipe = open(folder + "/routes.json", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            return pipe >= 0
        }
        guard reads else { throw TestFailure("the configuration is not read") }
        // A reader of our own: writing must not end the tests if the program has ended.
        let both = open(folder + "/routes.json", O_RDWR | O_CLOEXEC)
        close(pipe)
        return (program, both, folder)
    }

    @Test("Signals other than SIGTERM and SIGINT end nothing while the process starts, and it starts")
    func harmlessAtStart() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let (program, pipe, folder) = try self.starting()
        defer { BalancerProcess.removeFolder(folder) }
        for number in [SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGPIPE, SIGALRM] { program.signal(number) }
        let text = Routes.configuration(upstreams: [("core", [upstream.port])])
        #expect(write(pipe, text, text.utf8.count) == text.utf8.count)
        close(pipe)
        _ = try program.await { $0 == "ready" ? true : nil }
        program.signal(SIGTERM)
        #expect(program.awaitExit() == 0)
    }

    @Test("A process that still reads its configuration ends at once", arguments: [SIGTERM, SIGINT])
    func stopAtStart(number: Int32) throws {
        let (program, pipe, folder) = try self.starting()
        defer {
            close(pipe)
            BalancerProcess.removeFolder(folder)
        }
        program.signal(number)
        #expect(program.awaitExit(seconds: Self.prompt) == 0)
    }

    @Test("Signals other than SIGTERM and SIGINT end nothing while traffic runs, and are told")
    func harmless() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let balancer = try BalancerProcess(before: upstream)
        for number in [SIGUSR1, SIGUSR2, SIGQUIT, SIGPIPE, SIGHUP, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR] {
            balancer.program.signal(number)
            #expect(try balancer.request().text == "x", "after signal \(number)")
        }
        for number in [SIGUSR2, SIGQUIT, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR] {
            #expect(
                eventually { balancer.program.errors.contains { $0.contains("ignored") && $0.contains("\(number)") } },
                "signal \(number)")
        }
        #expect(eventually { balancer.program.errors.contains { $0.contains("origin=signal") } }, "SIGHUP loads")
        #expect(balancer.stop() == 0)
    }

    @Test("SIGTERM does not wait for a load that hangs; what runs is finished; a second one ends at once")
    func stopWhileLoading() throws {
        for second in [false, true] {
            let release = Progress()
            let upstream = try ScriptedUpstream.once { connection in
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
                _ = eventually(seconds: 40) { release.value > 0 }
                connection.send("def")
            }
            let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"drain\": \"40s\"}")
            let connection = try balancer.connect()
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(connection.read(until: "abc") != nil)
            // Where a name server or a network file system hangs, this hangs: no writer ever comes.
            unlink(balancer.file)
            #expect(mkfifo(balancer.file, 0o600) == 0)
            balancer.program.signal(SIGHUP)
            usleep(20_000)
            balancer.program.signal(SIGTERM)
            #expect(
                eventually(seconds: Self.prompt) { (try? RawConnection(port: balancer.port)) == nil },
                "nobody new is accepted")
            if second { balancer.program.signal(SIGTERM) } else { release.add(1) }
            #expect(balancer.program.awaitExit(seconds: Self.prompt + 1) == (second ? 130 : 0))
            release.add(1)
            #expect(connection.readAll().text == (second ? "" : "def"))
        }
    }

    @Test("SIGTERM does not wait for an admin address that another process has")
    func stopBesideForeignAdmin() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let foreign = try ScriptedUpstream.plain("foreign")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let text = Routes.configuration(
            upstreams: [("core", [upstream.port])], top: "\"takeover\": {\"path\": \"\(folder)/takeover.sock\"}"
        ).replacing(
            "\"admin\": {\"address\": \"127.0.0.1:0\"}", with: "\"admin\": {\"address\": \"127.0.0.1:\(foreign.port)\"}"
        )
        try BalancerProcess.write(text, to: folder + "/routes.json")
        let program = try Program("balancer", ["serve", "--config", folder + "/routes.json", "--workers", "1"])
        _ = try program.await { $0.hasPrefix("listening public ") ? true : nil }
        program.signal(SIGTERM)
        #expect(program.awaitExit(seconds: Self.prompt) == 0)
        #expect(!program.output.contains("ready"))
    }
}
