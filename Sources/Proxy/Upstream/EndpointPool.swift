import Synchronization
import Traffic

/// One worker's connections to one endpoint that are waiting for work, newest on top: the last used is the likeliest to
/// be alive and to have a warm congestion window, and the rest can age out.
final class EndpointPool {
    let endpoint: Endpoint
    /// The endpoint's address as an authority, for routes that rewrite Host.
    let authority: [UInt8]
    /// From the newest table.
    var capacity: Int
    var maximumConnections: Int
    private var idle: ContiguousArray<UpstreamConnection> = []
    var requests: UInt64 = 0
    var connectFailures: UInt64 = 0
    var connectionsOpened: UInt64 = 0

    init(endpoint: Endpoint, spec: UpstreamSpec) {
        self.endpoint = endpoint
        self.authority = Array(endpoint.address.description.utf8)
        self.capacity = Int(spec.idleConnections)
        self.maximumConnections = Int(spec.maxConnections)
        self.idle.reserveCapacity(min(self.capacity, 128))
    }

    /// Whether the endpoint has as many connections as it may, whoever holds them.
    var isFull: Bool {
        self.maximumConnections > 0
            && self.endpoint.connections.load(ordering: .relaxed) >= self.maximumConnections
    }

    var idleCount: Int { self.idle.count }

    /// Takes the newest idle connection.
    func lease() -> UpstreamConnection? {
        self.idle.popLast()
    }

    /// Keeps a connection for reuse; false if there is no room.
    func park(_ connection: UpstreamConnection) -> Bool {
        guard self.idle.count < self.capacity else { return false }
        self.idle.append(connection)
        return true
    }

    /// An idle connection ended by itself.
    func remove(_ connection: UpstreamConnection) {
        // From the end: what was parked last is what most often ends here.
        if let index = self.idle.lastIndex(where: { $0 === connection }) { self.idle.remove(at: index) }
    }

    /// Closes whatever is idle.
    func closeIdle() {
        while let connection = self.idle.popLast() { connection.close() }
    }
}
