import ArgumentParser
import Control
import Glibc

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Shows on one screen what a running balancer does, once a second.",
        discussion: """
            Keys: q quits; r takes all traffic back to the side that works, and asks why; a approves the next stage of a plan that \
            waits for it. Where standard input or output is no \
            terminal, it shows it once, as with --once. With --json it prints the API's messages, one a line.
            """)

    @Flag(help: "Print it once, as plain text, and end.")
    var once = false

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        if self.admin.json { return try await self.print() }
        guard !self.once, Terminal.isUsable else { return try await self.print() }
        let terminal: Terminal
        do {
            terminal = try Terminal()
        } catch {
            Output.error("balancer: the terminal cannot be used: \(error)")
            throw ExitCode(1)
        }
        await TopSession(options: self.admin, terminal: terminal).run()
        terminal.restore()
        // The task that follows may be in the middle of a wait; nothing of it is worth waiting for.
        Glibc.exit(0)
    }

    // MARK: without a screen

    private func print() async throws {
        let follower = EventFollower(options: self.admin)
        let isOnce = self.once || !self.admin.json
        do {
            try await follower.follow { news in
                guard case .state(let event, let bytes) = news else { return false }
                if self.admin.json {
                    Output.line(String(decoding: bytes, as: UTF8.self))
                } else {
                    let journal = (try? await TopSession.journal(self.admin)) ?? []
                    let plans = (try? await TopSession.plans(self.admin)) ?? []
                    let lines = TopScreen(event: event, journal: journal, plans: plans).lines(columns: nil)
                    Output.line(lines.map(\.text).joined(separator: "\n"))
                }
                return isOnce
            }
        } catch let ended as EventFollower.Ended {
            switch ended {
            case .refused(let status, let reason):
                Output.error("balancer: refused (\(status)): \(reason)".visible)
                throw ExitCode(1)
            case .unreachable(let reason):
                Output.error(
                    "balancer: cannot reach the admin API at \(AdminOptions.base(self.admin.address)): \(reason)"
                        .visible)
                throw ExitCode(2)
            }
        }
    }
}
