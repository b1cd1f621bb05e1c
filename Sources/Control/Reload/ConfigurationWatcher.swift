import Logging
import Reactor

/// Has the file looked at when something changes on the way to it. A burst of events (an editor's write, rename and chmod)
/// is one look.
package struct ConfigurationWatcher: Sendable {
    /// Milliseconds of quiet before the file is read: enough for a writer to end what it began.
    private static let settle: UInt64 = 50

    private let watch: PathWatch
    private let reloader: ConfigurationReloader
    private let clock: ControlClock

    /// Throws if the file's path cannot be watched.
    package init(path: String, reloader: ConfigurationReloader, clock: ControlClock = .system) throws(SystemError) {
        self.watch = try PathWatch(file: path)
        self.reloader = reloader
        self.clock = clock
    }

    /// Watches until the task is cancelled.
    package func run() async {
        await withTaskCancellationHandler {
            // What changed before the watch began.
            await self.reloader.reload(.file)
            for await _ in self.watch.changes {
                do { try await self.clock.sleep(Self.settle) } catch { break }
                await self.reloader.reload(.file)
            }
        } onCancel: {
            self.watch.stop()
        }
    }
}
