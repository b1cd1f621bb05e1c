import Foundation
import Glibc
import TestSupport
import Testing

/// What a process finds out when it starts.
@Suite("Start", .serialized) struct StartScenarios {
    @Test("A host name that nobody knows costs its endpoint and nothing else; found later, it serves")
    func names() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let text = Routes.configuration(
            upstreams: [("core", [upstream.port]), ("named", [1])],
            routes: """
                {"name": "core", "split": {"core": 1}}, {"name": "named", "match": {"path": "/named"}, "split": {"named": 1}}
                """
        ).replacing("\"127.0.0.1:1\"", with: "\"known.test:\(upstream.port)\", \"nowhere.test:\(upstream.port)\"")
        try BalancerProcess.write(text, to: folder + "/routes.json")
        try BalancerProcess.write("127.0.0.1 other.test\n", to: folder + "/hosts")
        try BalancerProcess.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", to: folder + "/resolv.conf")
        // A name service of the process's own, which knows what a file says and whose server is not there.
        let shell = """
            mount --make-rprivate / && mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv.conf" /etc/resolv.conf || exit 77
            case $2 in
            check) exec "$0" check "$1/routes.json" ;;
            *) exec "$0" serve --config "$1/routes.json" --workers 1 ;;
            esac
            """
        func words(_ command: String) -> [String] {
            ["-m", "/bin/sh", "-c", shell, Program.path("balancer"), folder, command]
        }
        guard geteuid() == 0 else { return }
        let check = try Program.run(path: "/usr/bin/unshare", words("check"))
        #expect(check.status == 0)
        #expect(check.errors.contains("routes.json: warning: $.upstreams.named.endpoints[0]: \"known.test\": "))
        #expect(check.errors.contains("$.upstreams.named.endpoints[1]: \"nowhere.test\": "))
        let program = try Program(path: "/usr/bin/unshare", words("serve"))
        func port(_ prefix: String) throws -> UInt16 {
            try program.await { line in
                line.hasPrefix(prefix) ? line.split(separator: ":").last.flatMap { UInt16($0) } : nil
            }
        }
        let (admin, listener) = (try port("admin "), try port("listening public "))
        _ = try program.await { $0 == "ready" ? true : nil }
        #expect(try get("/", port: listener).text == "x")
        #expect(try get("/named", port: listener).status == 503)
        func unresolved() throws -> [String] {
            let body = try get("/api/v1/upstreams", port: admin).body
            let object = try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
            let upstreams = object?["upstreams"] as? [[String: Any]] ?? []
            return upstreams.flatMap { $0["unresolved"] as? [[String: Any]] ?? [] }.compactMap {
                $0["endpoint"] as? String
            }
        }
        #expect(try unresolved() == ["known.test:\(upstream.port)", "nowhere.test:\(upstream.port)"])
        // In place: the mount is of this very file.
        let hosts = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/hosts"))
        try hosts.seekToEnd()
        try hosts.write(contentsOf: Data("127.0.0.1 known.test\n".utf8))
        try hosts.close()
        #expect(try eventually(seconds: 20) { try get("/named", port: listener).text == "x" }, "without a load")
        #expect(try unresolved() == ["nowhere.test:\(upstream.port)"])
        let shown = try Program.run("balancer", ["upstreams", "--admin", "127.0.0.1:\(admin)"])
        #expect(shown.output.contains("unresolved"))
        program.signal(SIGTERM)
        #expect(program.awaitExit() == 0)
    }

    @Test("A process that may not have the threads it serves with says so and ends")
    func noThread() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        #expect(chmod(folder, 0o755) == 0)
        try BalancerProcess.write(Routes.configuration(upstreams: [("core", [1])]), to: folder + "/routes.json")
        #expect(chmod(folder + "/routes.json", 0o644) == 0)
        // Where the tests are run by root, whom no such limit concerns, the balancer is another user's.
        let user = geteuid() == 0 ? ["/usr/bin/setpriv", "--reuid", "40322", "--clear-groups"] : ["/usr/bin/env"]
        let limited = ["/usr/bin/prlimit", "--nproc=1:1", Program.path("balancer")]
        let result = try Program.run(
            path: user[0], Array(user[1...]) + limited + ["serve", "--config", folder + "/routes.json"])
        #expect(result.status == 1)
        #expect(result.errors.contains("balancer: cannot start: pthread_create"), "\(result.errors)")
    }

    @Test("By default there are as many workers as processors that the process may use")
    func workers() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Routes.configuration(upstreams: [("core", [upstream.port])]), to: folder + "/routes.json")
        // The first of those that we may run on.
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") })
        let first = try #require(line.drop { !$0.isNumber }.split { !$0.isNumber }.first)
        let program = try Program(
            path: "/usr/bin/taskset",
            ["-c", String(first), Program.path("balancer"), "serve", "--config", folder + "/routes.json"])
        let admin = try program.await { line in
            line.hasPrefix("admin ") ? line.split(separator: ":").last.flatMap { UInt16($0) } : nil
        }
        let body = try get("/api/v1/status", port: admin).body
        let answer = try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
        #expect(answer?["workers"] as? Int == 1)
        #expect(eventually { program.errors.contains { $0.contains("starting") && $0.contains("1 allowed") } })
        program.signal(SIGTERM)
        #expect(program.awaitExit() == 0)
    }
}
