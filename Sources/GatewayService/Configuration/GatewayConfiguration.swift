import Documents

/// What one gateway process does, after everything that can be wrong with its configuration has been ruled out.
package struct GatewayConfiguration: Sendable, Equatable {
    /// Whose place the process takes. A core stand-in answers `/healthcheck` with the core's JSON.
    package enum Role: String, CaseIterable, Sendable {
        case gateway, core
    }

    package enum Service: Sendable, Equatable {
        /// The whole API.
        case full
        /// Only health and metrics; no database.
        case healthOnly
        /// What is left of the core after the move: health, and where the API went. No database.
        case retired
    }

    package enum Database: Sendable, Equatable, CustomStringConvertible {
        /// The built-in sample data, in memory.
        case sample
        case sqlite(path: String)
        case mongodb(uri: String)

        /// Safe to log: credentials and options are left out.
        package var description: String {
            switch self {
            case .sample: "sample data in memory"
            case .sqlite(let path): "sqlite:\(path)"
            // A string that cannot be taken apart safely is not shown at all.
            case .mongodb(let uri): (try? ConnectionString(uri))?.description ?? "mongodb"
            }
        }
    }

    package var role = Role.gateway
    package var service = Service.full
    package var host = "127.0.0.1"
    /// Where to listen when the machine has no such address as `host`; nil when somebody asked for `host`.
    package var fallbackHost: String?
    /// 0 takes any free port.
    package var port = 3301
    package var database = Database.sample
    /// How long an answer may be given again.
    package var cacheLifetime = Duration.milliseconds(18_000)
    /// The forms in which bodies may be sent to clients that ask for them, the preferred one first; none for their own alone.
    package var codings = ContentCoding.allCases
    /// Says what tells a body from others, and how long it may be used without asking again.
    package var sendsValidators = false
    /// How much longer an answer is kept for times when the database has none; zero for not at all.
    package var staleFor = Duration.zero
    /// The most memory that answers take while they are made, kept and sent, in bytes; nil for a part of what the process may
    /// have.
    package var memoryBytes: Int?
    /// The most memory that kept answers take of that; nil for as much as is usual.
    package var cacheBytes: Int?
    /// The most connections; nil for as many as there is memory for.
    package var connections: Int?
    /// Collections without which there is nothing to be served.
    package var mustHave = ["candidates"]
    /// The most documents that a limit in a path may ask for; nil for no bound, as the legacy server has none.
    package var limitCap: Int?
    /// Leaves nodes' IP addresses out of location documents.
    package var redactsAddresses = false
    /// How long a request may take in all, whatever the number of its queries.
    package var deadline = Duration.seconds(2)
    /// How long a request's head may take, counted from its first byte.
    package var headTimeout = Duration.seconds(60)
    /// How long a request's body may take, counted from the end of its head.
    package var bodyTimeout = Duration.seconds(30)
    /// How long to go on listening after the wish to stop, so that others can turn elsewhere first.
    package var drain = Duration.seconds(1)
    /// Writes a JSON line for each request to standard output.
    package var logsRequests = false
    /// A name that every response carries in `X-Served-By`, nil for no such header.
    package var identity: String?

    package init() {}
}

/// One thing wrong with a configuration, and where.
package struct ConfigurationProblem: Error, Equatable, Sendable, CustomStringConvertible {
    /// JSON path, or the name of the environment variable or option.
    package let path: String
    package let message: String

    package init(_ path: String, _ message: String) {
        self.path = Redaction.withoutCredentials(path)
        self.message = Redaction.withoutCredentials(message)
    }

    package var description: String { "\(path): \(message)" }
}

/// Everything wrong with a configuration.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    package let problems: [ConfigurationProblem]

    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
