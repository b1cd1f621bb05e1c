import Control
import Glibc
import UnixSignals

/// Why the service stops.
enum StopCause: Sendable, Equatable {
    case signal
    /// Another process serves on the same sockets now.
    case handedOver
}

/// What signals mean: SIGHUP loads the file again; the first SIGTERM or SIGINT stops gracefully, a second one at once.
struct StopSignals: Sendable {
    private let signals: UnixSignalsSequence

    /// From here on the signals no longer end the process by themselves.
    init() async {
        self.signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
    }

    func serve(reloader: ConfigurationReloader, stops: AsyncStream<StopCause>.Continuation) async {
        var stopping = false
        for await signal in self.signals {
            if signal == .sighup {
                await reloader.reload(.signal)
            } else if stopping {
                _exit(130)
            } else {
                stopping = true
                stops.yield(.signal)
            }
        }
    }
}
