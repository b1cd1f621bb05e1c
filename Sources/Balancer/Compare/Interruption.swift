import Glibc
import Synchronization

/// The first SIGINT asks for an end with a report of what was found so far; the second ends the process.
enum Interruption {
    private static let asked = Atomic(false)

    static var isAsked: Bool { self.asked.load(ordering: .relaxed) }

    /// Before the first signal may come.
    static func expect() {
        // Made here, for a handler must not be the first to touch it.
        self.asked.store(false, ordering: .relaxed)
        signal(SIGINT) { _ in
            Interruption.asked.store(true, ordering: .relaxed)
            signal(SIGINT, SIG_DFL)
        }
    }
}
