import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// Plans of replicas that agree over a real etcd: real processes, each with traffic of its own.
@Suite(
    "Migrations over etcd", .serialized,
    .enabled(if: EtcdProcess.isThere, "there is no etcd: scripts/install-etcd.sh fetches it"))
struct ClusterMigrationScenarios {
    /// Replicas, the store, and both sides behind them, the new one of which can turn bad.
    private final class Rig: Sendable {
        let etcd: EtcdProcess
        let folders: [String]
        let core: ScriptedUpstream
        let gateway: ScriptedUpstream
        private let bad: Flag

        /// `gates` beside what a handful of samples passes; `minimum` of the new side's samples.
        init(stages: String, minimum: Int, replicas: Int = 3) throws {
            let bad = Flag()
            self.bad = bad
            self.etcd = try EtcdProcess()
            self.core = try .answering { _, _ in
                usleep(2_000)
                return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncore"
            }
            self.gateway = try .answering { _, _ in
                usleep(2_000)
                if bad.isSet { return "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad" }
                return "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngateway"
            }
            self.folders = (0..<replicas).map { _ in BalancerProcess.makeFolder() }
            for folder in self.folders {
                try BalancerProcess.write(
                    Routes.configuration(
                        upstreams: [("core", [self.core.port]), ("gateway", [self.gateway.port])],
                        routes: "{\"name\": \"api\", \"split\": {\"core\": 1, \"gateway\": 0}}",
                        upstreamKeys: "\"passive\": {\"enabled\": false}, \"retry\": {\"attempts\": 0}",
                        top: """
                            "state": {"path": "\(folder)/state.sqlite"},
                            "cluster": {"name": "test", "etcd": {"endpoints": \(self.etcd.endpoints)}},
                            "migrations": [{"name": "move", "routes": ["api"], "from": "core", "to": "gateway",
                              "stages": \(stages),
                              "gates": {"minimum": \(minimum), "falseAdvance": 50, "errors": {"tolerance": 5, "margin": 40},
                                "clientErrors": false, "cancelled": false, "latency": false, "mismatches": false,
                                "settle": "0s"}}]
                            """),
                    to: folder + "/routes.json")
            }
        }

        deinit {
            self.core.stop()
            self.gateway.stop()
            for folder in self.folders { BalancerProcess.removeFolder(folder) }
        }

        func turnBad() { self.bad.set() }

        func start(_ index: Int) throws -> BalancerProcess {
            try BalancerProcess("", folder: self.folders[index], arguments: ["--replica", "r\(index)"])
        }

        /// All of them, when each sees all and one leads.
        func startAll() throws -> [BalancerProcess] {
            let balancers = try self.folders.indices.map { try self.start($0) }
            #expect(
                try eventually {
                    try balancers.allSatisfy { try ClusterRig.present($0).count == balancers.count }
                        && ClusterRig.leaders(balancers).count == 1
                })
            return balancers
        }
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { self.value.load(ordering: .acquiring) }
        func set() { self.value.store(true, ordering: .releasing) }
    }

    private static func plan(_ balancer: BalancerProcess) throws -> [String: Any] {
        try balancer.json("/api/v1/migrations/move")
    }

    private static func state(_ balancer: BalancerProcess) -> String? {
        (try? self.plan(balancer))?["state"] as? String
    }

    private static func stage(_ balancer: BalancerProcess) -> Int? { (try? self.plan(balancer))?["stage"] as? Int }

    private static func act(_ balancer: BalancerProcess, _ verb: String, _ body: String = "{}") throws -> Message {
        try balancer.admin("/api/v1/migrations/move/\(verb)", method: "POST", body: body)
    }

    /// What the journal says of the plan, oldest first.
    private static func words(_ balancer: BalancerProcess) throws -> [String] {
        let entries = try balancer.json("/api/v1/journal?subject=move")["entries"] as? [[String: Any]] ?? []
        return entries.compactMap { $0["detail"] as? String }
    }

    private static func load(_ balancers: [BalancerProcess]) -> [LoadClient] {
        balancers.map { balancer in
            let load = LoadClient(port: balancer.port)
            load.start(connections: 2)
            return load
        }
    }

    @Test("A plan goes on over three replicas by what all have counted; its leader is killed, and another finishes it")
    func succession() throws {
        let rig = try Rig(
            stages: #"[{"share": 20, "hold": "1s"}, {"share": 50, "hold": "3s"}, {"share": 100, "hold": "1s"}]"#,
            minimum: 40)
        var balancers = try rig.startAll()
        let loads = Self.load(balancers)
        defer { for load in loads { load.stop() } }
        let leader = try #require(try ClusterRig.leaders(balancers).first)
        let follower = (leader + 1) % 3
        let started = try balancers[follower].command("migration", "move", "start", "--reason", "a drill")
        #expect(started.status == 0 && started.output.contains("in force on 3 of 3 replicas"), "\(started)")
        #expect(eventually(seconds: 30) { Self.stage(balancers[leader]) == 2 })
        #expect(eventually { balancers.allSatisfy { Self.stage($0) == 2 } })
        // Each stage stands on more than one replica can have counted.
        let entries = try balancers[follower].json("/api/v1/journal?subject=move")["entries"] as? [[String: Any]] ?? []
        let advanced = try #require(entries.last { ($0["detail"] as? String)?.hasPrefix("advanced") == true })
        #expect(advanced["replica"] as? String == "r\(leader)")
        // The leader tells of the new run with its next look.
        let age = "balancer_migration_evidence_age_seconds{migration=\"move\",replica=\"r\(leader)\"}"
        #expect(
            try eventually {
                let page = try balancers[follower].admin("/metrics").text
                return page.contains("balancer_migration_leader{migration=\"move\"} 0\n") && page.contains(age)
            })
        #expect(
            try balancers[leader].admin("/metrics").text.contains("balancer_migration_leader{migration=\"move\"} 1\n"))
        // In the middle of the stage.
        loads[leader].stop()
        balancers[leader].program.signal(SIGKILL)
        _ = balancers[leader].program.awaitExit()
        let rest = balancers.indices.filter { $0 != leader }.map { balancers[$0] }
        #expect(eventually(seconds: 40) { rest.allSatisfy { Self.state($0) == "complete" } })
        for (index, load) in loads.enumerated() where index != leader {
            load.stop()
            try load.finish()
            #expect(load.failures.isEmpty, "\(load.failures.prefix(3))")
        }
        balancers[leader] = try rig.start(leader)
        for balancer in balancers {
            #expect(eventually { Self.state(balancer) == "complete" })
            #expect(try ClusterRig.weights(balancer) == ["core": 0, "gateway": 1_000_000])
            let words = try Self.words(balancer)
            for step in ["started", "advanced to stage 2", "advanced to stage 3", "complete"] {
                #expect(words.filter { $0.hasPrefix(step) }.count == 1, "\(step): \(words)")
            }
        }
    }

    @Test("A new side that only a replica sees fail which does not lead is sent back on all of them")
    func badElsewhere() throws {
        let rig = try Rig(stages: #"[{"share": 50, "hold": "1h"}, {"share": 100, "hold": "1h"}]"#, minimum: 20)
        let balancers = try rig.startAll()
        let leader = try #require(try ClusterRig.leaders(balancers).first)
        let other = balancers[(leader + 2) % 3]
        let load = Self.load([other])[0]
        defer { load.stop() }
        #expect(try Self.act(other, "start").status == 200)
        try load.awaitAnswers(60)
        #expect(Self.state(balancers[leader]) == "running")
        rig.turnBad()
        let began = Deadline.now()
        #expect(eventually(seconds: 20) { Self.state(other) == "retreated" })
        print("sent back on the replica that saw it after \((Deadline.now() - began) / 1_000) ms")
        for balancer in balancers {
            #expect(eventually { Self.state(balancer) == "retreated" })
            #expect(try ClusterRig.weights(balancer)["gateway"] == 0)
            let words = try Self.words(balancer)
            #expect(words.filter { $0.hasPrefix("goes back") }.count == 1, "\(words)")
        }
    }

    @Test("Without the store no replica goes on; the one that sees the new side fail goes back alone, then all of them")
    func cutOff() throws {
        let rig = try Rig(
            stages: #"[{"share": 20, "hold": "0s"}, {"share": 50, "hold": "1s"}, {"share": 100, "hold": "1s"}]"#,
            minimum: 40, replicas: 2)
        let balancers = try rig.startAll()
        let leader = try #require(try ClusterRig.leaders(balancers).first)
        #expect(try Self.act(balancers[leader], "start").status == 200)
        try rig.etcd.programs[0].pause()
        #expect(
            try eventually { try balancers.allSatisfy { try ClusterRig.cluster($0)["reachable"] as? Bool == false } })
        let load = Self.load([balancers[leader]])[0]
        defer { load.stop() }
        // As many as the gates want, and more; and some looks.
        try load.awaitAnswers(1_500)
        #expect(balancers.allSatisfy { Self.stage($0) == 1 && Self.state($0) == "running" })
        #expect(try Self.act(balancers[leader], "advance").status == 503)
        rig.turnBad()
        #expect(eventually(seconds: 20) { Self.state(balancers[leader]) == "retreated" })
        #expect(try ClusterRig.weights(balancers[leader])["gateway"] == 0)
        #expect(Self.state(balancers[1 - leader]) == "running")
        #expect(try ClusterRig.journal(balancers[leader], "migration").last?["evidence"] as? String == "detached")
        rig.etcd.programs[0].signal(SIGCONT)
        #expect(eventually(seconds: 20) { balancers.allSatisfy { Self.state($0) == "retreated" } })
        #expect(try ClusterRig.weights(balancers[1 - leader])["gateway"] == 0)
        #expect(try Self.words(balancers[1 - leader]).contains { $0.contains("alone") })
        #expect(balancers.allSatisfy { Self.stage($0) == 1 })
    }
}
