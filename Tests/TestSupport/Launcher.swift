import Foundation
import Synchronization

/// Starts processes so that the kernel ends them with the tests, even if these are killed.
///
/// The kernel binds a process to the *thread* that started it, and threads of pools come and go: these are started by one
/// that lives as long as the tests.
package enum Launcher {
    private final class Starter: Sendable {
        private let waiting = Mutex<[@Sendable () -> Void]>([])
        private let count = DispatchSemaphore(value: 0)

        init() {
            startThread { [self] in
                while true {
                    self.count.wait()
                    self.waiting.withLock { $0.removeFirst() }()
                }
            }
        }

        func add(_ job: @escaping @Sendable () -> Void) {
            self.waiting.withLock { $0.append(job) }
            self.count.signal()
        }
    }

    private static let starter = Starter()

    /// As `process.run()`.
    package static func run(_ process: Process) throws {
        guard let program = process.executableURL else { throw TestFailure("no program") }
        process.arguments = ["--pdeathsig", "KILL", program.path] + (process.arguments ?? [])
        process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
        let started = DispatchSemaphore(value: 0)
        let failure = Locked<(any Error)?>(nil)
        self.starter.add {
            do { try process.run() } catch { failure.change { $0 = error } }
            started.signal()
        }
        started.wait()
        if let error = failure.value { throw error }
    }
}
