import Glibc
import Reactor
import Synchronization

/// Why the service stops.
enum StopCause: Sendable, Equatable {
    case signal
    /// Another process serves on the same sockets now.
    case handedOver
    /// It could not start. What it has accepted until then is finished.
    case failed
}

/// What signals mean to a serving process, from the first line of `main` on. The first SIGTERM or SIGINT stops it
/// gracefully (before it serves: at once), a second one at once; SIGHUP loads the file again and reopens the logs; SIGUSR1
/// reopens the logs. The others that would end a process are ignored and logged.
final class ProcessSignals: Sendable {
    /// Exit status of a process that was told to stop while it stopped: that of a shell for SIGINT.
    static let impatient: Int32 = 130
    /// What would end the process by default, and what systems send without being asked.
    private static let refused = [SIGUSR2, SIGQUIT, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR]

    /// The process's own. Other commands than `serve` leave the signals as they are.
    static let process = ProcessSignals()

    private struct State {
        var isServing = false
        var isStopping = false
    }

    private let state = Mutex(State())
    let stops: AsyncStream<StopCause>
    /// Once for any number of wishes that came since the last was taken.
    let reloads: AsyncStream<Void>
    let reopenings: AsyncStream<Void>
    /// Numbers of signals that changed nothing; a flood of them is cut.
    let ignored: AsyncStream<Int32>
    private let stop: AsyncStream<StopCause>.Continuation
    private let reload: AsyncStream<Void>.Continuation
    private let reopening: AsyncStream<Void>.Continuation
    private let ignoring: AsyncStream<Int32>.Continuation

    private init() {
        (self.stops, self.stop) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(8))
        (self.reloads, self.reload) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (self.reopenings, self.reopening) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (self.ignored, self.ignoring) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(8))
    }

    /// Takes the signals. To be called before anything that may wait, and before another thread is made.
    func take() throws(SystemError) {
        // Writing to a peer that left, or to a file that may not grow, is an error to handle, not a reason to end.
        try SignalIntake.start([SIGTERM, SIGINT, SIGHUP, SIGUSR1] + Self.refused, ignoring: [SIGPIPE, SIGXFSZ]) {
            self.handle($0)
        }
    }

    /// From now on there is something to finish before the end.
    func beginServing() {
        self.state.withLock { $0.isServing = true }
    }

    /// Asks for the end for another reason than a signal.
    func stop(_ cause: StopCause) {
        self.stop.yield(cause)
    }

    private func handle(_ number: Int32) {
        switch number {
        case SIGTERM, SIGINT:
            let isFirst = self.state.withLock { state -> Bool in
                // Nothing is served yet. The lock keeps serving from beginning meanwhile.
                if !state.isServing { _exit(0) }
                defer { state.isStopping = true }
                return !state.isStopping
            }
            guard isFirst else { _exit(Self.impatient) }
            self.stop.yield(.signal)
        case SIGHUP:
            self.reopening.yield()
            self.reload.yield()
        case SIGUSR1: self.reopening.yield()
        default: self.ignoring.yield(number)
        }
    }
}
