import Glibc
import TestSupport
import Testing

/// The operator's side: the admin API, reloads, and the command line, against a running balancer.
@Suite("Live control", .serialized) struct LiveControlScenarios {
    private func started(top: String = "") throws -> (ScriptedUpstream, ScriptedUpstream, BalancerProcess) {
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        return (
            core, gateway,
            try BalancerProcess(
                Routes.configuration(upstreams: [("core", [core.port]), ("gateway", [gateway.port])], top: top))
        )
    }

    @Test("Weights over the API: entity tags, dry run, and refusals that change nothing")
    func weights() throws {
        let (core, gateway, balancer) = try self.started()
        defer { core.stop(); gateway.stop() }
        let shown = try balancer.admin("/api/v1/routes/api")
        let tag = try #require(shown.field("etag"))
        let dry = try balancer.setWeights("{\"core\": 0}", query: "?dryRun=true")
        #expect(dry.status == 200 && dry.text.contains("\"dryRun\":true"))
        #expect(try balancer.admin("/api/v1/routes/api").field("etag") == tag)
        let done = try balancer.setWeights("{\"core\": 0}", fields: "If-Match: \(tag)\r\n")
        #expect(done.status == 200 && done.field("etag") != tag)
        let stale = try balancer.setWeights("{\"core\": 5}", fields: "If-Match: \(tag)\r\n")
        #expect(stale.status == 412)
        for (weights, place) in [
            ("{\"gatway\": 1}", "$.weights.gatway"), ("{\"core\": -1}", "$.weights.core"),
            ("{\"core\": 1000001}", "$.weights.core"), ("{\"core\": 1.5}", "$.weights.core"),
            ("{\"core\": \"1\"}", "$.weights.core"),
        ] {
            let refused = try balancer.setWeights(weights)
            #expect(refused.status == 422 && refused.text.contains(place), "\(weights): \(refused.text)")
        }
        #expect(try balancer.setWeights("{").status == 400)
        #expect(try balancer.setWeights("{\"core\": 1}", route: "nope").status == 404)
        for _ in 0..<6 { #expect(try balancer.request().text == "gateway") }
    }

    @Test("A reload under load loses nothing and takes effect; live weights stand until the file says otherwise")
    func reload() throws {
        let (core, gateway, balancer) = try self.started()
        #expect(try balancer.setWeights("{\"core\": 0, \"gateway\": 1}").status == 200)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 8)
        for step in 1...20 {
            // The same weights in the file: the live change stands.
            let text = Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                top: "\"limits\": {\"headerCount\": \(100 + step)}")
            let generation = try balancer.json("/api/v1/status")["generation"] as? Int ?? 0
            try BalancerProcess.write(text, to: balancer.file)
            balancer.program.signal(SIGHUP)
            #expect(try eventually { try balancer.json("/api/v1/status")["generation"] as? Int ?? 0 > generation })
            try load.awaitAnswers(50)
        }
        #expect(load.answers["core"] == nil)
        try BalancerProcess.write(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                routes: "{\"name\": \"api\", \"match\": {\"path\": \"/\"}, \"split\": {\"core\": 3, \"gateway\": 1}}"),
            to: balancer.file)
        // The file alone, without a signal.
        #expect(eventually { load.answers["core"] ?? 0 > 0 })
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
    }

    @Test("A bad reload changes nothing and says everything that is wrong")
    func badReload() throws {
        let (core, gateway, balancer) = try self.started()
        defer { gateway.stop() }
        let tag = try balancer.admin("/api/v1/routes").field("etag")
        for text in [
            "{bad",
            "{\"listeners\": [], \"upstreams\": {\"core\": {\"endpoints\": [\"127.0.0.1:\(core.port)\"]}}, \"routs\": []}",
            Routes.configuration(
                upstreams: [("core", [core.port])],
                routes: "{\"name\": \"api\", \"match\": {\"path\": \"/\"}, \"split\": {\"gatway\": 1}}"),
        ] {
            let failures = try balancer.metric("balancer_reloads_total{result=\"failure\"}")
            try BalancerProcess.write(text, to: balancer.file)
            balancer.program.signal(SIGHUP)
            #expect(try eventually { try balancer.metric("balancer_reloads_total{result=\"failure\"}") > failures })
            let last = try balancer.json("/api/v1/status")["lastReload"] as? [String: Any]
            #expect(last?["ok"] as? Bool == false)
            #expect((last?["problems"] as? [Any])?.isEmpty == false)
            #expect(try balancer.admin("/api/v1/routes").field("etag") == tag)
            #expect(try balancer.request().status == 200)
        }
        #expect(try balancer.metric("balancer_config_last_reload_successful") == 0)
        let check = try Program.run("balancer", ["check", balancer.file])
        #expect(check.status == 1 && check.errors.contains("$.routes[0].split.gatway"))
    }

    @Test("Listeners come and go by reload; connections of one that went finish")
    func listeners() throws {
        let (core, gateway, balancer) = try self.started()
        defer { gateway.stop() }
        let upstreams =
            "\"upstreams\": {\"core\": {\"endpoints\": [\"127.0.0.1:\(core.port)\"]}}, \"routes\": [{\"name\": \"api\", \"split\": {\"core\": 1}}]"
        func text(_ names: [String]) -> String {
            let list = names.map { "{\"name\": \"\($0)\", \"address\": \"127.0.0.1:0\"}" }.joined(separator: ",")
            return
                "{\"listeners\": [\(list)], \"admin\": {\"address\": \"127.0.0.1:0\"}, \"accessLog\": {\"enabled\": false}, \(upstreams)}"
        }
        func port(_ name: String) throws -> UInt16? {
            let listeners = try balancer.json("/api/v1/status")["listeners"] as? [[String: Any]] ?? []
            let address = listeners.first { $0["name"] as? String == name }?["address"] as? String
            return address?.split(separator: ":").last.flatMap { UInt16($0) }
        }
        let old = try balancer.connect()
        old.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(old.read(until: "\r\n\r\n") != nil)
        try BalancerProcess.write(text(["public", "second"]), to: balancer.file)
        #expect(try eventually { try port("second") != nil })
        let second = try #require(try port("second"))
        let connection = try RawConnection(port: second)
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(connection.read(until: "core") != nil)
        try BalancerProcess.write(text(["second"]), to: balancer.file)
        #expect(try eventually { try port("public") == nil })
        #expect(eventually { (try? RawConnection(port: balancer.port)) == nil }, "the old listener refuses")
        #expect(try port("second") == second, "the other keeps its port")
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(connection.read(until: "core") != nil)
    }

    @Test("Endpoints: drained ones finish what runs and get nothing new; ready brings them back")
    func endpointStates() throws {
        let release = Progress()
        let slow = try ScriptedUpstream.answering { request, _ in
            if request.start.contains("/slow") { _ = eventually(seconds: 20) { release.value > 0 } }
            return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"
        }
        let other = try ScriptedUpstream.plain("other")
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [slow.port, other.port])], upstreamKeys: "\"balance\": \"round-robin\""))
        let connection = try balancer.connect()
        // Round robin: one of the first two reaches it.
        connection.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        var reader = MessageReader(connection)
        if !eventually(seconds: 1, { slow.requests.count == 1 }) {
            #expect(try reader.message().text == "other")
            connection.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(eventually { slow.requests.count == 1 })
        }
        let address = "127.0.0.1:\(slow.port)"
        #expect(try balancer.command("endpoint", address, "drain", "--reason", "new kernel").status == 0)
        for _ in 0..<10 { #expect(try balancer.request().text == "other") }
        let shown = try balancer.command("upstreams")
        #expect(shown.status == 0 && shown.output.contains("draining"))
        release.add(1)
        #expect(try reader.message().text == "slow", "what ran was finished")
        #expect(try balancer.command("endpoint", address, "maintenance").status == 0)
        for _ in 0..<4 { #expect(try balancer.request().text == "other") }
        #expect(try balancer.command("endpoint", address, "ready").status == 0)
        #expect(try Set((0..<4).map { _ in try balancer.request().text }) == ["slow", "other"])
        let journal = try balancer.command("journal")
        #expect(journal.output.contains("new kernel"))
    }

    @Test("Commands: what they print, and exit statuses that scripts can use")
    func commandLine() throws {
        let (core, gateway, balancer) = try self.started()
        defer { gateway.stop() }
        for words in [["status"], ["routes"], ["upstreams"], ["journal"], ["explain", "/x"]] {
            let human = try Program.run("balancer", words + ["--admin", balancer.admin])
            #expect(human.status == 0 && !human.output.isEmpty, "\(words): \(human.errors)")
            let machine = try Program.run("balancer", words + ["--admin", balancer.admin, "--json"])
            #expect(machine.status == 0 && machine.output.hasPrefix("{"), "\(words)")
        }
        #expect(try balancer.command("routes").output.contains("api"))
        #expect(try balancer.command("upstreams").output.contains("127.0.0.1:\(core.port)"))
        #expect(try balancer.command("weight", "api", "core=7", "--dry-run").status == 0)
        #expect(try balancer.json("/api/v1/routes/api")["weights"] as? [String: Int] == ["core": 1, "gateway": 1])
        #expect(try balancer.command("weight", "nope", "core=7").status == 1)
        #expect(try balancer.command("weight", "api", "nope=7").status == 1)
        #expect(try balancer.command("weight", "api", "core").status == 64)
        #expect(try balancer.command("endpoint", "127.0.0.1:1", "drain").status == 1)
        #expect(try balancer.command("bogus").status == 64)
        #expect(try Program.run("balancer", ["status", "--admin", "127.0.0.1:1"]).status == 2)
        #expect(try Program.run("balancer", ["check", balancer.file]).status == 0)
        #expect(try Program.run("balancer", ["check", balancer.folder + "/missing.json"]).status == 1)
        #expect(try Program.run("balancer", ["serve", "--config", balancer.folder + "/missing.json"]).status == 1)
    }

    @Test("A start that cannot succeed says why and ends with 1")
    func badStart() throws {
        let (core, gateway, balancer) = try self.started()
        defer { gateway.stop() }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let file = folder + "/routes.json"
        try BalancerProcess.write(
            Routes.configuration(upstreams: [("core", [core.port])]).replacing(
                "127.0.0.1:0\"}]", with: "127.0.0.1:\(balancer.port)\"}]"),
            to: file)
        // The first balancer shares its port with workers of its own process only.
        let result = try Program.run("balancer", ["serve", "--config", file])
        #expect(result.status == 1 && !result.errors.isEmpty)
        #expect(try balancer.request().status == 200)
    }
}

extension BalancerProcess {
    /// The value of one metric, named with its labels as the page shows it; 0 if it is not there.
    func metric(_ name: String) throws -> Double {
        for line in try self.admin("/metrics").text.split(separator: "\n") where line.hasPrefix(name + " ") {
            return Double(line.split(separator: " ").last ?? "") ?? -1
        }
        return 0
    }
}
