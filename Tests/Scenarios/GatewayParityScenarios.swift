import Foundation
import Glibc
import TestSupport
import Testing

/// The balancer in front of a core and two gateways on the same data: whichever side answers, a client sees the same bytes.
@Suite("Gateway parity", .serialized) struct GatewayParityScenarios {
    /// A request as a client sends it.
    struct Question: CustomStringConvertible {
        var method = "GET"
        var target: String
        var fields = ""
        var body: String?

        var description: String { "\(self.method) \(self.target) \(self.fields)" }
    }

    /// Core in the old release's place, two gateways, and a file of sample data under all three.
    final class Site {
        let folder: String
        let balancer: BalancerProcess
        let corePort: UInt16
        let gatewayPorts: [UInt16]
        private var core: Program
        private var gateways: [Program] = []

        init() throws {
            let folder = BalancerProcess.makeFolder()
            self.folder = folder
            let data = folder + "/sample.sqlite"
            let made = try Program.run("gateway", ["sample", "--to", data], seconds: 180)
            guard made.status == 0 else { throw TestFailure("no sample data: \(made.errors)") }
            // What is slow on a busy machine is no failure here.
            let server = "\"host\": \"127.0.0.1\", \"deadline\": 60000"
            let text = "{\"server\": {\"port\": 0, \(server)}, \"db\": {\"uri\": \"sqlite:\(data)\"}}"
            try BalancerProcess.write(text, to: folder + "/main.json")
            let started = try ["core", "one", "two"].map { name in
                try Self.start(name, role: name == "core" ? "core" : "gateway", config: folder + "/main.json")
            }
            (self.core, self.corePort) = started[0]
            self.gateways = started.dropFirst().map(\.0)
            self.gatewayPorts = started.dropFirst().map(\.1)
            self.balancer = try BalancerProcess(
                Routes.configuration(
                    upstreams: [("core", [self.corePort]), ("gateway", self.gatewayPorts)],
                    routes: """
                        {"name": "operations", "match": {"path": "/healthcheck"}, "split": {"core": 1}},
                        {"name": "api", "match": {"path": "/"}, "split": {"core": 100, "gateway": 0}}
                        """), workers: 2)
        }

        deinit {
            for program in [self.core] + self.gateways { program.signal(SIGKILL) }
            BalancerProcess.removeFolder(self.folder)
        }

        private static func start(_ name: String, role: String, config: String) throws -> (Program, UInt16) {
            let program = try Program("gateway", ["serve", "--role", role, "--config", config, "--identify", name])
            let port = try program.await(seconds: 60) { line -> UInt16? in
                guard line.hasPrefix("gateway (") else { return nil }
                return line.components(after: "http://127.0.0.1:").flatMap { UInt16($0.prefix { $0.isNumber }) }
            }
            return (program, port)
        }

        /// Core ends, and what is left of it takes its place.
        func retireCore() throws {
            self.core.signal(SIGTERM)
            #expect(self.core.awaitExit() == 0)
            let file = self.folder + "/retired.json"
            try BalancerProcess.write(
                "{\"server\": {\"port\": \(self.corePort), \"host\": \"127.0.0.1\", \"enable\": false}}", to: file)
            (self.core, _) = try Self.start("core", role: "core", config: file)
        }

        func weigh(gateway: Int) throws {
            let result = try self.balancer.command("weight", "api", "core=\(100 - gateway)", "gateway=\(gateway)")
            #expect(result.status == 0, "\(result.errors)")
        }

        func ask(_ port: UInt16, _ question: Question) throws -> Message {
            let connection = try RawConnection(port: port)
            let length = question.body.map { "Content-Length: \($0.utf8.count)\r\n" } ?? ""
            connection.send(
                "\(question.method) \(question.target) HTTP/1.1\r\nHost: test\r\n\(question.fields)\(length)"
                    + "Connection: close\r\n\r\n\(question.body ?? "")")
            var reader = MessageReader(connection)
            return try reader.message(toHEAD: question.method == "HEAD", seconds: 60)
        }

        private func json(_ target: String) throws -> Any {
            let message = try self.ask(self.gatewayPorts[0], Question(target: target))
            guard message.status == 200 else { throw TestFailure("\(target): \(message.start)") }
            return try JSONSerialization.jsonObject(with: Data(message.body))
        }

        private func values(_ target: String, _ key: String) throws -> [String] {
            let answer = try self.json(target)
            let documents = answer as? [[String: Any]] ?? (answer as? [String: Any]).map { [$0] } ?? []
            return documents.compactMap { $0[key] }.map { "\($0)" }
        }

        private func first(_ target: String, _ key: String) throws -> String {
            guard let value = try self.values(target, key).first else { throw TestFailure("\(target) has no \(key)") }
            return value
        }

        /// A candidate of whom every collection knows something.
        private func candidate() throws -> String {
            let validators = Set(try self.values("/validators", "address"))
            let known = try self.values("/candidates", "stash").first { stash in
                guard validators.contains(stash) else { return false }
                return try [
                    "nominatorstake", "location/validator", "rewards/validator", "validators/activeeras", "score",
                ]
                .allSatisfy {
                    let answer = try self.ask(self.gatewayPorts[0], Question(target: "/\($0)/\(stash)"))
                    return answer.status == 200 && !["[]", "0"].contains(answer.text)
                }
            }
            guard let known else { throw TestFailure("no candidate with everything") }
            return known
        }

        /// Every route of the API with parameters of the data, and with parameters of nobody's.
        func targets() throws -> (existing: [String], missing: [String]) {
            let candidate = try self.candidate()
            let nominator = try self.first("/nominators", "stash")
            let rewarded = try self.first("/rewards/validator/\(candidate)", "nominator")
            let era = try self.first("/nominatorstake/\(candidate)", "era")
            let session = try self.first("/scoremetadata", "session")
            let alone = [
                "/candidates", "/candidates/rank", "/candidates/valid", "/candidates/invalid", "/nominators",
                "/nominations", "/lastnomination", "/proxytxs", "/totalerapoints", "/scoremetadata",
                "/validators/current", "/validators", "/validators/beefy", "/validators/beefy/dummy",
                "/location/currentvalidatorset", "/erastats", "/locationstats", "/locationstats/valid",
                "/rewards/validators/total", "/rewards/validators/stats", "/rewards/nominators/total", "/blockindex",
                "/release", "/stats/totalRequests", "/stats/endpointCounts",
            ]
            func rest(_ candidate: String, _ nominator: String, _ rewarded: String, _ era: String, _ session: String)
                -> [String]
            {
                [
                    "/candidate/\(candidate)", "/nominatorstake/\(candidate)", "/nominatorstake/\(candidate)/\(era)",
                    "/nominatorstake/\(candidate)/last/3", "/nominator/\(nominator)", "/nominations/\(nominator)/2",
                    "/erapoints/\(candidate)", "/score/\(candidate)", "/score/\(candidate)/\(session)",
                    "/scoremetadata/\(session)", "/validators/activeeras/\(candidate)", "/validator/\(candidate)",
                    "/location/validator/\(candidate)", "/locationstats/\(session)", "/rewards/validator/\(candidate)",
                    "/rewards/validator/\(candidate)/total", "/rewards/validator/\(candidate)/stats",
                    "/rewards/nominator/\(rewarded)", "/rewards/nominator/\(rewarded)/total",
                ]
            }
            let existing = alone + rest(candidate, nominator, rewarded, era, session)
            let missing = rest("nobody", "nobody", "nobody", "999999", "999999")
            return (existing, missing)
        }
    }

    /// What a client can tell of an answer: all but when it was given, by whom, and over which connection.
    private static func visible(_ message: Message) -> (head: [String], body: [UInt8]) {
        let own: Set = ["date", "connection", "keep-alive", "via", "x-request-id", "x-served-by"]
        let fields = message.fields.filter { !own.contains($0.name.lowercased()) }.map { "\($0.name): \($0.value)" }
        return ([message.start] + fields, message.body)
    }

    @Test("Every route answers the same bytes through the balancer from either side, while weights move and core goes")
    func everyRoute() throws {
        let site = try Site()
        let (existing, missing) = try site.targets()
        #expect(existing.count == 44)
        var questions = existing.flatMap { target in
            ["GET", "HEAD", "OPTIONS"].map { Question(method: $0, target: target) }
        }
        questions += missing.flatMap { target in ["GET", "HEAD"].map { Question(method: $0, target: target) } }
        questions += [
            Question(target: "/candidates", fields: "Origin: https://a.example\r\n"),
            Question(target: "/blockindex", fields: "If-None-Match: *\r\n"),
            Question(
                method: "OPTIONS", target: "/candidates",
                fields: "Origin: null\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: x-a\r\n"),
            Question(method: "OPTIONS", target: "/", fields: "Access-Control-Request-Method: GET\r\n"),
            Question(target: "/score/nobody/abc"), Question(method: "HEAD", target: "/score/nobody/abc"),
            Question(target: "/candidates/"), Question(method: "DELETE", target: "/candidates/"),
            Question(target: "//candidates"), Question(target: "/Candidates/RANK?a=%20b"), Question(target: "/nope"),
            Question(
                method: "POST", target: "/candidates", fields: "Content-Type: application/json\r\n", body: "{\"a\":1}"),
            Question(method: "POST", target: "/candidates", fields: "Content-Type: application/json\r\n", body: "{"),
        ]

        // Asked directly, both sides are alike already.
        var expected: [(head: [String], body: [UInt8])] = []
        var statuses: Set<Int> = []
        for question in questions {
            let core = try site.ask(site.corePort, question)
            let answer = Self.visible(core)
            for port in site.gatewayPorts {
                let other = Self.visible(try site.ask(port, question))
                #expect(other.head == answer.head, "\(question)")
                #expect(other.body == answer.body, "\(question)")
            }
            statuses.insert(core.status)
            expected.append(answer)
        }
        #expect(statuses == [200, 204, 304, 400, 404, 500])
        for (question, answer) in zip(questions, expected)
        where question.method == "GET" && existing.contains(question.target) && question.fields.isEmpty {
            let status = question.target.hasPrefix("/nominations/") ? "204 No Content" : "200 OK"
            #expect(answer.head[0] == "HTTP/1.1 \(status)", "\(question)")
        }

        func compare(servedBy names: Set<String>) throws {
            var servers: Set<String> = []
            for (question, answer) in zip(questions, expected) {
                let message = try site.ask(site.balancer.port, question)
                let seen = Self.visible(message)
                #expect(seen.head == answer.head, "\(question)")
                #expect(seen.body == answer.body, "\(question)")
                servers.insert(message.field("x-served-by") ?? "nobody")
            }
            #expect(servers == names)
        }
        try compare(servedBy: ["core"])

        // The long lists take a debug build longer to read than the move should last.
        let light = zip(questions, expected).filter {
            $0.0.method == "GET" && $0.1.head[0].hasSuffix("200 OK") && $0.1.body.count < 40_000
        }
        let bodies = Set(light.map { String(decoding: $0.1.body, as: UTF8.self) })
        let requests = light.map { "GET \($0.0.target) HTTP/1.1\r\nHost: h\r\n\r\n" }
        let load = LoadClient(port: site.balancer.port) { requests[$0 % requests.count] }
        load.start(connections: 6)
        for gateway in [0, 1, 5, 10, 25, 50, 75, 90, 99, 100] {
            try site.weigh(gateway: gateway)
            try load.awaitAnswers(200)
        }
        try compare(servedBy: ["one", "two"])

        let core = Question(target: "/healthcheck")
        #expect(try site.ask(site.balancer.port, core).text.contains("\"connected\":true"))
        try site.retireCore()
        try load.awaitAnswers(200)
        #expect(try site.ask(site.balancer.port, core).text == "Good!")
        #expect(try site.ask(site.corePort, Question(target: "/candidates")).status == 404)
        try compare(servedBy: ["one", "two"])
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
        #expect(Set(load.answers.keys).isSubset(of: bodies))
        #expect(load.answers.count == bodies.count)
    }

    @Test("A gateway with few descriptors cuts the connections that never asked, and serves who comes late")
    func descriptorLimit() throws {
        // What the tests have open themselves is none of its own.
        let script = """
            for each in /proc/$$/fd/*; do each=${each##*/}; ((each < 3)) || eval "exec $each>&-"; done
            ulimit -n 40 && exec '\(Program.path("gateway"))' serve --port 0
            """
        let program = try Program(path: "/bin/bash", ["-c", script])
        let port = try program.await(seconds: 60) { line -> UInt16? in
            line.components(after: "http://127.0.0.1:").flatMap { UInt16($0.prefix { $0.isNumber }) }
        }
        var connections = try (0..<60).map { _ in try RawConnection(port: port) }
        // The first has never asked for anything: it gives way.
        #expect(connections[0].readAll(seconds: 30).end != .timeout)
        // One that has just been let in may be the fortieth for a moment.
        #expect(eventually { program.openFiles < 40 })
        let before = Self.processorTime(program)
        // What it does while nothing happens is what the test is about.
        sleep(1)
        #expect(Self.processorTime(program) - before < 0.3)
        connections.removeFirst(59)
        connections[0].send("GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n")
        var reader = MessageReader(connections[0])
        #expect(try reader.message(seconds: 30).text == "Good!")
    }

    /// Seconds of user and system time.
    private static func processorTime(_ program: Program) -> Double {
        let text = (try? String(contentsOfFile: "/proc/\(program.pid)/stat", encoding: .utf8)) ?? ""
        let fields = text.split(separator: ") ").last?.split(separator: " ") ?? []
        let ticks = fields.dropFirst(11).prefix(2).reduce(0) { $0 + (Double($1) ?? 0) }
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
