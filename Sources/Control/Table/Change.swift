import RoutesFile
import Traffic

/// Everything that changes what is in force.
package enum Change: Sendable {
    /// The file, read and validated.
    case load(BalancerConfiguration)
    case weights(WeightChange)
    case administrative(AdministrativeChange)
    /// Something happened to a plan of the file.
    case plan(PlanChange)
    /// A source of endpoints has found these.
    case found([SocketAddress], by: DiscoveryKey)
    /// A host name by which endpoints are given has been looked up.
    case resolved(Result<[IPAddress], LookUpFailure>, host: String)
    /// What operators changed before this process, which took over or finds it in the ledger. Before the first load.
    case inherit(LiveState, as: JournalEntry.What = .takeover)
    /// Routes and endpoints go back to where they stood.
    case restore(Restoration)
    /// All replicas have agreed on this.
    case agree(SharedLive)
    /// Another process is taking over (true), or has given it up.
    case handOver(Bool)
}

/// What an administrative change did.
package struct AdministrativeOutcome: Sendable, Equatable {
    /// Of which the addresses are endpoints.
    package var upstreams: [String]
    package var warnings: [String]
    /// Of those that are there, how many have it in force; nil: there are no others.
    package var replicas: ReplicaCount?
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
    /// Do it even if it cannot be written down.
    package var force: Bool
    /// Entity tags of which one must be in force; empty: whatever is. `*` is any.
    package var ifMatch: [String]

    package init(
        state: Administrative, addresses: [SocketAddress], name: String, upstream: String? = nil, reason: String = "",
        force: Bool = false, ifMatch: [String] = []
    ) {
        self.ifMatch = ifMatch
        self.state = state
        self.addresses = addresses
        self.name = name
        self.upstream = upstream
        self.reason = reason
        self.force = force
    }
}
