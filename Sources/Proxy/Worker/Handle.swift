import Reactor

/// What a worker's table holds: a listener, a client's connection, an endpoint's connection, an exchange.
///
/// Confined to its worker: not Sendable, reachable only through the worker actor's own state.
class Handle {
    /// Index in the worker's table; also the identifier of its timer.
    final var slot = -1
    /// Slot and generation: a token that outlived its handle, or an exchange that ended, finds nothing.
    final var token: UInt64 = 0
    final var isRunnable = false

    /// The loop reports readiness.
    func ready(_ readiness: Readiness) {}
    /// Its deadline has passed.
    func expired() {}
    /// It asked to go on later in the same turn.
    func resume() {}
    /// The process stops: finish what runs, begin nothing. `grace`: milliseconds for a request already on its way.
    func drain(grace: UInt64) {}
    /// No time is left: end now.
    func abandon() {}
}
