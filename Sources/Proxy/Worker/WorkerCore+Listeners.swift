import Reactor

/// The worker's own sockets of each listener.
extension WorkerCore {
    func serve(listener name: String, identifier: UInt64, socket: consuming Socket) {
        let listener = ListenerHandle(core: self, identifier: identifier, name: name, socket: socket)
        self.listeners.append(listener)
        listener.start()
    }

    func renameListener(_ identifier: UInt64, to name: String) {
        for listener in self.listeners where listener.identifier == identifier { listener.name = name }
    }

    /// Takes what waits in the queues of these listeners, and what has begun to come, and closes them.
    func leaveListeners(_ identifiers: Set<UInt64>, hiding: Bool) {
        for listener in self.listeners where identifiers.contains(listener.identifier) {
            listener.leave(hiding: hiding)
        }
    }

    /// Closes at once: another process serves the same sockets and their queues.
    func closeListeners(_ identifiers: Set<UInt64>) {
        for listener in self.listeners where identifiers.contains(listener.identifier) { listener.close() }
    }

    func forget(listener: ListenerHandle) {
        self.listeners.removeAll { $0 === listener }
        self.forget(listener)
    }
}
