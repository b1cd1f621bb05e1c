import NIOCore
import Synchronization

/// The open connections of the admin API, and the bound on their number.
///
/// A new connection over the bound takes the place of the one that has been idle longest: clients that hold connections and
/// ask nothing must not keep a probe or an operator out. Only if every connection has a request under way, the new one is
/// answered 503 and ends; of those, too, only so many stand at a time.
package final class AdminConnections: Sendable {
    private struct Entry {
        var channel: any Channel
        /// Grows with the moment at which it became idle; nil while a request is under way.
        var idleSince: UInt64?
    }

    private struct State {
        var open: [ObjectIdentifier: Entry] = [:]
        var moment: UInt64 = 0
        var refused: UInt64 = 0
        /// Connections that are answered 503 and have not ended.
        var ending = 0

        mutating func next() -> UInt64 {
            self.moment += 1
            return self.moment
        }
    }

    /// For the metrics.
    package struct Counts: Sendable, Equatable {
        package var active: UInt64 = 0
        /// Closed, or not let in, because of the bound.
        package var refused: UInt64 = 0

        static func + (left: Counts, right: Counts) -> Counts {
            Counts(active: left.active + right.active, refused: left.refused &+ right.refused)
        }
    }

    /// Connections answered 503 at a time.
    private static let refusals = 16

    private let state = Mutex(State())

    package init() {}

    package var counts: Counts {
        self.state.withLock { Counts(active: UInt64($0.open.count), refused: $0.refused) }
    }

    /// Connections with a request under way.
    var busy: Int { self.state.withLock { $0.open.values.count { $0.idleSince == nil } } }

    /// Counts a connection in, until it closes. `released` is called when it has closed. False: it must be closed now.
    func admit(_ channel: any Channel, limit: Int, released: @escaping @Sendable () -> Void) -> Bool {
        let identity = ObjectIdentifier(channel)
        let (isAdmitted, displaced) = self.state.withLock { state -> (Bool, (any Channel)?) in
            var displaced: (any Channel)?
            if state.open.count >= limit {
                state.refused += 1
                let idle = state.open.filter { $0.value.idleSince != nil }
                    .min { ($0.value.idleSince ?? 0) < ($1.value.idleSince ?? 0) }
                guard let idle else { return (false, nil) }
                displaced = idle.value.channel
                state.open[idle.key] = nil
            }
            state.open[identity] = Entry(channel: channel, idleSince: state.next())
            return (true, displaced)
        }
        displaced?.close(promise: nil)
        guard isAdmitted else { return false }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { $0.open[identity] = nil }
            released()
        }
        return true
    }

    /// Counts in, until it closes, a connection that is refused with an answer; `released` is called when it has closed. False: there
    /// are too many of these, and it must be closed without one.
    func admitRefusal(_ channel: any Channel, released: @escaping @Sendable () -> Void) -> Bool {
        let isAdmitted = self.state.withLock { state -> Bool in
            guard state.ending < Self.refusals else { return false }
            state.ending += 1
            return true
        }
        guard isAdmitted else { return false }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { $0.ending -= 1 }
            released()
        }
        return true
    }

    /// A request has begun on it.
    func setBusy(_ channel: any Channel) {
        self.state.withLock { $0.open[ObjectIdentifier(channel)]?.idleSince = nil }
    }

    /// All that it asked is answered.
    func setIdle(_ channel: any Channel) {
        self.state.withLock { state in
            let moment = state.next()
            // Not one that has been displaced meanwhile.
            state.open[ObjectIdentifier(channel)]?.idleSince = moment
        }
    }
}
