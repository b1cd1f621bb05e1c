import Foundation
import Glibc
import TestSupport
import Testing

/// The runbook's on-call pages, executed: something breaks under load, and the page's commands mend it.
@Suite("Runbook, on call", .serialized) struct RunbookOnCallScenarios {
    /// The blocks that each test runs.
    private static let halfway: Set<String> = ["install", "move-host", "stage-2-step"]
    private static let upstreamDown: Set<String> = ["look", "down-logs", "down-to-core", "down-to-gateway"]
    private static let slowGateway: Set<String> = ["slow-find", "slow-drain", "slow-ready", "slow-replace"]
    private static let databaseGone: Set<String> = ["look", "database-check", "database-to-core"]
    private static let badConfig: Set<String> = ["config-check", "config-back"]
    private static let replaceBalancer: Set<String> = ["replace", "replace-one"]
    static let blocks: Set<String> = Self.halfway.union(Self.upstreamDown).union(Self.slowGateway)
        .union(Self.databaseGone).union(Self.badConfig).union(Self.replaceBalancer)

    /// What may be sent again when whoever got it dies: nobody can promise more for a request that changes something.
    private static let reads = RunbookScenarios.requests.filter { !$0.text.hasPrefix("POST") }

    /// In stage 2, half and half, with core still of the old release.
    private func halfway(_ cluster: RunbookCluster, _ requests: [RunbookLoad.Request]) throws -> RunbookLoad {
        try cluster.run("install")
        try cluster.run("move-host")
        try cluster.run("stage-2-step", ["SHARE": "50"])
        try cluster.awaitHost("kusama.example", "otv-balancer")
        return RunbookLoad(cluster.addresses("kusama.example"), requests: requests)
    }

    private func sides(_ load: RunbookLoad) throws -> Set<String> { Set(try load.shares(of: 200).keys) }

    private func end(_ load: RunbookLoad) throws {
        try load.stop()
        #expect(load.failures.isEmpty, "\(load.total) answers, failures \(load.failures.prefix(5))")
    }

    @Test("An upstream is down: the other side takes its share by itself, and no reader notices")
    func upstreamDown() throws {
        let cluster = try RunbookCluster()
        let load = try self.halfway(cluster, Self.reads)
        #expect(try self.sides(load) == ["legacy", "gateway"])
        for pod in try cluster.pods("otv-gateway") { try cluster.strike(pod.name, "SIGKILL", stays: true) }
        #expect(try self.sides(load) == ["legacy"])
        #expect(try cluster.run("look").contains("CrashLoopBackOff"))
        #expect(try cluster.run("down-logs").contains("gateway (gateway) on "))
        try cluster.run("down-to-core")
        try cluster.happen("mend")
        try cluster.awaitPods("otv-gateway", 2)
        try cluster.await("look") { $0.components(of: " down ") == 0 }
        #expect(try self.sides(load) == ["legacy"], "weights are the operator's")
        try cluster.run("stage-2-step", ["SHARE": "50"])
        #expect(try self.sides(load) == ["legacy", "gateway"])

        try cluster.strike("kusama-otv-backend-0", "SIGKILL", stays: true)
        #expect(try self.sides(load) == ["gateway"])
        try cluster.run("down-to-gateway")
        try cluster.happen("mend")
        try self.end(load)
        #expect(cluster.ran == Self.halfway.union(Self.upstreamDown))
    }

    @Test("A gateway is slow: probes take it out, a drain keeps it out, another one takes its place")
    func slowGateway() throws {
        let cluster = try RunbookCluster()
        let load = try self.halfway(cluster, Self.reads)
        let pod = try #require(try cluster.pods("otv-gateway").first)
        let endpoint = "\(pod.ip):\(try cluster.port(3301))"
        #expect(try eventually { try self.sides(load).contains("gateway") && load.answers(of: pod.name) > 0 })
        try cluster.strike(pod.name, "SIGSTOP")
        try cluster.await("slow-find") { text in
            text.split(separator: "\n").filter { $0.contains(endpoint) && $0.contains(" down ") }.count == 2
        }
        try cluster.run("slow-drain", ["ENDPOINT": endpoint])
        try cluster.strike(pod.name, "SIGCONT")
        try cluster.await("slow-find") { $0.components(of: " draining ") == 2 }
        let before = load.answers(of: pod.name)
        try load.awaitAnswers(200)
        #expect(load.answers(of: pod.name) == before, "nothing new comes to it")
        try cluster.run("slow-ready", ["ENDPOINT": endpoint])
        #expect(eventually { load.answers(of: pod.name) > before })
        try cluster.run("slow-drain", ["ENDPOINT": endpoint])
        try cluster.run("slow-replace", ["POD": pod.name])
        #expect(try cluster.pods("otv-gateway").allSatisfy { $0.name != pod.name && $0.ready })
        try self.end(load)
        #expect(cluster.ran == Self.halfway.union(Self.slowGateway))
    }

    @Test(
        "MongoDB is gone: the gateways leave and core answers; the database is back, and so are they",
        .enabled(if: RunbookDatabase.python != nil, "run the tests by scripts/test.sh, or within with-wire-server"))
    func databaseGone() throws {
        let database = try RunbookDatabase()
        // Nothing is kept: an answer is the database's, or an error.
        let cluster = try RunbookCluster(
            database: "mongodb://127.0.0.1:\(database.port)/otv",
            gateway: ", \"server\": {\"cache\": 1, \"deadline\": 500}")
        let requests: [RunbookLoad.Request] = [.init("GET", "/nominators", 200), .init("GET", "/proxytxs", 200)]
        let load = try self.halfway(cluster, requests)
        #expect(try self.sides(load) == ["legacy", "gateway"])
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
        database.stop()
        try cluster.await("database-check") { $0.components(of: "no database") == 2 }
        try cluster.await("look") { $0.components(of: "no available endpoint") == 2 }
        // What came before the probes saw it may have failed; from here on nothing does.
        try load.awaitAnswers(20)
        let failed = load.failures.count
        #expect(try self.sides(load) == ["legacy"])
        try cluster.run("database-to-core")
        try cluster.await("look") { $0.components(of: "1/1") == 3 && $0.components(of: "0/1") == 2 }
        try database.start()
        try cluster.await("database-check") { $0.components(of: ": ready") == 2 }
        try cluster.awaitPods("otv-gateway", 2)
        #expect(try cluster.pods("otv-gateway").allSatisfy { $0.restarts == 0 }, "no pod restarts for that")
        try cluster.await("look") { $0.components(of: " down ") == 0 }
        try cluster.run("stage-2-step", ["SHARE": "50"])
        #expect(try self.sides(load) == ["legacy", "gateway"])
        try load.stop()
        #expect(load.failures.count == failed, "\(load.failures.dropFirst(failed).prefix(5))")
        #expect(cluster.ran == Self.halfway.union(Self.databaseGone))
    }

    @Test("A bad config is refused before it changes anything; one that gets through is rejected, and rolled back")
    func badConfig() throws {
        let cluster = try RunbookCluster()
        let load = try self.halfway(cluster, RunbookScenarios.requests)
        #expect(try cluster.shell("balancers status", ["NAMESPACE": "nowhere"], succeeds: false).contains("FAILED"))
        let bad = "lasting --set otv-balancer.upstreams.core.health.timeout=5s"
        let refused = try cluster.shell(bad, succeeds: false)
        #expect(refused.contains("$.upstreams.core.health.timeout"), "the problem is named: \(refused)")
        try cluster.await("config-check") { $0.components(of: ": good") == 2 && !$0.contains("rejected") }
        try cluster.shell(bad + " --set otv-balancer.check.enabled=false")
        // Told by the status of each, in its sentence and in its table, and by the check in each.
        try cluster.await("config-check") {
            $0.components(of: "rejected at") == 2 && $0.components(of: ": $.upstreams.core.health.timeout") == 6
        }
        #expect(try self.sides(load) == ["legacy", "gateway"])
        try cluster.run("config-back")
        try cluster.await("config-check") { $0.components(of: "good at") == 2 && !$0.contains("health.timeout") }
        #expect(try self.sides(load) == ["legacy", "gateway"])
        try self.end(load)
        #expect(cluster.ran == Self.halfway.union(Self.badConfig))
    }

    @Test("The balancers are replaced one by one, and a single one: no request is lost")
    func replaceBalancer() throws {
        let cluster = try RunbookCluster()
        let load = try self.halfway(cluster, RunbookScenarios.requests)
        let before = try cluster.pods("otv-balancer").map(\.name)
        try cluster.run("replace")
        let after = try cluster.pods("otv-balancer").filter { $0.state == "Running" }.map(\.name)
        #expect(after.count == 2 && Set(after).isDisjoint(with: before))
        try cluster.run("replace-one", ["POD": after[0]])
        try cluster.awaitPods("otv-balancer", 2)
        #expect(try !cluster.pods("otv-balancer").map(\.name).contains(after[0]))
        #expect(try self.sides(load) == ["legacy", "gateway"])
        try self.end(load)
        #expect(cluster.story.allSatisfy { !$0.contains("is killed") }, "\(cluster.story)")
        #expect(cluster.ran == Self.halfway.union(Self.replaceBalancer))
    }
}

/// A MongoDB wire server that can go and come back at its port.
final class RunbookDatabase: Sendable {
    /// What the wire server runs by; nil outside of scripts/test.sh.
    static let python = ProcessInfo.processInfo.environment["GATEWAY_TEST_PYTHON"]
    let port: Int
    private let process: Locked<Process>

    init() throws {
        let (process, port) = try Self.launch(0)
        self.process = Locked(process)
        self.port = port
    }

    deinit { self.stop() }

    private static func launch(_ port: Int) throws -> (Process, Int) {
        guard let python = Self.python else { throw TestFailure("there is no Python for the wire server") }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["\(Program.root)/Tests/DocumentsTests/WireServer/wire_server.py", "\(port)"]
        let output = Pipe()
        // It ends with its standard input, which the process keeps open.
        process.standardInput = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let bound = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw TestFailure("the wire server does not start")
        }
        return (process, bound)
    }

    func stop() {
        let process = self.process.value
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    func start() throws {
        let (process, _) = try Self.launch(self.port)
        self.process.change { $0 = process }
    }
}
