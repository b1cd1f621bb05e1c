import CEpoll
import Glibc

/// Threads of the process's own. Those that serving needs are made while the process starts, where a failure ends the
/// start; whoever makes one later has a failure to tell of and goes on without.
package enum Thread {
    /// Starts a thread that runs `body`. The closure is nonisolated: written inside `main` it would be inferred to be
    /// the main actor's and abort when run elsewhere. Throws (EAGAIN) where the system has no thread to give.
    package nonisolated static func start(
        named name: String, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                cepoll_name_current_thread(start.name)
                cepoll_adopt_niceness()
                start.body()
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            start.release()
            throw SystemError(operation: "pthread_create \(name)", code: result)
        }
        pthread_detach(thread)
    }

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
