import ArgumentParser
import Documents
import FoundationEssentials
import GatewayService
import Glibc

struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Copy the collections that the service reads from MongoDB into a SQLite file.",
        discussion: """
            Run it again to go on after an interruption. `serve` refuses a file that is not complete, and this command one that \
            holds anything but an unfinished copy of the same database.
            """)

    @Option(help: "Connection string of the database, mongodb://…")
    var from: String

    @Option(help: "File to make, or to go on with.")
    var to: String

    func run() async throws {
        MongoStore.redirectLog { _, _ in }
        let isTerminal = isatty(STDERR_FILENO) == 1
        // A file that the string is read from ends with a newline.
        let uri = from.trimmed
        do {
            try MongoStore.validate(uri: uri)
        } catch {
            PlainOutput.error("--from: \(error)")
            throw ExitCode(78)
        }
        do {
            let snapshot = try MongoSnapshot(uri: uri, deadline: .seconds(30))
            let store = try EmbeddedStore(copyingTo: to)
            try await snapshot.copy(to: store) { progress in
                Self.show(progress, isTerminal: isTerminal)
            }
            await store.close()
        } catch {
            if isTerminal { PlainOutput.error("") }
            // The error never repeats the connection string, which may hold a password.
            PlainOutput.error("snapshot: \(error)")
            throw ExitCode.failure
        }
    }

    /// A bar that redraws itself on a terminal; elsewhere one line when a collection is done.
    private static func show(_ progress: MongoSnapshot.Progress, isTerminal: Bool) {
        let isDone = progress.copied >= progress.expected
        if !isTerminal {
            if isDone { PlainOutput.line("\(progress.collection.rawValue): \(progress.copied)") }
            return
        }
        let width = 30
        let filled = progress.expected == 0 ? width : min(width, progress.copied * width / progress.expected)
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
        let name = progress.collection.rawValue
        let gap = String(repeating: " ", count: max(0, 24 - name.count))
        let line = "\r\(name)\(gap) [\(bar)] \(progress.copied)/\(progress.expected)" + (isDone ? "\n" : "")
        PlainOutput.write(line, to: STDERR_FILENO)
    }
}
