import Reactor
import Traffic

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
            guard let plan = plans[state.identifier] else { continue }
            state.adopt(plan, table: self.plan.table, counts: self.listenerCounts(plan.name))
        }
    }

    /// Whether a connection, already counted in, may go on now that its client is known; else it is counted as refused. One
    /// that may is counted for its client, if there is a limit for each.
    func admit(_ origin: inout ClientOrigin) -> Bool {
        if let access = origin.listener.plan.access, !access.verdict(on: origin.address).isAllowed {
            origin.listener.counts.denied &+= 1
            return false
        }
        let perClient = Int(self.plan.table.spec.limits.connectionsPerClient)
        guard perClient > 0 else { return true }
        guard self.admission.admit(origin.address, limitPerClient: perClient) else {
            self.counts.connectionsRefused &+= 1
            return false
        }
        origin.isCountedPerClient = true
        return true
    }

    private func listenerState(_ identifier: UInt64, _ plan: ListenerPlan) -> ListenerState {
        if let state = self.listenerStates.first(where: { $0.identifier == identifier }) { return state }
        let state = ListenerState(
            identifier: identifier, plan: plan, table: self.plan.table, counts: self.listenerCounts(plan.name))
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
        self.forgetListenerCounts()
    }

    private func listenerCounts(_ name: String) -> ListenerCounts {
        if let counts = self.listenerCounts[name] { return counts }
        let counts = ListenerCounts()
        self.listenerCounts[name] = counts
        return counts
    }

    /// Those of listeners that have been gone for a while.
    private func forgetListenerCounts() {
        // Between two turns the worker's own clock stands.
        let now = MonotonicClock.milliseconds()
        for (name, counts) in self.listenerCounts {
            if self.listenerStates.contains(where: { $0.counts === counts }) {
                counts.unusedSince = nil
            } else if let since = counts.unusedSince {
                if now >= since + ListenerCounts.grace { self.listenerCounts[name] = nil }
            } else {
                counts.unusedSince = now
            }
        }
    }

    /// Takes what waits in the queues of these listeners, and what has begun to come, and closes them.
    func leaveListeners(_ identifiers: Set<UInt64>, hiding: Bool) {
        self.readClock()
        for listener in self.listeners where identifiers.contains(listener.listener.identifier) {
            listener.leave(hiding: hiding)
        }
        for state in self.listenerStates where identifiers.contains(state.identifier) { state.leave() }
        // Their connections may go on for as long as requests follow one another; those of HTTP/1 end with a keep-alive.
        for token in self.handles.tokens {
            guard let client = self.handles.find(token)?.takeUnretainedValue() as? HTTP2Client,
                identifiers.contains(client.listener.identifier)
            else { continue }
            client.warn()
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
