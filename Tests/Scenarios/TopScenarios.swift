import Foundation
import Glibc
import TestSupport
import Testing

/// `balancer top` against a running balancer.
@Suite("balancer top against a balancer", .serialized) struct TopScenarios {
    @Test("Once, as plain text; what is not a terminal gets that too; exit statuses are those of the other commands")
    func once() throws {
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        let balancer = try BalancerProcess(
            Routes.configuration(upstreams: [("core", [core.port]), ("gateway", [gateway.port])]))
        for words in [["top", "--once"], ["top"]] {
            let shown = try Program.run("balancer", words + ["--admin", balancer.admin])
            #expect(shown.status == 0 && shown.output.hasPrefix("[well] "), "\(shown)")
            #expect(shown.output.contains("core 50 %, gateway 50 % as set.") && shown.output.contains("LAST CHANGES"))
            #expect(!shown.output.contains("\u{1B}"))
        }
        let machine = try Program.run("balancer", ["top", "--once", "--json", "--admin", balancer.admin])
        #expect(machine.status == 0 && machine.output.hasPrefix("{") && machine.output.contains("\"sentence\""))
        #expect(try Program.run("balancer", ["top", "--once", "--admin", "127.0.0.1:1"]).status == 2)
        #expect(balancer.stop() == 0)
    }

    @Test("On a terminal: the screen is drawn, a retreat asks why, the terminal comes back as it was")
    func terminal() throws {
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        let balancer = try BalancerProcess(
            Routes.configuration(upstreams: [("core", [core.port]), ("gateway", [gateway.port])]))
        var primary: Int32 = -1
        var secondary: Int32 = -1
        var size = winsize(ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0)
        try #require(openpty(&primary, &secondary, nil, nil, &size) == 0)
        let before = Self.settings(secondary)
        let name = String(cString: ttyname(secondary))
        let terminal = RawConnection(adopting: primary)
        defer { close(secondary) }
        let program = try Program(
            path: "/bin/sh",
            [
                "-c", "TERM=xterm exec \"$0\" top --admin \(balancer.admin) <\(name) >\(name) 2>\(name)",
                Program.path("balancer"),
            ])
        func shows(_ text: String) -> Bool {
            var seen = ""
            return eventually {
                seen += Self.read(primary)
                return seen.contains(text)
            }
        }
        #expect(shows("core 50 %, gateway 50 % as set."))
        #expect(shows("r retreats to core"))
        Self.write(primary, "r")
        #expect(shows("Why?"))
        Self.write(primary, "ill\r")
        #expect(
            try eventually {
                try balancer.json("/api/v1/routes/api")["weights"] as? [String: Int] == ["core": 2, "gateway": 0]
            })
        #expect(shows("everything is sent to core"))
        Self.write(primary, "q")
        #expect(
            eventually {
                _ = Self.read(primary)
                return program.exitStatus == 0
            })
        #expect(Self.settings(secondary) == before)
        #expect(try balancer.command("journal").output.contains("ill"))
        withExtendedLifetime(terminal) {}
        #expect(balancer.stop() == 0)
    }

    private static func settings(_ descriptor: Int32) -> [UInt32] {
        var settings = termios()
        tcgetattr(descriptor, &settings)
        return [settings.c_iflag, settings.c_oflag, settings.c_cflag, settings.c_lflag]
    }

    private static func read(_ descriptor: Int32) -> String {
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&ready, 1, 20) > 0 else { return "" }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : ""
    }

    private static func write(_ descriptor: Int32, _ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }
}
