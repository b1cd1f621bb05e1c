import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// Copies of live requests and what comes of them, with a real balancer between real clients and servers.
@Suite("Mirror", .serialized) struct MirrorScenarios {
    /// A balancer whose plan is in its stage of copies alone.
    private final class Rig {
        let balancer: BalancerProcess
        let folder = BalancerProcess.makeFolder()

        init(_ old: UInt16, _ new: UInt16, mirror: String = "{}", compare: String = "{}", workers: Int = 1) throws {
            try BalancerProcess.write(
                Routes.configuration(
                    upstreams: [("core", [old]), ("gateway", [new])],
                    routes: #"{"name": "api", "match": {"path": "/"}, "split": {"core": 1, "gateway": 0}}"#,
                    top: """
                        "state": {"path": "\(self.folder)/state.sqlite"},
                        "migrations": [{"name": "move", "routes": ["api"], "from": "core", "to": "gateway",
                          "stages": [{"mirror": 100, "hold": "10h"}, {"share": 100, "hold": "1h"}],
                          "mirror": \(mirror), "compare": \(compare)}]
                        """), to: self.folder + "/routes.json")
            self.balancer = try BalancerProcess("", workers: workers, folder: self.folder)
            let started = try self.balancer.command("migration", "move", "start")
            guard started.status == 0 else { throw TestFailure("start: \(started.errors) \(started.output)") }
        }

        deinit { BalancerProcess.removeFolder(self.folder) }

        func differences() throws -> [String: Any] {
            try self.balancer.json("/api/v1/migrations/move/differences")
        }

        /// Copies of which it is known what has become of them: compared, or lost.
        private static func settled(_ body: [String: Any]) -> Int {
            Self.compared(body) + (body["dropped"] as? [String: Int] ?? [:]).values.reduce(0, +)
        }

        private static func compared(_ body: [String: Any]) -> Int { body["compared"] as? Int ?? 0 }

        /// Makes a request and waits for what becomes of its copy. Answers what is known then.
        @discardableResult
        func settle(_ request: () throws -> Void) throws -> [String: Any] {
            let before = Self.settled(try self.differences())
            try request()
            var last: [String: Any] = [:]
            let isDone = try eventually(seconds: 60) {
                last = try self.differences()
                return Self.settled(last) > before
            }
            guard isDone else { throw TestFailure("neither compared nor lost: \(last)") }
            return last
        }

        /// Likewise, until one more was compared: a copy may be lost where the machine has much else to do.
        @discardableResult
        func compare(_ request: () throws -> Void) throws -> [String: Any] {
            let before = Self.compared(try self.differences())
            for _ in 0..<100 {
                let body = try self.settle(request)
                if Self.compared(body) > before { return body }
            }
            throw TestFailure("every copy is lost: \(try self.dropped())")
        }

        func state(_ path: String, _ body: [String: Any]) -> String? {
            (body["classes"] as? [[String: Any]])?.first { $0["path"] as? String == path }?["state"] as? String
        }

        func dropped() throws -> [String] {
            try self.balancer.admin("/metrics").text.split(separator: "\n").map(String.init).filter {
                $0.hasPrefix("balancer_mirror_dropped_total") && !$0.hasSuffix(" 0")
            }
        }

        func metric(_ line: String) throws -> Int {
            let text = try self.balancer.admin("/metrics").text
            let found = text.split(separator: "\n").first { $0.hasPrefix(line + " ") }
            return found.flatMap { Int($0.split(separator: " ").last ?? "") } ?? 0
        }
    }

    private static func json(_ body: String) -> String {
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test("One wrong field in 5 % of answers is found beside a time and a random number, which are noise")
    func wrongField() throws {
        let clock = Atomic(0)
        @Sendable func answer(isWrong: Bool) -> String {
            let time = clock.add(1, ordering: .relaxed).newValue
            return Self.json(
                #"{"at":\#(time),"id":"\#(UInt64.random(in: 0...UInt64.max))","list":[{"rank":\#(isWrong ? 8 : 9)}]}"#)
        }
        let old = try ScriptedUpstream.answering { _, _ in answer(isWrong: false) }
        let count = Atomic(0)
        let new = try ScriptedUpstream.answering { _, _ in
            answer(isWrong: count.add(1, ordering: .relaxed).newValue % 20 == 0)
        }
        let rig = try Rig(old.port, new.port, compare: #"{"recheck": 6000}"#)
        let connection = try rig.balancer.connect()
        var reader = MessageReader(connection)
        var sent = 0
        // Twice a class and second the old side is asked again: some 15 rechecks of the wrong field, which is what it takes.
        var body: [String: Any] = [:]
        while sent < 5_000, rig.state("$.list[*].rank", body) != "real" {
            body = try rig.settle {
                connection.send("GET /candidate/\(sent) HTTP/1.1\r\nHost: test\r\n\r\n")
                _ = try reader.message()
                sent += 1
            }
        }
        #expect(rig.state("$.list[*].rank", body) == "real", "\(body)")
        #expect(rig.state("$.at", body) == "noise" && rig.state("$.id", body) == "noise", "\(body)")
        #expect((body["classes"] as? [[String: Any]])?.count == 3)
        // How many copies that took, and what was lost on the way; what is compared was answered before.
        #expect(body["copied"] as? Int ?? 0 >= body["compared"] as? Int ?? .max, "\(body)")
        #expect(body["dropped"] is [String: Any])
        // By command, and what operators say of it.
        let shown = try rig.balancer.command("differences", "move")
        #expect(shown.status == 0 && shown.output.contains("real") && shown.output.contains("/candidate/*"))
        #expect(shown.output.contains(" copies answered"), "\(shown.output)")
        let number = try #require(
            (body["classes"] as? [[String: Any]])?.first { $0["state"] as? String == "real" }?["number"] as? String)
        let example = try rig.balancer.command("differences", "move", number)
        #expect(example.output.contains("$.list[0].rank") && example.output.contains("GET /candidate/"))
        #expect(try rig.balancer.command("differences", "move", "accept", number).status == 64)
        let accepted = try rig.balancer.command("differences", "move", "accept", number, "--reason", "it may stay")
        #expect(accepted.status == 0 && accepted.output.contains("accepted"), "\(accepted.errors)")
        #expect(try rig.balancer.command("journal").output.contains("it may stay"))
        #expect(rig.state("$.list[*].rank", try rig.differences()) == "accepted")
        #expect(try rig.balancer.command("differences", "move", "reopen", number, "--reason", "no").status == 0)
        #expect(rig.state("$.list[*].rank", try rig.differences()) == "real")
        // Live traffic knows nothing of copies.
        let metrics = try rig.balancer.admin("/metrics").text
        #expect(
            metrics.contains("balancer_requests_total{route=\"api\",upstream=\"core\",status_class=\"2xx\"} \(sent)\n"))
        #expect(!metrics.contains("balancer_requests_total{route=\"api\",upstream=\"gateway\",status_class=\"2xx\"}"))
        #expect(metrics.contains("balancer_classes{migration=\"move\",state=\"noise\"} 2\n"))
    }

    @Test("Data that changes between the two answers is no mismatch")
    func movingData() throws {
        let version = Atomic(0)
        let old = try ScriptedUpstream.answering { _, _ in
            Self.json(#"{"version":\#(version.load(ordering: .relaxed))}"#)
        }
        let new = try ScriptedUpstream.answering { _, _ in
            // The copy comes behind the live answer: meanwhile the data has changed.
            Self.json(#"{"version":\#(version.add(1, ordering: .relaxed).newValue)}"#)
        }
        let rig = try Rig(old.port, new.port, compare: #"{"recheck": 6000}"#)
        for _ in 0..<40 {
            try rig.compare {
                let answer = try rig.balancer.request("/x")
                #expect(answer.status == 200)
            }
        }
        let results = try rig.differences()["results"] as? [String: Int] ?? [:]
        #expect(results["mismatch"] == 0, "\(results)")
        #expect(results["drift", default: 0] + results["noise", default: 0] > 2)
    }

    @Test("Whatever ails the new side, live requests notice nothing, and memory stays in its bounds")
    func troubles() throws {
        let old = try ScriptedUpstream.plain(String(repeating: "x", count: 1_000))
        let stopped = try BalancerProcess(
            Routes.configuration(upstreams: [("none", [9])], routes: #"{"name": "all", "respond": {"status": 404}}"#))
        defer { stopped.program.signal(SIGCONT) }
        let huge = try ScriptedUpstream.sized(10 << 20)
        let nowhere = try ReservedPort()
        for (name, port) in [("stopped", stopped.port), ("huge", huge.port), ("refusing", nowhere.number)] {
            let rig = try Rig(old.port, port, mirror: #"{"memory": "2MiB", "timeout": "500ms", "perSecond": 1000}"#)
            if name == "stopped" { stopped.program.signal(SIGSTOP) }
            let load = LoadClient(port: rig.balancer.port)
            load.start(connections: 8)
            try load.awaitAnswers(500)
            let before = try rig.metric("process_resident_memory_bytes")
            let end = Deadline(seconds: 6)
            var most = 0
            while !end.hasPassed {
                most = max(most, try rig.metric("balancer_mirror_memory_bytes"))
                usleep(50_000)
            }
            let after = try rig.metric("process_resident_memory_bytes")
            load.stop()
            try load.finish()
            #expect(load.failures.isEmpty, "\(name): \(load.failures.prefix(3))")
            #expect(most <= 2 << 20, "\(name)")
            #expect(after - before <= 6 << 20, "\(name): \(before) → \(after)")
            #expect(try !rig.dropped().isEmpty, "\(name)")
        }
    }

    @Test("POST is never copied, a client cannot mark its request, and no byte of a secret is kept")
    func secrets() throws {
        let secret = "hunter2-swordfish"
        let old = try ScriptedUpstream.answering { _, _ in
            Self.json(#"{"n":1,"mail":"\#(secret)-old","deep":{"apiKey":"\#(secret)"},"list":[{"v":"\#(secret)-l1"}]}"#)
        }
        let new = try ScriptedUpstream.answering { _, _ in
            Self.json(
                #"{"n":2,"mail":"\#(secret)-new","deep":{"apiKey":"\#(secret)2"},"list":[{"v":"\#(secret)-l2"}]}"#)
        }
        let rig = try Rig(
            old.port, new.port,
            compare:
                #"{"headers": ["content-type", "set-cookie"], "redact": {"paths": ["$.list[*].v"], "query": ["who"]}}"#)
        for _ in 0..<20 { #expect(try rig.balancer.request("/", method: "POST", body: secret).status == 200) }
        for _ in 0..<3 {
            try rig.compare {
                let answer = try rig.balancer.request(
                    "/a?token=\(secret)&who=\(secret)&page=2",
                    fields: "Cookie: s=\(secret)\r\nAuthorization: Bearer \(secret)\r\nX-Balancer-Mirror: forged\r\n")
                #expect(answer.status == 200)
            }
        }
        #expect(new.requests.count >= 3 && new.requests.allSatisfy { $0.start.hasPrefix("GET ") })
        #expect(
            new.requests.allSatisfy { $0.field("x-balancer-mirror") == "move" && $0.field("cookie") == "s=\(secret)" })
        #expect(old.requests.filter { $0.field("x-balancer-mirror") == "forged" }.isEmpty)
        #expect(try rig.dropped().contains { $0.contains("\"method\"") && $0.hasSuffix(" 20") })
        let body = try rig.differences()
        let classes = body["classes"] as? [[String: Any]] ?? []
        #expect(classes.count == 4, "\(classes)")
        var all = "\(body)"
        for each in classes {
            let number = each["number"] as? String ?? ""
            let one = try rig.balancer.admin("/api/v1/migrations/move/differences/\(number)")
            #expect(one.status == 200 && one.text.contains("‹"), "\(one.text)")
            all += one.text
            // Which writes all of them.
            #expect(
                try rig.balancer.command("differences", "move", "accept", number, "--reason", "seen").status == 0)
        }
        all += try rig.balancer.admin("/metrics").text + rig.balancer.program.errors.joined()
        #expect(!all.contains("hunter2") && all.contains("page=2"))
        #expect(rig.balancer.stop() == 0)
        var database = Data()
        for name in ["state.sqlite", "state.sqlite-wal"] {
            database += (try? Data(contentsOf: URL(fileURLWithPath: rig.folder + "/" + name))) ?? Data()
        }
        #expect(database.range(of: Data("page=2".utf8)) != nil)
        #expect(database.range(of: Data("hunter2".utf8)) == nil)
        // What was known is known again.
        let next = try BalancerProcess("", folder: rig.folder)
        let kept = try next.json("/api/v1/migrations/move/differences")["classes"] as? [[String: Any]] ?? []
        #expect(kept.count == 4 && kept.allSatisfy { $0["state"] as? String == "accepted" }, "\(kept)")
    }

    @Test("Copies take a bounded part of the process's descriptors, whatever the plan allows to each endpoint")
    func descriptors() throws {
        let old = try ScriptedUpstream.plain("old")
        defer { old.stop() }
        // Answers long after every request of this test: each copy keeps its connection.
        let new = try ScriptedUpstream.answering { _, _ in
            usleep(3_000_000)
            return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        }
        defer { new.stop() }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Routes.configuration(
                upstreams: [("core", [old.port]), ("gateway", [new.port])],
                routes: #"{"name": "api", "match": {"path": "/"}, "split": {"core": 1, "gateway": 0}}"#,
                top: """
                    "state": {"path": "\(folder)/state.sqlite"},
                    "migrations": [{"name": "move", "routes": ["api"], "from": "core", "to": "gateway",
                      "stages": [{"mirror": 100, "hold": "10h"}, {"share": 100, "hold": "1h"}],
                      "mirror": {"connections": 64}}]
                    """), to: folder + "/routes.json")
        let program = try Program(
            path: "/usr/bin/prlimit",
            [
                "--nofile=128:128", Program.path("balancer"), "serve", "--config", folder + "/routes.json", "--workers",
                "1",
            ])
        func port(_ prefix: String) throws -> UInt16 {
            try program.await { line in
                line.hasPrefix(prefix) ? line.split(separator: ":").last.flatMap { UInt16($0) } : nil
            }
        }
        let (admin, listener) = (try port("admin "), try port("listening public "))
        _ = try program.await { $0 == "ready" ? true : nil }
        let started = try Program.run("balancer", ["migration", "move", "start", "--admin", "127.0.0.1:\(admin)"])
        try #require(started.status == 0, "\(started)")
        let connection = try RawConnection(port: listener)
        var reader = MessageReader(connection)
        for _ in 0..<40 {
            connection.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try reader.message().text == "old")
        }
        // A thirty-second part of 128 is less than the least that they may have.
        #expect(eventually { new.connections == 8 }, "\(new.connections)")
        connection.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        #expect(try reader.message().text == "old")
        #expect(new.connections == 8)
    }
}
