import Reactor

/// The worker's own sockets of each listener.
extension WorkerCore {
    func serve(_ plan: ListenerPlan, identifier: UInt64, socket: consuming Socket) {
        let listener = ListenerHandle(
            core: self, listener: self.listenerState(identifier, plan), socket: socket)
        self.listeners.append(listener)
        listener.start()
    }

    /// Some listeners have another name or other options: connections to come go by them.
    func adopt(_ plans: [UInt64: ListenerPlan]) {
        for state in self.listenerStates {
            if let plan = plans[state.identifier] { state.adopt(plan, table: self.plan.table) }
        }
    }

    private func listenerState(_ identifier: UInt64, _ plan: ListenerPlan) -> ListenerState {
        if let state = self.listenerStates.first(where: { $0.identifier == identifier }) { return state }
        let state = ListenerState(identifier: identifier, plan: plan, table: self.plan.table)
        self.listenerStates.append(state)
        return state
    }

    /// The worker's table is another one. Listeners without sockets and connections are forgotten.
    func followListeners() {
        var index = 0
        while index < self.listenerStates.count {
            if isKnownUniquelyReferenced(&self.listenerStates[index]) {
                self.listenerStates.remove(at: index)
                continue
            }
            self.listenerStates[index].follow(self.plan.table)
            index += 1
        }
    }

    /// Takes what waits in the queues of these listeners, and what has begun to come, and closes them.
    func leaveListeners(_ identifiers: Set<UInt64>, hiding: Bool) {
        for listener in self.listeners where identifiers.contains(listener.listener.identifier) {
            listener.leave(hiding: hiding)
        }
    }

    /// Closes at once: another process serves the same sockets and their queues.
    func closeListeners(_ identifiers: Set<UInt64>) {
        for listener in self.listeners where identifiers.contains(listener.listener.identifier) { listener.close() }
    }

    func forget(listener: ListenerHandle) {
        self.listeners.removeAll { $0 === listener }
        self.forget(listener)
    }
}
