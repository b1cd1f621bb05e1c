import RoutesFile
import Traffic

/// Everything that changes what is in force.
package enum Change: Sendable {
    /// The file, read and validated.
    case load(BalancerConfiguration)
    case weights(WeightChange)
    case administrative(AdministrativeChange)
    /// A source of endpoints has found these.
    case found([SocketAddress], by: DiscoveryKey)
    /// A host name by which endpoints are given has been looked up.
    case resolved(Result<[IPAddress], LookUpFailure>, host: String)
    /// What operators changed in the process that this one takes over from. Before the first load.
    case inherit(LiveState)
    /// Another process is taking over (true), or has given it up.
    case handOver(Bool)
}

/// An operator takes endpoints out of traffic, or puts them back.
package struct AdministrativeChange: Sendable, Equatable {
    package var state: Administrative
    /// The endpoints' addresses; several where a name has them.
    package var addresses: [SocketAddress]
    /// What the operator wrote for them.
    package var name: String
    /// nil: wherever they are endpoints.
    package var upstream: String?
    package var reason: String

    package init(
        state: Administrative, addresses: [SocketAddress], name: String, upstream: String? = nil, reason: String = ""
    ) {
        self.state = state
        self.addresses = addresses
        self.name = name
        self.upstream = upstream
        self.reason = reason
    }
}
