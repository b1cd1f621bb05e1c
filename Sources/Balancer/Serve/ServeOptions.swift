import RoutesFile
import Traffic

/// What is settled when the process starts and holds until it ends.
struct ServeOptions: Sendable {
    /// The configuration file.
    var path: String
    var workers: Int
    /// Local socket for take-overs.
    var takeover: String?
    /// nil: no admin API.
    var admin: SocketAddress?
    var accessLog: AccessLogSpec
    var logLevel: OperationalLogLevel
}
