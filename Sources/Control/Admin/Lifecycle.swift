import Synchronization

/// Where the process is in its life, for the readiness check. Draining is final.
package final class Lifecycle: Sendable {
    package enum Phase: Sendable, Equatable {
        case starting
        case serving
        case draining
    }

    private let phase = Mutex(Phase.starting)

    package init() {}

    package var current: Phase { self.phase.withLock { $0 } }

    package func beginServing() {
        self.phase.withLock { phase in
            if phase == .starting { phase = .serving }
        }
    }

    package func beginDraining() {
        self.phase.withLock { $0 = .draining }
    }
}
