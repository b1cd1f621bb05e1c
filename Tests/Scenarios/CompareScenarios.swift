import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// `balancer compare` between two servers, without a balancer.
@Suite("Offline comparison", .serialized) struct CompareScenarios {
    private struct Outcome {
        var status: Int32
        var errors: String
        var report: [String: Any]

        var classes: [[String: Any]] { self.report["classes"] as? [[String: Any]] ?? [] }

        func number(_ key: String) -> Int { self.report[key] as? Int ?? -1 }
        func result(_ key: String) -> Int { (self.report["results"] as? [String: Any])?[key] as? Int ?? -1 }

        /// The state of the class at a path, or of that kind.
        func state(_ place: String) -> String? {
            self.classes.first { $0["path"] as? String == place || $0["kind"] as? String == place }?["state"] as? String
        }
    }

    private func compare(_ old: UInt16, _ new: UInt16, _ lines: [String], _ options: String...) throws -> Outcome {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(lines.joined(separator: "\n"), to: folder + "/paths")
        let words = ["compare", "127.0.0.1:\(old)", "http://127.0.0.1:\(new)/", "--paths", folder + "/paths", "--json"]
        let ended = try Program.run("balancer", words + ["--rate", "5000"] + options, seconds: 300)
        let report = try? JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [String: Any]
        return Outcome(status: ended.status, errors: ended.errors, report: report ?? [:])
    }

    private static func json(_ body: String, _ fields: String = "") -> String {
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private static func target(_ request: Message) -> String { String(request.start.split(separator: " ")[1]) }

    @Test("Core and gateway are alike over every route")
    func everyRoute() throws {
        let site = try GatewayParityScenarios.Site()
        let (existing, missing) = try site.targets()
        #expect(existing.count == 44)
        let lines = existing + missing + existing.map { "HEAD \($0)" }
        // What is slow in a debug build is no difference.
        let outcome = try self.compare(site.corePort, site.gatewayPorts[0], lines, "--timeout", "120")
        #expect(outcome.status == 0, "\(outcome.report) \(outcome.errors)")
        #expect(outcome.number("compared") == lines.count)
        #expect(outcome.result("equal") == lines.count)
        #expect(outcome.classes.isEmpty)
    }

    @Test("One wrong field in 5 % of answers is found beside a time and a random number, which are noise")
    func wrongField() throws {
        let clock = Atomic(0)
        let wrong = Atomic(0)
        @Sendable func answer(isWrong: Bool) -> String {
            let time = clock.add(1, ordering: .relaxed).newValue
            let list = #"[{"stash":"a","rank":7},{"stash":"b","rank":\#(isWrong ? 8 : 9)}]"#
            return Self.json(
                #"{"at":\#(time),"id":"\#(UInt64.random(in: 0...UInt64.max))","list":\#(list),"email":"a@b.c"}"#)
        }
        let old = try ScriptedUpstream.answering { _, _ in answer(isWrong: false) }
        let count = Atomic(0)
        let new = try ScriptedUpstream.answering { _, _ in
            let isWrong = count.add(1, ordering: .relaxed).newValue % 20 == 0
            if isWrong { wrong.add(1, ordering: .relaxed) }
            return answer(isWrong: isWrong)
        }
        let outcome = try self.compare(
            old.port, new.port, (0..<60).map { "/candidate/\($0)" }, "--repeat", "12", "--concurrency", "8")
        #expect(outcome.status == 1, "\(outcome.errors)")
        #expect(outcome.number("compared") == 720 && count.load(ordering: .relaxed) == 720)
        #expect(outcome.classes.count == 3)
        #expect(outcome.state("$.list[*].rank") == "real")
        #expect(outcome.state("$.at") == "noise" && outcome.state("$.id") == "noise")
        #expect(outcome.result("mismatch") == 36 && wrong.load(ordering: .relaxed) == 36)
        // What differs by itself is no mismatch, but in the comparisons before that was known.
        #expect(outcome.result("noise") == 684)
        let real = outcome.classes[0]
        #expect(real["template"] as? String == "/candidate/*")
        let example = try #require((real["examples"] as? [[String: Any]])?.first)
        #expect(example["place"] as? String == "$.list[1].rank")
        #expect(example["old"] as? String == "9" && example["new"] as? String == "8")

        // Without the two there is nothing to learn about them, and OLD is asked again about the field alone.
        let told = try self.compare(
            old.port, new.port, (0..<60).map { "/candidate/\($0)" }, "--repeat", "12", "--ignore", "$.at", "--ignore",
            "$['id']")
        #expect(told.status == 1 && told.classes.count == 1 && told.number("rechecks") == 36)
        let alike = try self.compare(
            old.port, new.port, ["/a"], "--repeat", "40", "--ignore", "$.at", "--ignore", "$.id", "--ignore",
            "$.list[*].rank")
        #expect(alike.status == 0 && alike.result("equal") == 40)
    }

    @Test("Data that changes between the two questions is no mismatch")
    func movingData() throws {
        let version = Atomic(0)
        let answered = Mutex<Set<String>>([])
        let old = try ScriptedUpstream.answering { request, _ in
            let body = #"{"version":\#(version.load(ordering: .relaxed))}"#
            answered.withLock { _ = $0.insert(Self.target(request)) }
            return Self.json(body)
        }
        let new = try ScriptedUpstream.answering { request, _ in
            // After OLD has answered, the data changes: every tenth time.
            let target = Self.target(request)
            for _ in 0..<20_000 where !answered.withLock({ $0.contains(target) }) { usleep(500) }
            if target.hasSuffix("0") { version.add(1, ordering: .relaxed) }
            return Self.json(#"{"version":\#(version.load(ordering: .relaxed))}"#)
        }
        let outcome = try self.compare(old.port, new.port, (1...200).map { "/x/\($0)" }, "--concurrency", "1")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.result("mismatch") == 0 && outcome.result("equal") == 180)
        #expect(outcome.result("drift") + outcome.result("noise") == 20)
        #expect(outcome.number("rechecks") == 20)
        #expect(outcome.classes.first?["cleared"] as? Int == 20)
    }

    @Test("A difference that was seen once and stands is open, and counts")
    func openClass() throws {
        let old = try ScriptedUpstream.answering { _, _ in
            Self.json(#"{"a":1,"token":"hunter2"}"#, "Cache-Control: no-store\r\n")
        }
        let new = try ScriptedUpstream.answering { _, _ in Self.json(#"{"a":1,"token":"hunter3"}"#) }
        let outcome = try self.compare(old.port, new.port, ["/a?token=hunter4"])
        #expect(outcome.status == 1)
        #expect(outcome.classes.count == 1 && outcome.state("$.token") == "open")
        #expect(!"\(outcome.report)".contains("hunter"))
        let header = try self.compare(old.port, new.port, ["/a"], "--header", "Cache-Control", "--ignore", "$.token")
        #expect(header.status == 1 && header.classes.count == 1 && header.state("header:cache-control") == "open")
        // For people the same, in words.
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write("/a?token=hunter4", to: folder + "/paths")
        let text = try Program.run(
            "balancer", ["compare", "127.0.0.1:\(old.port)", "127.0.0.1:\(new.port)", "--paths", folder + "/paths"])
        #expect(text.status == 1)
        #expect(text.output.contains("The two sides differ. Classes that stand: 0 real, 1 open."))
        #expect(text.output.contains("value $.token") && !text.output.contains("hunter"))
    }

    @Test("A side that does not answer ends it with 2, and says which")
    func unreachable() throws {
        let here = try ScriptedUpstream.plain("x")
        let nowhere = try ReservedPort()
        let new = try self.compare(here.port, nowhere.number, ["/a"])
        #expect(new.status == 2)
        #expect((new.report["reason"] as? String)?.hasPrefix("NEW does not answer") == true)
        let old = try self.compare(nowhere.number, here.port, (0..<1_000).map { "/\($0)" })
        #expect(old.status == 2)
        #expect((old.report["reason"] as? String)?.hasPrefix("OLD does not answer") == true)
        // It is not asked a thousand times.
        #expect(here.requests.count < 50)
    }

    @Test(
        "An access log of ours is asked again; what may change data is left out, and refused where it was written by hand"
    )
    func inputs() throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let log = [
            #"{"time":"2026-01-02T03:04:05.000Z","status":200,"method":"GET","target":"/a?b=1","durationMicroseconds":5}"#,
            #"{"time":"2026-01-02T03:04:05.000Z","status":200,"method":"POST","target":"/a"}"#,
            #"{"time":"2026-01-02T03:04:05.000Z","status":400,"client":"127.0.0.1"}"#, "", "# by hand", "GET /c", "/d",
        ]
        let outcome = try self.compare(old.port, new.port, log)
        #expect(outcome.status == 0 && outcome.number("compared") == 3)
        #expect(Set(old.requests.map(Self.target)) == ["/a?b=1", "/c", "/d"])
        #expect(outcome.errors.contains("1 lines with methods") && outcome.errors.contains("1 log lines"))
        let refused = try self.compare(old.port, new.port, ["/a", "DELETE /b"])
        #expect(refused.status == 64 && refused.errors.contains(":2: DELETE may change something"))
        let unsafe = try self.compare(old.port, new.port, log + ["DELETE /b"], "--unsafe")
        #expect(unsafe.status == 0 && unsafe.number("compared") == 5)
        #expect(new.requests.contains { $0.start.hasPrefix("DELETE /b ") })
        // A difference of such an answer is left unconfirmed: it is not done twice.
        let other = try ScriptedUpstream.plain("y")
        let changed = try self.compare(other.port, new.port, ["DELETE /once"], "--unsafe")
        #expect(changed.status == 1 && changed.result("unconfirmed") == 1 && other.requests.count == 1)
        for options in [
            ["--ignore", "a"], ["--header", "Date"], ["--rate", "0"], ["--relative", "-1"], ["--template", "x"],
        ] {
            let wrong = try Program.run(
                "balancer", ["compare", "127.0.0.1:1", "127.0.0.1:2", "--paths", "/dev/null"] + options)
            #expect(wrong.status == 64, "\(options) \(wrong.errors)")
        }
    }

    @Test("Questions keep to the rate")
    func rate() throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let clock = ContinuousClock()
        let time = try clock.measure {
            _ = try self.compare(old.port, new.port, (0..<20).map { "/\($0)" }, "--rate", "10")
        }
        // Twenty questions are nineteen intervals.
        #expect(time >= .milliseconds(1_890))
        #expect(old.requests.count == 20 && new.requests.count == 20)
    }

    @Test("An interrupted comparison reports what it has")
    func interrupted() throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write((0..<1_000).map { "/\($0)" }.joined(separator: "\n"), to: folder + "/paths")
        let program = try Program(
            "balancer",
            ["compare", "127.0.0.1:\(old.port)", "127.0.0.1:\(new.port)", "--paths", folder + "/paths", "--rate", "20"])
        let deadline = Date().addingTimeInterval(30)
        while new.requests.count < 3, Date() < deadline { usleep(1_000) }
        program.signal(SIGINT)
        #expect(program.awaitExit(seconds: 30) == 130)
        #expect(program.output.last == "Interrupted: no difference was found so far.")
        #expect(new.requests.count < 500)
    }
}
