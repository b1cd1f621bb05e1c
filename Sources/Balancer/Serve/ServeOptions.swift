import Control
import Reactor
import RoutesFile
import Traffic

/// What is settled when the process starts and holds until it ends.
struct ServeOptions: Sendable {
    /// The configuration file.
    var path: String
    /// What it said, as it was read.
    var bytes: [UInt8]
    var configuration: BalancerConfiguration
    var workers: Int
    var processors: AvailableProcessors
    /// Local socket for take-overs.
    var takeover: String?
    /// Name of this process among its replicas.
    var replica: String

    /// Where the admin API listens for this; nil: nowhere.
    func admin(_ scope: AdminScope) -> SocketAddress? {
        switch scope {
        case .everything: self.configuration.admin?.address
        case .observation: self.configuration.admin?.observe
        }
    }

    var accessLog: AccessLogSpec { self.configuration.accessLog }
    var logLevel: OperationalLogLevel { self.configuration.operationalLog }
}
