import Foundation
import Glibc
import TestSupport
import Testing

/// What outlives the process, with real processes that end in every way.
@Suite("Ledger", .serialized) struct LedgerScenarios {
    /// A balancer with a ledger in a folder that stays, and two upstreams that need not run.
    private struct Rig {
        let folder = BalancerProcess.makeFolder()

        init() throws {
            try BalancerProcess.write(
                Routes.configuration(
                    upstreams: [("core", [9]), ("gateway", [10])],
                    top: "\"state\": {\"path\": \"\(self.folder)/deep/state.sqlite\"}"),
                to: self.folder + "/routes.json")
        }

        func start() throws -> BalancerProcess { try BalancerProcess("", folder: self.folder) }

        func remove() { BalancerProcess.removeFolder(self.folder) }
    }

    private static func weights(_ balancer: BalancerProcess) throws -> [String: Int] {
        try balancer.json("/api/v1/routes/api")["weights"] as? [String: Int] ?? [:]
    }

    private static func journal(_ balancer: BalancerProcess, _ query: String = "") throws -> [[String: Any]] {
        try balancer.json("/api/v1/journal\(query)")["entries"] as? [[String: Any]] ?? []
    }

    @Test("What operators changed is in force after a stop and start, and the commands show and undo it")
    func restart() throws {
        let rig = try Rig()
        defer { rig.remove() }
        do {
            let balancer = try rig.start()
            #expect(try balancer.command("weight", "api", "core=3", "--reason", "second step").status == 0)
            #expect(try balancer.command("endpoint", "127.0.0.1:10", "drain", "--reason", "kernel").status == 0)
            #expect(balancer.stop() == 0)
        }
        var status = stat()
        #expect(stat(rig.folder + "/deep/state.sqlite", &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(stat(rig.folder + "/deep", &status) == 0 && status.st_mode & 0o777 == 0o700)
        let balancer = try rig.start()
        #expect(try Self.weights(balancer) == ["core": 3, "gateway": 1])
        let shown = try balancer.command("journal", "--route", "api")
        #expect(shown.status == 0 && shown.output.contains("core 1→3") && shown.output.contains("second step"))
        #expect(!shown.output.contains("kernel"))
        #expect(try balancer.command("journal", "--limit", "1").output.contains("older ones: --before"))
        #expect(try balancer.command("journal", "--since", "1h", "--json").output.contains("\"kernel\""))
        #expect(try !balancer.command("journal", "--since", "2999-01-01").output.contains("kernel"))
        let number = try #require(
            try Self.journal(balancer, "?subject=api").last { $0["what"] as? String == "weights" }?["sequence"] as? Int)
        let dry = try balancer.command("undo", "\(number)", "--reason", "too early", "--dry-run")
        #expect(dry.status == 0 && dry.output.contains("nothing changed (dry run)"))
        #expect(try Self.weights(balancer) == ["core": 3, "gateway": 1])
        #expect(try balancer.command("undo", "--to-generation", "1", "--reason", "too early").status == 0)
        #expect(try Self.weights(balancer) == ["core": 1, "gateway": 1])
        #expect(try balancer.json("/api/v1/upstreams").description.contains("drain") == false)
        #expect(try balancer.command("undo", "--reason", "which").status == 64)
        #expect(try balancer.command("undo", "4711", "--reason", "none").status == 1)
    }

    @Test("Killed 200 times in the middle of changes: each is whole or not there, and what was answered is there")
    func kill() throws {
        let rig = try Rig()
        defer { rig.remove() }
        var random = SeededNumbers(seed: 20_261_128)
        var answered = 1
        for round in 1...200 {
            let balancer = try rig.start()
            let core = try Self.weights(balancer)["core"] ?? -1
            // Either what was answered last or what was asked for when the process was killed.
            #expect(core == answered || core == answered + 1, "round \(round): \(core) after \(answered)")
            let last = try Self.journal(balancer, "?subject=api&limit=3").last { ($0["what"] as? String) == "weights" }
            let after = (last?["after"] as? [String: Any])?["weights"] as? [String: Int]
            #expect(after?["core"] ?? 1 == core, "round \(round): the journal says \(String(describing: after))")
            #expect(last?["state"] as? String ?? "applied" == "applied")
            answered = core
            for _ in 0..<random.below(3) {
                #expect(try balancer.setWeights("{\"core\": \(answered + 1)}").status == 200)
                answered += 1
            }
            let connection = try RawConnection(port: balancer.adminPort)
            let body = "{\"weights\": {\"core\": \(answered + 1)}}"
            connection.send(
                "PUT /api/v1/routes/api/weights HTTP/1.1\r\nHost: 127.0.0.1:\(balancer.adminPort)\r\n"
                    + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            usleep(UInt32(random.below(4_000)))
            balancer.program.signal(SIGKILL)
            _ = balancer.program.awaitExit(seconds: 10)
            if connection.readAll(seconds: 5).text.hasPrefix("HTTP/1.1 200") { answered += 1 }
        }
        #expect(answered > 100)
    }

    @Test("A damaged ledger is moved aside; one that cannot be written refuses rises and lets retreats pass")
    func trouble() throws {
        let rig = try Rig()
        defer { rig.remove() }
        mkdir(rig.folder + "/deep", 0o700)
        try BalancerProcess.write("this is no database", to: rig.folder + "/deep/state.sqlite")
        let balancer = try rig.start()
        #expect(access(rig.folder + "/deep/state.sqlite.damaged", F_OK) == 0)
        #expect(try balancer.admin("/metrics").text.contains("balancer_ledger_errors_total 1\n"))
        #expect(try balancer.setWeights("{\"core\": 2}").status == 200)
        // No file may grow any more: as a full disk, for this process alone.
        try Self.limitFiles(of: balancer, to: "0")
        let refused = try balancer.setWeights("{\"core\": 9}")
        #expect(refused.status == 503 && refused.text.contains("journal"), "\(refused.text)")
        let home = try balancer.setWeights("{\"core\": 1}")
        #expect(home.status == 200 && home.text.contains("lost if this process ends"), "\(home.text)")
        let state = try balancer.json("/api/v1/status")["state"] as? [String: Any]
        #expect(state?["ok"] as? Bool == false)
        #expect(try balancer.admin("/readyz").status == 200)
        try Self.limitFiles(of: balancer, to: "unlimited")
        #expect(
            try eventually { (try balancer.json("/api/v1/status")["state"] as? [String: Any])?["ok"] as? Bool == true })
        balancer.program.signal(SIGKILL)
        _ = balancer.program.awaitExit(seconds: 10)
        let again = try rig.start()
        #expect(try Self.weights(again) == ["core": 1, "gateway": 1])
        let states = try Self.journal(again, "?subject=api").compactMap { $0["state"] as? String }
        #expect(states.contains("failed"))
    }

    /// How large a file may become by this process's writing.
    private static func limitFiles(of balancer: BalancerProcess, to size: String) throws {
        let command = Process()
        command.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
        command.arguments = ["--pid", "\(balancer.program.pid)", "--fsize=\(size):"]
        try command.run()
        command.waitUntilExit()
        #expect(command.terminationStatus == 0)
    }

    @Test("A take-over passes the ledger on")
    func takeover() throws {
        let rig = try Rig()
        defer { rig.remove() }
        let path = rig.folder + "/takeover.sock"
        let old = try BalancerProcess("", folder: rig.folder, arguments: ["--takeover", path])
        #expect(try old.setWeights("{\"core\": 5}").status == 200)
        let new = try BalancerProcess("", folder: rig.folder, arguments: ["--takeover", path])
        #expect(old.program.awaitExit(seconds: 60) == 0)
        #expect(try new.setWeights("{\"core\": 6}").status == 200)
        let state = try new.json("/api/v1/status")["state"] as? [String: Any]
        #expect(state?["ok"] as? Bool == true, "\(String(describing: state))")
        let sequences = try Self.journal(new).compactMap { $0["sequence"] as? Int }
        #expect(sequences == Array(1...sequences.count))
        new.program.signal(SIGKILL)
        _ = new.program.awaitExit(seconds: 10)
        #expect(try Self.weights(rig.start()) == ["core": 6, "gateway": 1])
    }
}

/// The same numbers in every run.
private struct SeededNumbers {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func below(_ bound: Int) -> Int {
        self.state = self.state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((self.state >> 33) % UInt64(bound))
    }
}
