import ServiceLifecycle
import Synchronization

/// The time between the wish to stop and the end of listening: readiness fails, every response announces the connection's
/// end, and new connections are still served, so that whoever sends traffic can turn elsewhere first.
package final class Drain: Service {
    private let begun = Atomic<Bool>(false)
    private let duration: Duration

    /// - Parameter duration: how long to go on listening.
    init(_ duration: Duration) {
        self.duration = duration
    }

    /// Whether the process is about to end.
    var isBegun: Bool { begun.load(ordering: .relaxed) }

    /// Waits for the wish to stop, and then for the drain's duration.
    package func run() async throws {
        try await gracefulShutdown()
        begun.store(true, ordering: .relaxed)
        try await Task.sleep(for: duration)
    }
}
