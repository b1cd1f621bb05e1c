import Foundation
import Glibc
import TestSupport
import Testing

/// What becomes of a running process when its configuration's file changes, goes, or cannot be put in force.
@Suite("Reload", .serialized) struct ReloadScenarios {
    private static func isGood(_ balancer: BalancerProcess) throws -> Bool {
        let page = try balancer.admin("/metrics").text
        if page.contains("\nbalancer_config_last_reload_successful 1\n") { return true }
        if page.contains("\nbalancer_config_last_reload_successful 0\n") { return false }
        throw TestFailure("no gauge")
    }

    private static func problems(_ balancer: BalancerProcess) throws -> String {
        let reload = try balancer.json("/api/v1/status")["lastReload"] as? [String: Any]
        let problems = reload?["problems"] as? [[String: Any]] ?? []
        return problems.compactMap { $0["message"] as? String }.joined(separator: "; ")
    }

    @Test("Heads and trailers may be as large as a reload makes them, both ways")
    func largerMessages() throws {
        let head = String(repeating: "x", count: 200_000)
        let trailer = String(repeating: "y", count: 12_000)
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                upstream.record(try reader.message(seconds: 60))
                connection.send(
                    "HTTP/1.1 200 OK\r\nX-Long: \(head)\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "2\r\nok\r\n0\r\nX-End: \(trailer)\r\n\r\n")
            }
        }
        let balancer = try BalancerProcess(before: upstream)
        func ask() throws -> Message {
            let client = try balancer.connect()
            client.send(
                "POST / HTTP/1.1\r\nHost: h\r\nX-Long: \(head)\r\nTE: trailers\r\nConnection: close, te\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n2\r\nup\r\n0\r\nX-Sum: \(trailer)\r\n\r\n")
            var reader = MessageReader(client)
            return try reader.message()
        }
        #expect(try ask().status == 431)
        try BalancerProcess.write(
            Routes.configuration(
                upstreams: [("core", [upstream.port])],
                top: #""limits": {"headerBytes": "256KiB", "trailerBytes": "16KiB"}"#), to: balancer.file)
        var answer = try ask()
        #expect(
            try eventually {
                answer = try ask()
                return answer.status == 200
            })
        #expect(answer.field("x-long") == head && answer.text == "ok")
        #expect(answer.trailers == ["X-End: \(trailer)"])
        let request = try #require(upstream.requests.last)
        #expect(request.field("x-long") == head && request.text == "up" && request.trailers == ["X-Sum: \(trailer)"])
    }

    @Test("Whatever is in the file's place, traffic goes on, and the gauge and the status tell the truth of it")
    func places() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let file = folder + "/routes.json"
        let text = Routes.configuration(upstreams: [("core", [upstream.port])])
        try BalancerProcess.write(text, to: file)
        let balancer = try BalancerProcess("", folder: folder)
        let places: [(reason: String, put: () throws -> Void)] = [
            ("no such file", {}),
            ("empty", { try BalancerProcess.write("", to: file) }),
            ("directory", { mkdir(file, 0o700) }),
            ("symbolic links", { symlink("routes.json", file) }),
            ("pipe", { mkfifo(file, 0o600) }),
            ("not JSON", { try BalancerProcess.write("{", to: file) }),
        ]
        for place in places {
            try FileManager.default.removeItem(atPath: file)
            try place.put()
            #expect(try eventually { try !Self.isGood(balancer) }, "\(place.reason)")
            #expect(try Self.problems(balancer).contains(place.reason))
            #expect(try balancer.request().text == "x")
            // Whatever is there; the first place is empty.
            try? FileManager.default.removeItem(atPath: file)
            try BalancerProcess.write(text, to: file)
            #expect(try eventually { try Self.isGood(balancer) }, "after: \(place.reason)")
            #expect(try Self.problems(balancer) == "")
        }
        #expect(balancer.stop() == 0)
    }

    @Test("A listener whose port is taken is bound when the port is free, without another change of the file")
    func portTaken() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let foreign = try ScriptedUpstream.plain("foreign")
        let balancer = try BalancerProcess(before: upstream)
        let text = Routes.configuration(upstreams: [("core", [upstream.port])])
        try BalancerProcess.write(
            text.replacing(
                "\"listeners\": [",
                with: "\"listeners\": [{\"name\": \"second\", \"address\": \"127.0.0.1:\(foreign.port)\"}, "),
            to: balancer.file)
        #expect(try eventually { try !Self.isGood(balancer) })
        #expect(try Self.problems(balancer).contains("in use"))
        #expect(try balancer.request().text == "x")
        foreign.stop()
        #expect(try eventually { try Self.isGood(balancer) })
        #expect(try get("/", port: foreign.port).text == "x")
    }

    @Test("The file changes while no descriptor is free: the process lives, traffic goes on, and it is loaded later")
    func noDescriptor() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let balancer = try BalancerProcess(before: upstream)
        let client = try balancer.connect()
        var reader = MessageReader(client)
        func isServed() throws -> Bool {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            return try reader.message().text == "x"
        }
        #expect(try isServed())
        func limit(_ value: String) throws {
            let result = try Program.run(
                path: "/usr/bin/prlimit", ["--pid", "\(balancer.program.pid)", "--nofile=\(value):"])
            #expect(result.status == 0, "\(result.errors)")
        }
        // The lowest number that is free is the one that would be taken next.
        let taken = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(balancer.program.pid)/fd")
        try limit("\((0...).first { !taken.contains("\($0)") } ?? 0)")
        try BalancerProcess.write(
            Routes.configuration(upstreams: [("core", [upstream.port]), ("other", [upstream.port])]),
            to: balancer.file)
        #expect(
            eventually {
                balancer.program.errors.contains { $0.contains("rejected") && $0.contains("Too many open files") }
            })
        #expect(try isServed())
        try limit("1024")
        #expect(eventually { balancer.program.errors.contains { $0.contains("generation=2") } }, "by itself")
        #expect(try isServed())
        #expect(try Self.isGood(balancer))
        #expect(balancer.stop() == 0)
    }

    @Test("The user has no thread left: files are loaded, probes and look-ups go on, traffic too")
    func noThread() throws {
        let upstream = try ScriptedUpstream.echoing()
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        #expect(chmod(folder, 0o755) == 0)
        let top = "\"takeover\": {\"path\": \"\(folder)/run/takeover.sock\"}"
        let names = "\"discovery\": {\"dns\": {\"name\": \"a.test\", \"port\": 80, \"resolver\": \"127.0.0.1:1\"}}"
        func write(_ weight: Int) throws {
            let text = Routes.configuration(
                upstreams: [("core", [upstream.port])],
                routes: #"{"name": "api", "split": {"core": \#(weight)}}"#,
                upstreamKeys: "\"health\": {\"path\": \"/\", \"interval\": \"100ms\", \"rise\": 1}", top: top
            ).replacing("\"upstreams\": {", with: "\"upstreams\": {\"named\": {\(names)}, ")
            try BalancerProcess.write(text, to: folder + "/routes.json")
            chmod(folder + "/routes.json", 0o644)
        }
        try write(1)
        #expect(mkdir(folder + "/run", 0o777) == 0 && chmod(folder + "/run", 0o777) == 0)
        // Where the tests are run by root, whom no such limit concerns, the balancer is another user's.
        let user = geteuid() == 0 ? ["/usr/bin/setpriv", "--reuid", "40321", "--clear-groups"] : ["/usr/bin/env"]
        let serve = [Program.path("balancer"), "serve", "--config", folder + "/routes.json", "--workers", "1"]
        let program = try Program(path: user[0], Array(user[1...]) + serve)
        func port(_ prefix: String) throws -> UInt16 {
            try program.await { line in
                line.hasPrefix(prefix) ? line.split(separator: ":").last.flatMap { UInt16($0) } : nil
            }
        }
        let (admin, listener) = (try port("admin "), try port("listening public "))
        _ = try program.await { $0 == "ready" ? true : nil }
        let limited = try Program.run(
            path: user[0], Array(user[1...]) + ["/usr/bin/prlimit", "--pid", "\(program.pid)", "--nproc=1:1"])
        #expect(limited.status == 0, "\(limited.errors)")
        let before = upstream.requests.count
        for weight in 2...4 {
            try write(weight)
            program.signal(SIGHUP)
            #expect(eventually { program.errors.contains { $0.contains("generation=\(weight)") } })
            #expect(try get("/\(weight)", port: listener).text == "/\(weight)")
        }
        #expect(eventually { upstream.requests.count > before + 10 }, "probes go on")
        #expect(program.errors.contains { $0.contains("127.0.0.1:1 cannot be asked") }, "look-ups go on")
        #expect(try get("/api/v1/status", port: admin).status == 200)
        // A successor of the same user has a limit of its own.
        let successor = try Program(path: user[0], Array(user[1...]) + serve)
        _ = try successor.await { $0 == "ready" ? true : nil }
        #expect(program.awaitExit() == 0)
        #expect(try get("/after", port: listener).text == "/after")
        successor.signal(SIGTERM)
        #expect(successor.awaitExit() == 0)
    }
}
