import Foundation
import Glibc
import TestSupport

/// A cluster for the runbook's commands: Tests/Scenarios/Runbook/cluster.py with stand-ins for `kubectl` and `helm`.
/// The charts, the programs and the commands are the real ones.
final class RunbookCluster: Sendable {
    let document: RunbookDocument
    let folder: String
    private let cluster: Program
    private let python: String
    private let values: String
    private let executed = Locked<[String]>([])

    struct Pod: Decodable, Sendable {
        var name: String
        var ip: String
        var owner: String
        var ready: Bool
        var restarts: Int
        var state: String
    }

    /// - Parameters:
    ///   - database: connection string of the gateways; the same sample data as core's when not given.
    ///   - gateway: more of the gateways' main.json.
    init(database: String? = nil, gateway: String = "") throws {
        self.document = try RunbookDocument()
        self.folder = BalancerProcess.makeFolder()
        let sample = try Self.sample.get()
        let installed = try Program.run(path: Program.root + "/scripts/install-helm-engine.sh", [], seconds: 300)
        guard installed.status == 0 else { throw TestFailure("no Helm engine: \(installed.errors)") }
        self.python = installed.output.split(separator: "\n").last.map(String.init) ?? ""
        // What a cluster of the tests has and no operator says: data, and waits that are shorter in proportion.
        self.values = """
            {"global": {"config": {"db": {"uri": "sqlite:\(sample)"}}},
             "otv-balancer": {"discovery": {"interval": "400ms"}},
             "otv-gateway": {"autoscaling": {"minReplicas": 2},
               "config": {"db": {"uri": "\(database ?? "sqlite:\(sample)")", "mustHave": []}\(gateway)}}}
            """
        self.cluster = try Program(
            path: "/usr/bin/env",
            [
                "PYTHONDONTWRITEBYTECODE=1", self.python, Self.home + "/cluster.py", "--folder", self.folder,
                "--balancer", Program.path("balancer"), "--gateway", Program.path("gateway"),
            ])
        _ = try self.cluster.await { $0 == "ready" ? true : nil }
        let legacy = try String(contentsOfFile: Self.home + "/legacy.yaml", encoding: .utf8)
        try BalancerProcess.write(
            legacy.replacingOccurrences(of: "sqlite::memory:", with: "sqlite:\(sample)"),
            to: self.folder + "/legacy.yaml")
        try self.happen("apply", ["namespace": "\"kusama\"", "file": "\"\(self.folder)/legacy.yaml\""])
        try self.awaitPods("kusama-otv-backend", 1)
    }

    deinit {
        self.cluster.signal(SIGTERM)
        if self.cluster.awaitExit(seconds: 10) == nil { self.cluster.signal(SIGKILL) }
        BalancerProcess.removeFolder(self.folder)
    }

    /// One file of sample data for all clusters; it goes with the tests.
    private static let sample = Result { () throws -> String in
        let made = try Program.run("gateway", ["sample", "--to", RunbookCluster.samplePath], seconds: 120)
        guard made.status == 0 else { throw TestFailure("no sample data: \(made.errors)") }
        atexit { unlink(RunbookCluster.samplePath) }
        return RunbookCluster.samplePath
    }
    private static let samplePath = "/tmp/balancer-test-\(getpid()).sqlite"

    private static let home = Program.root + "/Tests/Scenarios/Runbook"

    /// What the cluster did, for messages of failed tests.
    var story: [String] { self.cluster.errors.suffix(60) }

    /// The blocks that were run.
    var ran: Set<String> { Set(self.executed.value) }

    private var environment: [String] {
        [
            "PATH=\(Self.home)/bin:" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"),
            "CLUSTER=\(self.folder)", "CLUSTER_PYTHON=\(self.python)", "CLUSTER_VALUES=\(self.values)",
            "VALUES=\(Self.home)/values.yaml", "PYTHONDONTWRITEBYTECODE=1",
        ]
    }

    /// Runs a block of the runbook in a new shell, at the top of the repository, as an operator does: after the block that
    /// every shell begins with.
    @discardableResult
    func run(_ block: String, _ variables: [String: String] = [:]) throws -> String {
        let text = try self.shell(try self.document.text(block), variables)
        self.executed.change { $0.append(block) }
        return text
    }

    /// Runs any command likewise. Answers what it prints.
    @discardableResult
    func shell(_ command: String, _ variables: [String: String] = [:], succeeds: Bool = true) throws -> String {
        let script =
            "cd '\(Program.root)'\nset -euo pipefail\n" + (try self.document.text(RunbookDocument.shell)) + "\n"
            + command
        let given = self.environment + variables.map { "\($0.key)=\($0.value)" }
        let ended = try Program.run(path: "/usr/bin/env", given + ["bash", "-c", script], seconds: 300)
        guard (ended.status == 0) == succeeds else {
            throw TestFailure("\(command) ends with \(ended.status): \(ended.output)\n\(ended.errors)\n\(self.story)")
        }
        return ended.output + "\n" + ended.errors
    }

    /// Runs a block until what it prints says so.
    func await(
        _ block: String, _ variables: [String: String] = [:], seconds: Double = 90, _ isDone: (String) -> Bool
    ) throws {
        var last = ""
        let done = try eventually(seconds: seconds) {
            last = try self.run(block, variables)
            return isDone(last)
        }
        guard done else { throw TestFailure("\(block) still says\n\(last)\n\(self.story)") }
    }

    // What happens without an operator.

    @discardableResult
    func happen(_ what: String, _ details: [String: String] = [:]) throws -> Data {
        let words = details.map { "\($0.key)=\($0.value)" }
        let asked = try Program.run(
            path: "/usr/bin/env", self.environment + [self.python, Self.home + "/ask.py", what] + words)
        guard asked.status == 0 else { throw TestFailure("\(what): \(asked.errors)") }
        return Data(asked.output.utf8)
    }

    /// The port that stands for one of the charts'.
    func port(_ number: Int) throws -> Int {
        try JSONDecoder().decode([String: Int].self, from: self.happen("ports"))["\(number)"] ?? number
    }

    func pods(_ owner: String) throws -> [Pod] {
        struct Answer: Decodable { var pods: [Pod] }
        let answer = try self.happen("get", ["namespace": "\"kusama\""])
        return try JSONDecoder().decode(Answer.self, from: answer).pods.filter { $0.owner == owner }
    }

    /// The autoscaler changes its mind.
    func scale(_ name: String, to replicas: Int) throws {
        try self.happen("scale", ["namespace": "\"kusama\"", "name": "\"\(name)\"", "replicas": "\(replicas)"])
    }

    /// A signal to a pod's process; `stays`: nobody starts it again until `mend`.
    func strike(_ pod: String, _ signal: String, stays: Bool = false) throws {
        try self.happen(
            "strike",
            ["namespace": "\"kusama\"", "name": "\"\(pod)\"", "number": "\"\(signal)\"", "stays": "\(stays)"])
    }

    /// Waits until so many pods of a workload are ready, and no others are there.
    func awaitPods(_ owner: String, _ count: Int, seconds: Double = 90) throws {
        let done = try eventually(seconds: seconds) {
            let pods = try self.pods(owner)
            return pods.count == count && pods.allSatisfy { $0.ready && $0.state == "Running" }
        }
        guard done else { throw TestFailure("\(owner) has not \(count) pods: \(self.story)") }
    }

    /// Waits until the public host stands for the pods of that workload and for nobody else, and is answered there.
    func awaitHost(_ host: String, _ owner: String, seconds: Double = 90) throws {
        let done = try eventually(seconds: seconds) {
            let pods = Set(try self.pods(owner).filter(\.ready).map(\.ip))
            let lines = ((try? String(contentsOfFile: self.addresses(host), encoding: .utf8)) ?? "").split(
                separator: "\n")
            let parts = lines.map { $0.split(separator: ":").map(String.init) }.filter { $0.count == 2 }
            guard !parts.isEmpty, Set(parts.map { $0[0] }) == pods else { return false }
            return parts.allSatisfy { (try? get("/healthcheck", host: $0[0], port: UInt16($0[1]) ?? 0).status) == 200 }
        }
        guard done else { throw TestFailure("\(host) is not answered by \(owner): \(self.story)") }
    }

    /// The file with the addresses behind a Service, or behind the public host.
    func addresses(_ service: String) -> String { "\(self.folder)/services/\(service)" }
}
