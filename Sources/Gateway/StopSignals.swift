import Glibc
import ServiceLifecycle
import UnixSignals

/// What signals mean: the first SIGTERM or SIGINT stops gracefully, a second one at once. Those that others use to have a
/// file read again, a log opened again or a trace written mean nothing here, and end nothing.
struct StopSignals: Sendable {
    private let signals: UnixSignalsSequence

    /// From here on the signals no longer end the process by themselves.
    init() async {
        for ignored in [SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2] { signal(ignored, SIG_IGN) }
        self.signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    }

    /// Tells `group` to stop when the first signal comes, and ends the process when the second one does.
    func stop(_ group: ServiceGroup) async {
        var isStopping = false
        for await _ in self.signals {
            if isStopping { _exit(130) }
            isStopping = true
            await group.triggerGracefulShutdown()
        }
    }
}
