import HTTPWire
import Traffic

/// A listener's options with what the data plane derives from them. Immutable, shared by all workers. Connections keep
/// what they began with; a change of options makes another plan for the connections to come, on the same sockets.
final class ListenerPlan: Sendable {
    let spec: ListenerSpec
    private let proxies: AddressSet
    let proxyVersions: ProxyHeader.Versions

    init(_ spec: ListenerSpec) {
        self.spec = spec
        self.proxies = AddressSet(spec.proxyProtocol?.from ?? [])
        let versions = spec.proxyProtocol?.versions ?? []
        self.proxyVersions = [versions.contains(1) ? .one : [], versions.contains(2) ? .two : []]
    }

    /// Whether this peer must say whom it connects for. Its address decides, never its bytes.
    func awaitsProxyHeader(from peer: IPAddress) -> Bool { !self.proxies.isEmpty && self.proxies.contains(peer) }

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
    private(set) var counts: ListenerCounts

    init(identifier: UInt64, plan: ListenerPlan, table: RoutingTable, counts: ListenerCounts) {
        self.identifier = identifier
        self.plan = plan
        self.bit = table.bit(ofListener: plan.name)
        self.counts = counts
    }

    /// The listener has another name, or other options.
    func adopt(_ plan: ListenerPlan, table: RoutingTable, counts: ListenerCounts) {
        self.plan = plan
        self.counts = counts
        self.follow(table)
    }

    /// The worker routes by another table.
    func follow(_ table: RoutingTable) { self.bit = table.bit(ofListener: self.plan.name) }
}
