import CEpoll
import Glibc

/// The signals of the process, taken by a thread that does nothing else, so that none waits behind what other threads do.
package enum SignalIntake {
    /// From here on none of `caught` has its default action: each calls `body`, on the intake's thread, which must not
    /// block. `ignored` have no effect at all. To be called once, before anything makes another thread: those made
    /// later leave the signals to this one.
    package static func start(
        _ caught: [Int32], ignoring ignored: [Int32], _ body: @escaping @Sendable (Int32) -> Void
    ) throws(SystemError) {
        for number in ignored { signal(number, SIG_IGN) }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemError(operation: "pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        guard cepoll_catch_signals(ends[1], caught, caught.count) == 0 else {
            throw SystemError(operation: "sigaction")
        }
        let input = ends[0]
        try Thread.start(named: "signals") {
            cepoll_let_signals_in(caught, caught.count)
            var numbers = [UInt8](repeating: 0, count: 64)
            while true {
                let count = read(input, &numbers, numbers.count)
                guard count > 0 else { continue }
                for number in numbers[..<count] { body(Int32(number)) }
            }
        }
    }
}
