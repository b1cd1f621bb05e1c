import Foundation
import Synchronization
import TestSupport
import Testing

/// Plans that run in a real process, under load, in seconds.
@Suite("Migrations", .serialized) struct MigrationScenarios {
    /// Gates that a handful of samples passes.
    private static let wide = """
        "gates": {"minimum": 20, "falseAdvance": 50, "errors": {"tolerance": 5, "margin": 40}, "clientErrors": false,
          "cancelled": false, "latency": false, "mismatches": false, "settle": "0s"}
        """

    /// Two sides, the new one of which is well as long as it is told to be.
    private final class Sides: Sendable {
        let core: ScriptedUpstream
        let gateway: ScriptedUpstream

        init(pause: Duration = .zero) throws {
            let (bad, slow, old) = (Flag(), Flag(), Flag())
            self.flags = (bad, slow, old)
            self.core = try .answering { _, _ in
                Self.wait(pause)
                if old.isSet { return "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nold" }
                return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncore"
            }
            self.gateway = try .answering { _, _ in
                Self.wait(pause)
                if slow.isSet { Self.wait(.milliseconds(60)) }
                if bad.isSet { return "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad" }
                return "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngateway"
            }
        }

        private let flags: (bad: Flag, slow: Flag, old: Flag)

        func turnBad() { self.flags.bad.set() }
        func turnOldBad() { self.flags.old.set() }
        func turnSlow() { self.flags.slow.set() }
        func stop() {
            self.core.stop()
            self.gateway.stop()
        }

        private static func wait(_ pause: Duration) {
            guard pause > .zero else { return }
            usleep(UInt32(pause.components.attoseconds / 1_000_000_000_000))
        }
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { self.value.load(ordering: .acquiring) }
        func set() { self.value.store(true, ordering: .releasing) }
    }

    /// The file of a plan between two sides, and the folder that is its own.
    private static func folder(
        _ sides: Sides, stages: String, more: String = Self.wide
    ) throws -> String {
        let folder = BalancerProcess.makeFolder()
        try self.write(sides, stages: stages, more: more, to: folder)
        return folder
    }

    private static func write(
        _ sides: Sides, stages: String, more: String = Self.wide,
        split: String = "\"core\": 1, \"gateway\": 0", top: String = "", to folder: String
    ) throws {
        let text = Routes.configuration(
            upstreams: [("core", [sides.core.port]), ("gateway", [sides.gateway.port])],
            routes: "{\"name\": \"api\", \"split\": {\(split)}, \"override\": {}}",
            upstreamKeys: "\"passive\": {\"enabled\": false}, \"retry\": {\"attempts\": 0}",
            top: """
                "state": {"path": "\(folder)/state.sqlite"},
                "migrations": [{"name": "move", "routes": ["api"], "from": "core", "to": "gateway", "stages": \(stages), \(more)}]\(top)
                """)
        try BalancerProcess.write(text, to: folder + "/routes.json")
    }

    private static func plan(_ balancer: BalancerProcess) throws -> [String: Any] {
        try balancer.json("/api/v1/migrations/move")
    }

    private static func state(_ balancer: BalancerProcess) -> String? {
        (try? self.plan(balancer))?["state"] as? String
    }

    private static func share(_ balancer: BalancerProcess) -> Double? {
        ((try? self.plan(balancer))?["share"] as? NSNumber)?.doubleValue
    }

    private static func act(_ balancer: BalancerProcess, _ verb: String, _ body: String = "{}") throws -> Message {
        try balancer.admin("/api/v1/migrations/move/\(verb)", method: "POST", body: body)
    }

    /// Entries of the journal about the plan, oldest first.
    private static func journal(_ balancer: BalancerProcess) throws -> [[String: Any]] {
        try balancer.json("/api/v1/journal?subject=move")["entries"] as? [[String: Any]] ?? []
    }

    @Test("From the first percent to the last, by itself: nothing lost, each stage's samples its share, all of it told")
    func wholeWay() throws {
        let sides = try Sides(pause: .milliseconds(1))
        defer { sides.stop() }
        let folder = try Self.folder(
            sides, stages: #"[{"share": 10, "hold": "1s"}, {"share": 50, "hold": "1s"}, {"share": 100, "hold": "1s"}]"#)
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", workers: 2, folder: folder)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 8)
        defer { load.stop() }
        try load.awaitAnswers(50)
        #expect(load.answers["gateway"] == nil)
        let forecast = try balancer.command("migration", "move", "start", "--dry-run")
        #expect(forecast.status == 0 && forecast.output.contains("would: started: stage 1 of 3 (10 %)"), "\(forecast)")
        #expect(Self.state(balancer) == "ready")
        let started = try balancer.command("migration", "move", "start", "--reason", "a drill")
        #expect(started.status == 0, "\(started)")
        let isOver = eventually(seconds: 60) { Self.state(balancer) == "complete" }
        #expect(isOver, "\(String(describing: try? Self.plan(balancer)))")
        #expect(Self.share(balancer) == 100)
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(3))")
        #expect(
            sides.core.requests.count + sides.gateway.requests.count == load.total,
            "no request was answered twice or lost")
        // Each advance tells the numbers that it stands on.
        let advanced = try Self.journal(balancer).filter { ($0["detail"] as? String)?.hasPrefix("advanced") == true }
        #expect(advanced.count == 2, "\(advanced)")
        for (entry, share) in zip(advanced, [0.1, 0.5]) {
            let text = try #require(entry["evidence"] as? String)
            let evidence = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            let gates = try #require(evidence["gates"] as? [[String: Any]])
            let errors = try #require(gates.first { $0["gate"] as? String == "errors" })
            func samples(_ side: String) -> Double {
                ((errors[side] as? [String: Any])?["of"] as? NSNumber)?.doubleValue ?? 0
            }
            let (new, old) = (samples("new"), samples("old"))
            // The interleave is exact; what is under way at a look is not counted yet.
            #expect(abs(new - share * (new + old)) <= 20, "\(new) and \(old) at \(share)")
        }
        let metrics = try balancer.admin("/metrics").text
        #expect(metrics.contains("balancer_migration_state{migration=\"move\",state=\"complete\"} 1\n"))
        #expect(
            metrics.contains("balancer_migration_transitions_total{migration=\"move\",to=\"complete\",reason=\"\"} 1\n")
        )
    }

    @Test("A new side that turns bad at 25 % is sent back: share 0, and few clients have met an error")
    func turnsBad() throws {
        let sides = try Sides(pause: .milliseconds(20))
        defer { sides.stop() }
        let folder = try Self.folder(
            sides,
            stages: #"[{"share": 5, "hold": "1s"}, {"share": 25, "hold": "1h"}, {"share": 100, "hold": "1h"}]"#)
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", folder: folder)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 2)
        defer { load.stop() }
        #expect(try Self.act(balancer, "start").status == 200)
        #expect(eventually(seconds: 60) { Self.share(balancer) == 25 })
        try load.awaitAnswers(40)
        sides.turnBad()
        #expect(eventually(seconds: 20) { Self.state(balancer) == "retreated" })
        #expect(Self.share(balancer) == 0)
        let failed = load.failures.count
        try load.awaitAnswers(60)
        load.stop()
        try load.finish()
        #expect(load.failures.count - failed <= 3, "what was under way")
        #expect(load.failures.count <= 60 && !load.failures.isEmpty, "\(load.failures.count)")
        let plan = try Self.plan(balancer)
        let retreat = try #require(plan["retreat"] as? [String: Any])
        #expect((retreat["words"] as? String)?.hasPrefix("errors:") == true, "\(retreat)")
        // A failed gate needs eyes: it does not begin again by itself, nor at once by hand.
        let again = try Self.act(balancer, "start")
        #expect(again.status == 409 && again.text.contains("cooldown"), "\(again.text)")
        #expect(try Self.act(balancer, "start", #"{"force": true}"#).status == 422)
        #expect(try Self.act(balancer, "start", #"{"force": true, "reason": "mended"}"#).status == 200)
        #expect(Self.share(balancer) == 5)
    }

    @Test("A new side that is slow only is sent back by its latency")
    func turnsSlow() throws {
        let sides = try Sides(pause: .milliseconds(2))
        defer { sides.stop() }
        let folder = try Self.folder(
            sides, stages: #"[{"share": 50, "hold": "1h"}, {"share": 100, "hold": "1h"}]"#,
            more: #""gates": {"mismatches": false, "settle": "0s"}"#)
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", folder: folder)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 4)
        defer { load.stop() }
        #expect(try Self.act(balancer, "start").status == 200)
        try load.awaitAnswers(200)
        #expect(Self.state(balancer) == "running")
        sides.turnSlow()
        #expect(
            eventually(seconds: 60) { Self.state(balancer) == "retreated" },
            "\(String(describing: try? Self.plan(balancer)))")
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty)
        let retreat = try #require(try Self.plan(balancer)["retreat"] as? [String: Any])
        let words = try #require(retreat["words"] as? String)
        #expect(words.hasPrefix("p50") || words.hasPrefix("p99"), "\(words)")
    }

    @Test("Without traffic nothing rises and nothing goes back: it is inconclusive after its patience")
    func noTraffic() throws {
        let sides = try Sides()
        defer { sides.stop() }
        let folder = try Self.folder(
            sides, stages: #"[{"share": 5, "hold": "0s"}, {"share": 100, "hold": "0s"}]"#,
            more: Self.wide + #", "patience": "2s""#)
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", folder: folder)
        #expect(try Self.act(balancer, "start").status == 200)
        #expect(eventually(seconds: 20) { Self.state(balancer) == "inconclusive" })
        #expect(Self.share(balancer) == 5)
        #expect(try Self.act(balancer, "advance").status == 409)
        let forced = try balancer.command("migration", "move", "advance", "--force", "--reason", "nobody asks")
        #expect(forced.status == 0, "\(forced)")
        #expect(Self.share(balancer) == 100)
        let entries = try Self.journal(balancer)
        #expect(entries.contains { $0["forced"] as? Bool == true && $0["reason"] as? String == "nobody asks" })
    }

    @Test("Approval, pause, resume, hands and retreat: each row of the table, and 409 where there is none")
    func byHand() throws {
        let sides = try Sides()
        defer { sides.stop() }
        let folder = try Self.folder(
            sides,
            stages:
                #"[{"share": 20, "hold": "0s"}, {"share": 60, "hold": "1h", "approval": true}, {"share": 100, "hold": "1h"}]"#
        )
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", folder: folder)
        for verb in ["pause", "resume", "approve", "advance", "stop"] {
            #expect(try Self.act(balancer, verb).status == 409, "\(verb)")
        }
        #expect(try Self.act(balancer, "retreat").status == 409)
        #expect(try Self.act(balancer, "start", #"{"stage": 4}"#).status == 422)
        #expect(try Self.act(balancer, "begin").status == 404)
        #expect(try balancer.admin("/api/v1/migrations/none").status == 404)
        #expect(try Self.act(balancer, "start", #"{"stge": 1}"#).status == 422)
        #expect(try Self.act(balancer, "start").status == 200)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 4)
        defer { load.stop() }
        #expect(eventually(seconds: 30) { Self.state(balancer) == "waiting" })
        #expect(Self.share(balancer) == 20)
        // More is the plan's affair, less is always taken.
        let raised = try balancer.setWeights(#"{"core": 1, "gateway": 1}"#)
        #expect(raised.status == 409 && raised.text.contains("owned by migration move"), "\(raised.text)")
        #expect(try balancer.setWeights(#"{"core": 90, "gateway": 10}"#).status == 200)
        #expect(Self.state(balancer) == "paused" && Self.share(balancer) == 10)
        #expect(try Self.act(balancer, "approve").status == 409)
        #expect(try Self.act(balancer, "resume").status == 200)
        #expect(Self.share(balancer) == 20)
        #expect(eventually(seconds: 30) { Self.state(balancer) == "waiting" })
        #expect(try Self.act(balancer, "approve").status == 200)
        #expect(Self.share(balancer) == 60 && Self.state(balancer) == "running")
        #expect(try Self.act(balancer, "pause").status == 200)
        #expect(Self.state(balancer) == "paused")
        #expect(try Self.act(balancer, "retreat").status == 422, "it needs a reason")
        #expect(try balancer.command("migration", "move", "retreat", "--reason", "a drill").status == 0)
        #expect(Self.state(balancer) == "retreated" && Self.share(balancer) == 0)
        #expect(try Self.act(balancer, "stop").status == 200)
        #expect(Self.state(balancer) == "stopped")
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty)
        let shown = try balancer.command("migration").output
        #expect(shown.contains("move") && shown.contains("stopped"), "\(shown)")
    }

    @Test("A process that is killed goes on after its start: stage, share and hold; a changed file pauses the plan")
    func restart() throws {
        let sides = try Sides()
        defer { sides.stop() }
        let stages = #"[{"share": 20, "hold": "1h"}, {"share": 100, "hold": "1h"}]"#
        let folder = try Self.folder(sides, stages: stages)
        defer { BalancerProcess.removeFolder(folder) }
        do {
            let balancer = try BalancerProcess("", folder: folder)
            #expect(try Self.act(balancer, "start").status == 200)
            // Held time is written every five seconds.
            #expect(
                eventually(seconds: 30) {
                    (((try? Self.plan(balancer))?["heldSeconds"] as? NSNumber)?.doubleValue ?? 0) > 7
                })
            balancer.program.signal(SIGKILL)
            _ = balancer.program.awaitExit()
        }
        let balancer = try BalancerProcess("", folder: folder)
        let plan = try Self.plan(balancer)
        #expect(plan["state"] as? String == "running" && (plan["share"] as? NSNumber)?.doubleValue == 20)
        let held = (plan["heldSeconds"] as? NSNumber)?.doubleValue ?? 0
        #expect(held >= 2 && held < 30, "\(held)")
        // The file's split changes: what is in force stays, and the plan waits for eyes.
        try Self.write(sides, stages: stages, split: "\"core\": 1, \"gateway\": 1", to: folder)
        #expect(eventually(seconds: 20) { Self.state(balancer) == "paused" })
        #expect(Self.share(balancer) == 20)
        #expect(try Self.plan(balancer)["reason"] as? String == "file-changed")
        #expect(try Self.act(balancer, "stop", #"{"restore": true}"#).status == 200)
        #expect(try balancer.admin("/api/v1/routes/api").text.contains("\"weight\":1"))
    }

    @Test("A plan that enforces nothing tells that it would have gone back, and rises by hand alone")
    func unenforced() throws {
        let sides = try Sides(pause: .milliseconds(5))
        defer { sides.stop() }
        let gates = Self.wide.replacingOccurrences(of: "\"minimum\"", with: "\"enforce\": false, \"minimum\"")
        let folder = try Self.folder(
            sides, stages: #"[{"share": 50, "hold": "0s"}, {"share": 100, "hold": "1h"}]"#, more: gates)
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", folder: folder)
        sides.turnBad()
        let load = LoadClient(port: balancer.port)
        load.start(connections: 2)
        defer { load.stop() }
        #expect(try Self.act(balancer, "start").status == 200)
        #expect(
            eventually(seconds: 30) {
                (try? Self.journal(balancer).contains { $0["what"] as? String == "would-retreat" }) == true
            })
        #expect(Self.share(balancer) == 50 && Self.state(balancer) == "running")
        #expect(try Self.act(balancer, "advance", #"{"force": true, "reason": "seen"}"#).status == 200)
        #expect(Self.share(balancer) == 100)
    }

    @Test("Once the new side has all, whoever still needs the old one is told, and quiet time begins anew")
    func verdict() throws {
        let sides = try Sides()
        defer { sides.stop() }
        let folder = try Self.folder(
            sides,
            stages: #"[{"share": 100, "hold": "0s"}, {"retire": true, "hold": "2s"}]"#)
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", folder: folder)
        #expect(try balancer.command("verdict", "move").status == 1)
        #expect(try Self.act(balancer, "start").status == 200)
        #expect(try Self.act(balancer, "advance", #"{"force": true, "reason": "a drill"}"#).status == 200)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 1)
        defer { load.stop() }
        try load.awaitAnswers(5)
        #expect(eventually(seconds: 30) { Self.state(balancer) == "complete" })
        let verdict = try balancer.json("/api/v1/migrations/move/verdict")
        // One endpoint less than one is none: nothing else is in the way.
        let obstacles = try #require(verdict["obstacles"] as? [String])
        #expect(obstacles.allSatisfy { $0.hasPrefix("without one of its endpoints") }, "\(verdict)")
        #expect((verdict["needs"] as? [Any])?.isEmpty == true)
        #expect(((verdict["quietSeconds"] as? NSNumber)?.doubleValue ?? 0) >= 2)
        // Somebody asks for it by name.
        #expect(try balancer.request("/candidate/42", fields: "X-Balancer-Upstream: core\r\n").text == "core")
        #expect(
            eventually(seconds: 30) {
                let needs = (try? balancer.json("/api/v1/migrations/move/verdict"))?["needs"] as? [[String: Any]]
                return needs?.first?["cause"] as? String == "override"
                    && needs?.first?["template"] as? String == "/candidate/*"
            })
        #expect(try balancer.command("verdict", "move").output.contains("/candidate/*"))
    }

    @Test("An old side that is the worse one sends nothing back: the gates pass")
    func worseOldSide() throws {
        let sides = try Sides(pause: .milliseconds(2))
        defer { sides.stop() }
        let folder = try Self.folder(
            sides, stages: #"[{"share": 50, "hold": "1s"}, {"share": 100, "hold": "1h"}]"#)
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", folder: folder)
        sides.turnOldBad()
        let load = LoadClient(port: balancer.port)
        load.start(connections: 4)
        defer { load.stop() }
        #expect(try Self.act(balancer, "start").status == 200)
        #expect(
            eventually(seconds: 60) { Self.share(balancer) == 100 },
            "\(String(describing: try? Self.plan(balancer)))")
        try load.awaitAnswers(200)
        #expect(Self.state(balancer) == "running")
        let words = try Self.journal(balancer).compactMap { $0["detail"] as? String }
        #expect(!words.contains { $0.hasPrefix("goes back") }, "\(words)")
    }

    @Test("A window holds a rise back, and never a retreat")
    func freeze() throws {
        let sides = try Sides()
        defer { sides.stop() }
        let days = #"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#
        let folder = try Self.folder(
            sides, stages: #"[{"share": 20, "hold": "0s"}, {"share": 100, "hold": "1h"}]"#,
            more: Self.wide + #", "freeze": [{"zone": "UTC", "days": \#(days)}]"#)
        defer { BalancerProcess.removeFolder(folder) }
        let balancer = try BalancerProcess("", folder: folder)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 4)
        defer { load.stop() }
        #expect(try Self.act(balancer, "start").status == 200)
        #expect(eventually(seconds: 30) { Self.state(balancer) == "frozen" })
        #expect(Self.share(balancer) == 20)
        #expect(try Self.plan(balancer)["frozen"] as? Bool == true)
        #expect(try Self.act(balancer, "approve").status == 409)
        #expect(try Self.act(balancer, "retreat", #"{"reason": "a drill"}"#).status == 200)
        #expect(Self.state(balancer) == "retreated" && Self.share(balancer) == 0)
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty)
    }

    @Test("Four eyes: who started does not approve, whichever way; another does, and is told as who answers for it")
    func fourEyes() throws {
        let sides = try Sides()
        defer { sides.stop() }
        let folder = try Self.folder(
            sides,
            stages: #"[{"share": 20, "hold": "0s"}, {"share": 60, "hold": "1h", "approval": true}]"#,
            more: Self.wide + #", "fourEyes": true"#)
        defer { BalancerProcess.removeFolder(folder) }
        var tokens: [String: String] = [:]
        var lines: [String] = []
        for name in ["ann", "bob"] {
            let made = try Program.run("balancer", ["token", "create", name, "--role", "operator"])
            let words = made.output.split(separator: "\n").map(String.init)
            try #require(words.count == 2, "\(made)")
            tokens[name] = words[0]
            lines.append(words[1])
        }
        let path = folder + "/routes.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let admin = #""admin": {"address": "127.0.0.1:0""#
        try BalancerProcess.write(
            text.replacingOccurrences(of: admin, with: admin + ", \"tokens\": [\(lines.joined(separator: ", "))]"),
            to: path)
        let balancer = try BalancerProcess("", folder: folder)
        func act(_ verb: String, _ body: String = "{}", by name: String) throws -> Message {
            try balancer.admin(
                "/api/v1/migrations/move/\(verb)", method: "POST", body: body,
                fields: "Authorization: Bearer \(tokens[name] ?? "")\r\n")
        }
        func plan() throws -> [String: Any] {
            let message = try balancer.admin(
                "/api/v1/migrations/move", fields: "Authorization: Bearer \(tokens["ann"] ?? "")\r\n")
            return try JSONSerialization.jsonObject(with: Data(message.body)) as? [String: Any] ?? [:]
        }
        #expect(try Self.act(balancer, "start").status == 401)
        #expect(try act("start", by: "ann").status == 200)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 4)
        defer { load.stop() }
        #expect(try eventually(seconds: 30) { try plan()["state"] as? String == "waiting" })
        for verb in ["approve", "advance"] {
            let refused = try act(verb, by: "ann")
            #expect(refused.status == 409 && refused.text.contains("four eyes"), "\(verb): \(refused.text)")
        }
        #expect(try act("approve", by: "bob").status == 200)
        #expect(try plan()["share"] as? Double == 60)
        #expect(try plan()["responsible"] as? String == "bob")
        // Nor by a stop and a start further on.
        #expect(try act("stop", by: "bob").status == 200)
        let around = try act("start", #"{"stage": 2}"#, by: "bob")
        #expect(around.status == 409 && around.text.contains("four eyes"), "\(around.text)")
        #expect(try act("start", #"{"stage": 2}"#, by: "ann").status == 200)
    }

    @Test("A process that takes over goes on with the plan, in another run of the stage, and its brake is on")
    func takeover() throws {
        let sides = try Sides(pause: .milliseconds(5))
        defer { sides.stop() }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try Self.write(
            sides, stages: #"[{"share": 20, "hold": "1h"}, {"share": 100, "hold": "1h"}]"#,
            top: ", \"takeover\": {\"path\": \"\(folder)/takeover.sock\"}", to: folder)
        let first = try BalancerProcess("", folder: folder)
        #expect(try Self.act(first, "start").status == 200)
        func number(_ key: String, _ balancer: BalancerProcess) -> Double {
            ((try? Self.plan(balancer))?[key] as? NSNumber)?.doubleValue ?? -1
        }
        #expect(eventually(seconds: 30) { number("heldSeconds", first) > 1 })
        let (epoch, held) = (number("epoch", first), number("heldSeconds", first))
        let second = try BalancerProcess("", folder: folder)
        #expect(first.program.awaitExit(seconds: 60) == 0)
        #expect(eventually { Self.state(second) == "running" && number("epoch", second) == epoch + 1 })
        #expect(Self.share(second) == 20)
        #expect(number("heldSeconds", second) >= held)
        sides.turnBad()
        let load = LoadClient(port: second.port)
        load.start(connections: 2)
        defer { load.stop() }
        #expect(eventually(seconds: 30) { Self.state(second) == "retreated" })
        #expect(Self.share(second) == 0)
        let words = try Self.journal(second).compactMap { $0["detail"] as? String }
        #expect(words.contains { $0.hasPrefix("started") } && words.contains { $0.hasPrefix("goes back") }, "\(words)")
    }
}
