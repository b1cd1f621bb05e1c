import ArgumentParser
@testable import Balancer
import Logging
import Testing

struct CommandLineTests {
    private static func parse<Command: ParsableCommand>(_ arguments: [String], as type: Command.Type) throws -> Command
    {
        let command = try BalancerCommand.parseAsRoot(arguments)
        return try #require(command as? Command)
    }

    @Test("serve takes its file, workers and take-over path")
    func serve() throws {
        let plain = try Self.parse(["serve", "--config", "routes.json"], as: ServeCommand.self)
        #expect(plain.config == "routes.json" && plain.workers == nil && plain.takeover == nil)
        let full = try Self.parse(
            ["serve", "-c", "r.json", "--workers", "2", "--takeover", "/run/b.sock"], as: ServeCommand.self)
        #expect(full.workers == 2 && full.takeover == "/run/b.sock")
    }

    @Test("weight takes a route, upstreams with weights, and how to go about it")
    func weight() throws {
        let command = try Self.parse(
            [
                "weight", "api", "core=90", "gateway=10", "--dry-run", "--force", "--reason", "try", "--if-match",
                "\"1-a\"",
                "--admin", "127.0.0.1:1", "--json",
            ], as: WeightCommand.self)
        #expect(command.route == "api")
        #expect(command.weights.map(\.upstream) == ["core", "gateway"])
        #expect(command.weights.map(\.weight) == [90, 10])
        #expect(command.dryRun && command.force && command.reason == "try" && command.ifMatch == "\"1-a\"")
        #expect(command.admin.address == "127.0.0.1:1" && command.admin.json)
    }

    @Test("An upstream's name may hold an equals sign: the last one divides")
    func settings() {
        #expect(WeightCommand.Setting(argument: "a=b=7").map { [$0.upstream, "\($0.weight)"] } == ["a=b", "7"])
        for text in ["core", "core=", "=1", "core=-1", "core=1.5", "core=x", "core=99999999999999999999"] {
            #expect(WeightCommand.Setting(argument: text) == nil, "\(text)")
        }
    }

    @Test("endpoint takes an address and one of three states")
    func endpoint() throws {
        let command = try Self.parse(["endpoint", "127.0.0.1:3301", "drain"], as: EndpointCommand.self)
        #expect(command.address == "127.0.0.1:3301" && command.state == .drain && command.upstream == nil)
    }

    @Test(
        "Wrong usage ends with status 64",
        arguments: [
            ["serve"], ["serve", "--config"], ["serve", "--config", "r", "--workers", "0"],
            ["serve", "--config", "r", "--workers", "x"], ["check"], ["weight"], ["weight", "api"],
            ["weight", "api", "core"], ["weight", "api", "core=1", "core=2"], ["endpoint", "127.0.0.1:1"],
            ["endpoint", "127.0.0.1:1", "off"], ["nonsense"], ["status", "--loud"],
        ])
    func usage(arguments: [String]) {
        do {
            _ = try BalancerCommand.parseAsRoot(arguments)
            Issue.record("\(arguments) was taken")
        } catch {
            #expect(BalancerCommand.exitCode(for: error).rawValue == 64)
        }
    }

    @Test("Tables align: words left, numbers right")
    func table() {
        var table = TextTable("NAME", "WEIGHT", "NOTE")
        table.add("core", "90", "")
        table.add("gateway", "1000", "live")
        #expect(
            table.render() == """
                NAME     WEIGHT  NOTE
                core         90
                gateway    1000  live
                """)
    }

    @Test("A table that a terminal has no room for has a line for each cell, none of which is folded")
    func narrowTable() {
        var table = TextTable("UPSTREAM", "ENDPOINT", "SET", "REASON")
        table.add("core", "127.0.0.1:3300", "", "probes pass")
        table.add(
            "gateway", "[2001:db8:1:2:3:4:5:6]:3301", "drain",
            "the connection was refused; 2 more failing probes would take it down")
        #expect(
            table.render(columns: 60) == """
                UPSTREAM  core
                ENDPOINT  127.0.0.1:3300
                REASON    probes pass

                UPSTREAM  gateway
                ENDPOINT  [2001:db8:1:2:3:4:5:6]:3301
                SET       drain
                REASON    the connection was refused; 2 more failing probes
                          would take it down
                """)
        let wide = table.render(columns: nil)
        #expect(wide.split(separator: "\n").count == 3)
        #expect(table.render(columns: 200) == wide)
        #expect(TextTable("UPSTREAM", "ENDPOINT").render(columns: 10) == "UPSTREAM  ENDPOINT")
    }

    @Test(
        "Shares read as percentages, small ones never as none",
        arguments: [
            (0.0, "0%"), (1.0, "100%"), (0.9, "90%"), (0.125, "12.50%"), (0.333_333, "33.33%"), (0.000_001, "0.01%"),
            (0.070_1, "7.01%"), (0.999_999, "99.99%"), (0.999_94, "99.99%"), (1.0 / 3 * 3, "100%"),
        ])
    func percent(share: Double, text: String) {
        #expect(TextTable.percent(share) == text)
    }

    @Test(
        "What a terminal would obey is shown, not done",
        arguments: [
            ("plain grün 😀", "plain grün 😀"), ("a\u{1B}[2Jb", "a\\u001b[2Jb"), ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{9B}31m", "\\u009b31m"), ("\u{202E}evil", "\\u202eevil"), ("\u{7F}", "\\u007f"), ("", ""),
        ])
    func visible(text: String, shown: String) {
        #expect(text.visible == shown)
        var table = TextTable("NAME")
        table.add(text)
        #expect(table.render() == "NAME\n\(shown)" || shown.isEmpty)
    }

    @Test("Lines stay lines, and nothing else is obeyed in them")
    func visibleLines() {
        #expect("a\n\tb\u{1B}]0;title\u{7}\n".visibleLines == "a\n\tb\\u001b]0;title\\u0007\n")
    }

    @Test("Log lines are one line each, whatever is in them")
    func logLines() {
        let line = LineLogHandler.line(
            time: 1_767_323_045_250, level: .warning, label: "balancer", source: "Control", message: "a\nb\u{1B}[m",
            metadata: ["path": "x\ny", "cause": "c"])
        #expect(
            String(decoding: line, as: UTF8.self)
                == "2026-01-02T03:04:05.250Z warning balancer: cause=c path=x\\ny [Control] a\\nb\\u001b[m\n")
    }

    @Test("Names and values are safe in a path and in a query")
    func encoding() {
        #expect(AdminClient.segment("127.0.0.1:3301") == "127.0.0.1:3301")
        #expect(AdminClient.segment("[::1]:80") == "%5B::1%5D:80")
        #expect(AdminClient.segment("a/b?c") == "a%2Fb%3Fc")
        #expect(AdminClient.query("X-A: b&c=d+e") == "X-A:%20b%26c%3Dd%2Be")
    }
}
