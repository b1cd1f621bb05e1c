import Traffic

/// A listener's options with what the data plane derives from them. Immutable, shared by all workers. Connections keep
/// what they began with; a change of options makes another plan for the connections to come, on the same sockets.
final class ListenerPlan: Sendable {
    let spec: ListenerSpec

    init(_ spec: ListenerSpec) { self.spec = spec }

    var name: String { self.spec.name }
}

/// What one worker knows of a listener: its sockets in this worker and the connections that came in there share it, and
/// connections may outlive the sockets.
final class ListenerState {
    /// Which opening of the listener it is: an address that moves has two for a moment.
    let identifier: UInt64
    /// For connections to come.
    private(set) var plan: ListenerPlan
    /// Stands for the listener where the worker's table matches requests; 0: no route asks for it.
    private(set) var bit: UInt64

    init(identifier: UInt64, plan: ListenerPlan, table: RoutingTable) {
        self.identifier = identifier
        self.plan = plan
        self.bit = table.bit(ofListener: plan.name)
    }

    /// The listener has another name, or other options.
    func adopt(_ plan: ListenerPlan, table: RoutingTable) {
        self.plan = plan
        self.follow(table)
    }

    /// The worker routes by another table.
    func follow(_ table: RoutingTable) { self.bit = table.bit(ofListener: self.plan.name) }
}
