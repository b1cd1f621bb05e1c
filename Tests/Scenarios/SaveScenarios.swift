import Foundation
import Glibc
import TestSupport
import Testing

/// Weights that are written into the file, too.
@Suite("Weights that are saved", .serialized) struct SaveScenarios {
    private static func configuration(_ core: UInt16, _ gateway: UInt16) -> String {
        """
        {
          "listeners": [ {"name": "public", "address": "127.0.0.1:0"} ],
          "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": false},
          "upstreams": {"core": {"endpoints": ["127.0.0.1:\(core)"]},   "gateway": {"endpoints": ["127.0.0.1:\(gateway)"]}},
          "routes": [
            {"name": "api", "split": {"core":  75, "gateway":\t25}}
          ]
        }

        """
    }

    @Test("The file has other digits and is else as it was; the change outlives the process, and the journal tells")
    func saves() throws {
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let text = Self.configuration(core.port, gateway.port)
        let file = folder + "/routes.json"
        try BalancerProcess.write(text, to: file)
        #expect(chmod(file, 0o640) == 0)
        let balancer = try BalancerProcess("", folder: folder)
        let trial = try balancer.command("weight", "api", "core=60", "gateway=40", "--save", "--dry-run")
        #expect(trial.status == 0 && trial.output.contains("would be saved to \(file)"), "\(trial)")
        #expect(try String(contentsOfFile: file, encoding: .utf8) == text, "a dry run leaves it alone")
        let done = try balancer.command(
            "weight", "api", "core=60", "gateway=40", "--save", "--reason", "by now for good")
        #expect(done.status == 0 && done.output.contains("saved to \(file)"), "\(done)")
        let expected = text.replacingOccurrences(
            of: "{\"core\":  75, \"gateway\":\t25}", with: "{\"core\":  60, \"gateway\":\t40}")
        #expect(try String(contentsOfFile: file, encoding: .utf8) == expected)
        var status = stat()
        #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o640)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["routes.json"])
        let journal = try balancer.command("journal")
        #expect(
            journal.output.contains("saved to \(file)") && journal.output.contains("by now for good"),
            "\(journal.output)")
        // The file says it itself: nothing live stands over it.
        let route = try balancer.json("/api/v1/routes/api")
        #expect(route["weights"] as? [String: Int] == ["core": 60, "gateway": 40] && route["fileWeights"] == nil)
        #expect(balancer.stop() == 0)
        let again = try BalancerProcess("", folder: folder)
        #expect(try again.json("/api/v1/routes/api")["weights"] as? [String: Int] == ["core": 60, "gateway": 40])
    }

    @Test("What cannot be saved is not changed: another file in its place, or one that may not be written")
    func refuses() throws {
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        let balancer = try BalancerProcess(Self.configuration(core.port, gateway.port))
        try BalancerProcess.write("{", to: balancer.file)
        let other = try balancer.command("weight", "api", "core=1", "--save")
        #expect(other.status == 1 && other.errors.contains("is not the one that is in force"), "\(other)")
        try FileManager.default.removeItem(atPath: balancer.file)
        let gone = try balancer.command("weight", "api", "core=1", "--save")
        #expect(gone.status == 1 && gone.errors.contains("any more"), "\(gone)")
        #expect(try balancer.json("/api/v1/routes/api")["weights"] as? [String: Int] == ["core": 75, "gateway": 25])
        #expect(try balancer.command("weight", "api", "core=1").status == 0, "without --save it is live as ever")
    }

    @Test("A file on a file system that is read-only, as a ConfigMap's is, is told as what it is")
    func readOnly() throws {
        guard geteuid() == 0, Glibc.system("unshare -m true 2>/dev/null") == 0 else { return }
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(Self.configuration(core.port, gateway.port), to: folder + "/routes.json")
        let program = try Program(
            path: "/usr/bin/unshare",
            [
                "-m", "/bin/sh", "-c",
                "mount --bind \(folder) \(folder) && mount -o remount,ro,bind \(folder) && exec \"$0\" serve --workers 1 --config \(folder)/routes.json",
                Program.path("balancer"),
            ])
        let port = try program.await { line -> String? in line.hasPrefix("admin ") ? String(line.dropFirst(6)) : nil }
        _ = try program.await { $0 == "ready" ? true : nil }
        let refused = try Program.run("balancer", ["weight", "api", "core=1", "--save", "--admin", port])
        #expect(refused.status == 1 && refused.errors.contains("Read-only file system"), "\(refused)")
        #expect(refused.errors.contains("change it there"), "\(refused)")
        let live = try Program.run("balancer", ["routes", "--admin", port, "--json"])
        #expect(live.output.contains("\"weights\":{\"core\":75,\"gateway\":25}"))
        program.signal(SIGTERM)
        #expect(program.awaitExit() == 0)
    }
}
