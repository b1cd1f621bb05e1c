import HTTPWire
import Reactor
import Traffic

/// A listener's options with what the data plane derives from them. Immutable, shared by all workers. Connections keep
/// what they began with; a change of options makes another plan for the connections to come, on the same sockets.
final class ListenerPlan: Sendable {
    let spec: ListenerSpec
    private let proxies: AddressSet
    /// Who may connect; nil: everybody.
    let access: AddressRule?
    let proxyVersions: ProxyHeader.Versions

    /// By the worker's index; empty: plain.
    private let servers: ContiguousArray<TLSServer>
    /// A whole field line; empty: nothing is asked of clients (RFC 6797).
    let strictTransport: [UInt8]

    /// What is read from files must be there. Throws where the TLS library does not take it.
    convenience init(_ spec: ListenerSpec, libraries: [TLSLibrary], tickets: TicketKeys?) throws(TLSRefused) {
        var servers: ContiguousArray<TLSServer> = []
        if let tls = spec.tls {
            let groups = try CertificateGroup.groups(of: tls.certificates)
            for library in libraries {
                servers.append(
                    try TLSServer(
                        tls, groups, listener: spec.name, http2: spec.http2, tickets: tickets, library: library))
            }
        }
        self.init(spec, servers: servers)
    }

    /// Of a listener that is plain.
    convenience init(plain spec: ListenerSpec) { self.init(spec, servers: []) }

    /// Of one that another process served by TLS and this one does not know: its connections are closed, not served plainly.
    convenience init(closing spec: ListenerSpec) { self.init(spec, servers: [], isClosed: true) }

    /// Connections are closed at once.
    let isClosed: Bool

    private init(_ spec: ListenerSpec, servers: ContiguousArray<TLSServer>, isClosed: Bool = false) {
        self.spec = spec
        self.isClosed = isClosed
        self.servers = servers
        self.strictTransport =
            spec.tls?.strictTransport.map { Array("Strict-Transport-Security: max-age=\($0)\r\n".utf8) } ?? []
        self.access = spec.access.isOpen ? nil : AddressRule(spec.access)
        self.proxies = AddressSet(spec.proxyProtocol?.from ?? [])
        let versions = spec.proxyProtocol?.versions ?? []
        self.proxyVersions = [versions.contains(1) ? .one : [], versions.contains(2) ? .two : []]
    }

    /// Whether this peer must say whom it connects for. Its address decides, never its bytes.
    func awaitsProxyHeader(from peer: IPAddress) -> Bool { !self.proxies.isEmpty && self.proxies.contains(peer) }

    var isTLS: Bool { !self.servers.isEmpty }

    /// nil: plain, or none was made for the worker.
    func server(ofWorker index: Int) -> TLSServer? { index < self.servers.count ? self.servers[index] : nil }

    /// Whether a connection of this peer's has to say something before its protocol is known.
    func needsHandshake(with peer: IPAddress) -> Bool {
        self.spec.http2 || self.isTLS || self.awaitsProxyHeader(from: peer)
    }

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
    /// The listener is none any more; its connections may live on.
    private(set) var isLeaving = false

    init(identifier: UInt64, plan: ListenerPlan, table: RoutingTable, counts: ListenerCounts) {
        self.identifier = identifier
        self.plan = plan
        self.bit = table.bit(ofListener: plan.name)
        self.counts = counts
    }

    /// The listener is none any more: connections that are still in a handshake end behind what they begin with.
    func leave() { self.isLeaving = true }

    /// The listener has another name, or other options.
    func adopt(_ plan: ListenerPlan, table: RoutingTable, counts: ListenerCounts) {
        self.plan = plan
        self.counts = counts
        self.follow(table)
    }

    /// The worker routes by another table.
    func follow(_ table: RoutingTable) { self.bit = table.bit(ofListener: self.plan.name) }
}
