import Foundation
import Glibc
import TestSupport
import Testing

/// Routes that ask who the client is, before real clients and with the bytes that the upstream sees.
@Suite("Basic authentication", .serialized) struct BasicAuthScenarios {
    /// Of `secret`: a fast one, and one that takes a tenth of a second or more.
    private static let fast =
        "$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1"
    /// Of `other`.
    private static let other =
        "$6$rounds=1000$abcdefgh$9hJ7KNK6t/ud04hemMHxQK2Q8UKU76xMyvqGNAgr38gqz6KGursFMEhjjbKelpjLiXUc/k2bt82z4RsSzboYg1"

    private static func configuration(
        _ core: UInt16, _ auth: String, route: String = "", top: String = "", routes: String = ""
    ) -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0"}],
         "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": true}, \(top)
         "upstreams": {"core": {"endpoints": ["127.0.0.1:\(core)"]}},
         "routes": [{"name": "api", "split": {"core": 1}, "basicAuth": {"realm": "the api", \(auth)}\(route)}\(routes)]}
        """
    }

    private static func users(_ hash: String = Self.fast) -> String {
        #""users": {"ann": "\#(hash)", "böb": "\#(other)"}"#
    }

    private static func credentials(_ text: String) -> String {
        "Authorization: Basic \(Data(text.utf8).base64EncodedString())\r\n"
    }

    private static func checks(_ balancer: BalancerProcess, _ result: String) throws -> Int {
        let series = #"balancer_auth_checks_total{route="api",result="\#(result)"} "#
        let line = try balancer.admin("/metrics").text.split(separator: "\n").first { $0.hasPrefix(series) }
        return line.flatMap { Int($0.dropFirst(series.count)) } ?? -1
    }

    @Test("Who has a user's password is served, and the upstream is told who; nobody else gets there")
    func serves() throws {
        let core = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            Self.configuration(core.port, Self.users() + #", "userHeader": "X-User""#), workers: 2)
        let none = try balancer.request("/a")
        #expect(none.status == 401 && none.field("x-balancer-reason") == "unauthorized")
        #expect(none.field("www-authenticate") == #"Basic realm="the api", charset="UTF-8""#)
        for text in ["ann:wrong", "ann:", "ann:secret ", "Ann:secret", "eve:secret", ":", "böb:secret"] {
            #expect(try balancer.request("/a", fields: Self.credentials(text)).status == 401, "\(text)")
        }
        #expect(try balancer.request("/a", fields: "Authorization: Bearer x\r\n").status == 401)
        #expect(try balancer.request("/a", fields: "Authorization: Basic ?\r\n").status == 401)
        let long = "Authorization: Basic \(String(repeating: "YWFh", count: 1_025))\r\n"
        #expect(try balancer.request("/a", fields: long).status == 400)
        #expect(core.requests.isEmpty)
        for (text, name) in [("ann:secret", "ann"), ("böb:other", "böb")] {
            let fields = Self.credentials(text) + "x-user: root\r\nX-User: admin\r\nX-Other: 1\r\n"
            #expect(try balancer.request("/\(name.count)", fields: fields).status == 200)
            let seen = try #require(core.requests.last)
            #expect(seen.fields.filter { $0.name.lowercased() == "x-user" }.map(\.value) == [name])
            #expect(seen.field("authorization") == nil && seen.field("x-other") == "1")
        }
        #expect(eventually { balancer.program.output.contains { $0.contains(#""user":"ann""#) } })
        #expect(!balancer.program.output.contains { $0.contains("secret") || $0.contains("YW5uOn") })
        #expect(try Self.checks(balancer, "allowed") == 2)
        #expect(try Self.checks(balancer, "denied") == 7)
        #expect(try Self.checks(balancer, "missing") == 2)
        #expect(try Self.checks(balancer, "malformed") == 2)
        for _ in 0..<20 { #expect(try balancer.request(fields: Self.credentials("ann:secret")).status == 200) }
        #expect(try Self.checks(balancer, "remembered") == 20)
        let explained = try balancer.command("explain", "/").output
        #expect(explained.contains("401 unauthorized"), "\(explained)")
        #expect(balancer.stop() == 0)
    }

    @Test("A body that comes while the password is looked at goes up whole, however framed; so does the next request")
    func bodies() throws {
        let core = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                let message = try reader.message(seconds: 60)
                upstream.record(message)
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(message.body.count)\r\n\r\n")
                connection.send(message.body)
            }
        }
        // A password each time that is not remembered yet would be refused; so a user for each.
        let names = (0..<6).map { "u\($0)" }
        let users = names.map { #""\#($0)": "\#(Self.fast)""# }.joined(separator: ", ")
        for buffering in ["", #", "buffering": {"request": "1MiB"}"#] {
            let balancer = try BalancerProcess(
                Self.configuration(core.port, #""users": {\#(users)}, "forward": true"#, route: buffering))
            let body = String(repeating: "0123456789abcdef", count: 20_000)
            for name in names {
                let connection = try balancer.connect()
                var reader = MessageReader(connection)
                let credentials = Self.credentials("\(name):secret")
                func head(_ start: String, _ fields: String = "") -> String {
                    "\(start) HTTP/1.1\r\nHost: h\r\n\(credentials)\(fields)\r\n"
                }
                switch name {
                case "u0":
                    connection.send(head("POST /0", "Content-Length: \(body.count)\r\n") + body)
                case "u1":
                    connection.send(
                        head("POST /1", "Transfer-Encoding: chunked\r\n")
                            + "\(String(body.count, radix: 16));a=b\r\n\(body)\r\n0\r\nX-T: 1\r\n\r\n")
                case "u2":
                    connection.send(head("POST /2", "Content-Length: \(body.count)\r\n"))
                    usleep(20_000)
                    connection.send(body)
                case "u3":
                    connection.send(head("GET /3") + head("GET /4"))
                case "u4": connection.send(head("PUT /5", "Content-Length: 3\r\n") + "abc")
                default: connection.send(head("HEAD /6"))
                }
                let answer = try reader.message(toHEAD: name == "u5")
                #expect(answer.status == 200, "\(name) \(answer.start)")
                switch name {
                case "u0", "u1", "u2": #expect(answer.text == body, "\(name) \(answer.body.count)")
                case "u3": #expect(try reader.message().status == 200)
                case "u4": #expect(answer.text == "abc")
                default: break
                }
                let seen = try #require(core.requests.last)
                #expect(seen.field("authorization").map { "Authorization: \($0)\r\n" } == credentials)
            }
        }
    }

    @Test("The file of users is followed: a password that changed holds at once, and a bad file changes nothing")
    func follows() throws {
        let core = try ScriptedUpstream.plain("core")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let file = folder + "/users"
        try BalancerProcess.write("# users\nann:\(Self.fast)\n", to: file)
        let balancer = try BalancerProcess(Self.configuration(core.port, #""usersFile": "\#(file)""#))
        func status(_ text: String) throws -> Int { try balancer.request(fields: Self.credentials(text)).status }
        #expect(try status("ann:secret") == 200)
        try BalancerProcess.write("ann:\(Self.other)\n", to: file)
        #expect(try eventually { try status("ann:secret") == 401 }, "what was remembered is of another hash")
        #expect(try status("ann:other") == 200)
        try BalancerProcess.write("ann:plain\n", to: file)
        #expect(eventually { balancer.program.errors.contains { $0.contains("line 1: expected a hash") } })
        #expect(try status("ann:other") == 200)
        #expect(!balancer.program.errors.contains { $0.contains("plain") })
        let checked = try Program.run("balancer", ["check", balancer.file])
        #expect(checked.status == 1 && checked.errors.contains("$.routes[0].basicAuth.usersFile"), "\(checked)")
    }

    @Test("What was right in one route's table lets nobody in by a name that another route does not know")
    func routes() throws {
        let core = try ScriptedUpstream.plain("core")
        let other = #"""
            , {"name": "bobs", "match": {"path": "/b"}, "split": {"core": 1},
               "basicAuth": {"realm": "b", "users": {"bob": "\#(Self.fast)"}}}
            """#
        let balancer = try BalancerProcess(
            Self.configuration(core.port, #""users": {"ann": "\#(Self.fast)"}"#, routes: other))
        // Of one user there is: whoever is not known is taken for that one.
        for _ in 0..<2 {
            #expect(try balancer.request("/a", fields: Self.credentials("ann:secret")).status == 200)
            #expect(try balancer.request("/b", fields: Self.credentials("ann:secret")).status == 401)
            #expect(try balancer.request("/b", fields: Self.credentials("bob:secret")).status == 200)
            #expect(try balancer.request("/a", fields: Self.credentials("bob:secret")).status == 401)
        }
        #expect(core.requests.count == 4)
    }

    @Test("A file of users that is written where it stands is not taken before it is whole")
    func rewritten() throws {
        let core = try ScriptedUpstream.plain("core")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let file = folder + "/users"
        try BalancerProcess.write("ann:\(Self.fast)\nbob:\(Self.other)\n", to: file)
        let balancer = try BalancerProcess(Self.configuration(core.port, #""usersFile": "\#(file)""#))
        func status(_ text: String) throws -> Int { try balancer.request(fields: Self.credentials(text)).status }
        #expect(try status("bob:other") == 200)
        // Some bytes every fifth of a second: whoever looks meanwhile finds users, and bob is not among them.
        let descriptor = open(file, O_WRONLY | O_TRUNC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        for line in ["ann:\(Self.other)\n"] + (0..<12).map({ "u\($0):\(Self.fast)\n" }) + ["bob:\(Self.other)\n"] {
            _ = line.withCString { Glibc.write(descriptor, $0, line.utf8.count) }
            // The pace is the matter of the test.
            usleep(200_000)
            #expect(try status("bob:other") == 200)
        }
        #expect(try eventually { try status("ann:other") == 200 })
        #expect(try status("u11:secret") == 200 && status("bob:other") == 200)
    }

    @Test("Ten wrong passwords a minute, however they come; who was right before is let in all the same")
    func failures() throws {
        let core = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(Self.configuration(core.port, Self.users()))
        #expect(try balancer.request(fields: Self.credentials("ann:secret")).status == 200)
        var connections: [RawConnection] = []
        for guess in 0..<20 {
            let connection = try balancer.connect()
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\(Self.credentials("ann:guess \(guess)"))\r\n")
            connections.append(connection)
        }
        var statuses: [Int: Int] = [:]
        var refused: Message?
        for connection in connections {
            var reader = MessageReader(connection)
            let message = try reader.message()
            statuses[message.status, default: 0] += 1
            if message.status == 429 { refused = message }
        }
        #expect(statuses[401] == 10 && statuses[429] == 10, "\(statuses)")
        #expect(refused?.field("x-balancer-reason") == "auth-failures")
        #expect((1...6).contains(refused?.field("retry-after").flatMap(Int.init) ?? 0))
        #expect(try balancer.request(fields: Self.credentials("ann:secret")).status == 200)
        #expect(try Self.checks(balancer, "limited") == 10)
    }

    @Test("A look that takes long holds up nobody else; who waits too long gets 503, and one look serves all that wait")
    func slow() throws {
        let core = try ScriptedUpstream.plain("core")
        // Half a second or more of a processor.
        let hash = try Self.hash(rounds: 3_000_000)
        let balancer = try BalancerProcess(
            Self.configuration(
                core.port, #""users": {"ann": "\#(hash)"}"#,
                route: #", "match": {"path": "/slow"}, "timeouts": {"queue": "50ms"}"#,
                routes: #", {"name": "open", "split": {"core": 1}}"#))
        let waiting = try balancer.connect()
        waiting.send("GET /slow HTTP/1.1\r\nHost: h\r\n\(Self.credentials("ann:secret"))\r\n")
        #expect(
            try eventually { try balancer.admin("/metrics").text.contains("\nbalancer_auth_waiting 1\n") })
        #expect(try balancer.request("/").status == 200)
        var reader = MessageReader(waiting)
        let busy = try reader.message()
        #expect(busy.status == 503 && busy.field("x-balancer-reason") == "auth-busy", "\(busy.start)")
        // The look goes on, and what comes of it is known then.
        #expect(try eventually { try balancer.request("/slow", fields: Self.credentials("ann:secret")).status == 200 })
        #expect(try Self.checks(balancer, "busy") >= 1)
        #expect(try balancer.admin("/metrics").text.contains("\nbalancer_auth_waiting 0\n"))
        let checked = try Program.run("balancer", ["check", balancer.file])
        #expect(checked.status == 0 && checked.errors.contains("ms of a processor"), "\(checked)")
    }

    private static func hash(rounds: Int) throws -> String {
        let program = try Program(
            path: "/usr/bin/python3",
            ["-W", "ignore", "-c", "import crypt; print(crypt.crypt('secret', '$6$rounds=\(rounds)$abcdefgh'))"])
        guard program.awaitExit() == 0, let line = program.output.first else { throw TestFailure("no hash") }
        return line
    }

    @Test("A limit counts by user, behind who it is; what is left is told in every answer")
    func limits() throws {
        let core = try ScriptedUpstream.plain("core")
        let limit =
            #", "rateLimit": [{"name": "each", "key": {"by": "user"}, "rate": "2/m", "headers": "always"}]"#
        let balancer = try BalancerProcess(Self.configuration(core.port, Self.users(), route: limit))
        let first = try balancer.request(fields: Self.credentials("ann:secret"))
        #expect(first.status == 200 && first.text == "core")
        #expect(first.field("ratelimit-policy") == #""each";q=2;w=60"#)
        #expect(first.field("ratelimit")?.hasPrefix(#""each";r=1;t="#) == true, "\(first.fields)")
        #expect(try balancer.request(fields: Self.credentials("ann:secret")).status == 200)
        let refused = try balancer.request(fields: Self.credentials("ann:secret"))
        #expect(refused.status == 429 && refused.field("x-balancer-reason") == "rate-limited")
        #expect(refused.fields.filter { $0.name.lowercased() == "ratelimit" }.count == 1, "\(refused.fields)")
        #expect(refused.field("ratelimit")?.hasPrefix(#""each";r=0;t="#) == true)
        #expect(try balancer.request(fields: Self.credentials("böb:other")).status == 200, "another user")
        #expect(try balancer.request(fields: Self.credentials("ann:wrong")).status == 401, "nobody is counted yet")
        #expect(try balancer.json("/api/v1/limits?route=api&rule=each&key=ann")["left"] as? Int == 0)
    }
}
