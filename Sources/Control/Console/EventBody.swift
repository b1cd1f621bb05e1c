import Traffic

/// What `GET /api/v1/events` says once a second. Field names are a public contract.
package struct EventBody: Sendable, Equatable, Codable {
    /// Routes, sides and endpoints in trouble that one message tells of; what is beyond is counted.
    static let routeLimit = 256
    static let sideLimit = 64
    static let troubleLimit = 100
    /// Remarks on replicas.
    static let remarkLimit = 20

    package struct Side: Sendable, Equatable, Codable {
        package var upstream: String
        package var flow: SideFlow
        package var endpoints: Int
        package var availableEndpoints: Int
        /// Requests under way.
        package var outstanding: Int
        /// Some route gives it a weight.
        package var isWeighted: Bool
    }

    package struct RouteSide: Sendable, Equatable, Codable {
        package var upstream: String
        package var weight: UInt32
        package var share: Double
        package var effectiveShare: Double
        package var available: Bool
        /// Requests of the route that it was given, a second.
        package var requestsPerSecond: Double
    }

    package struct Route: Sendable, Equatable, Codable {
        package var name: String
        package var failover: Bool
        package var sides: [RouteSide]
    }

    /// An endpoint that is not simply up.
    package struct Trouble: Sendable, Equatable, Codable {
        package var upstream: String
        package var address: String
        package var availability: String
        /// In a few words; empty: nothing is known.
        package var cause: String
        /// Seconds that it has been so.
        package var seconds: UInt64
    }

    /// The other replicas, as this one knows them.
    package struct Cluster: Sendable, Equatable, Codable {
        package var replica: String
        /// nil: nobody is known to lead.
        package var leader: String?
        /// Replicas that are there, this one included, and those of them that have the last change in force.
        package var present: Int
        package var settled: Int
        /// Seconds since changes cannot be agreed on, and why; nil: they can.
        package var cutOffSeconds: UInt64?
        package var reason: String
        /// What differs between them, in words.
        package var remarks: [String]

        package var words: String {
            let leads = self.leader.map { "\($0) leads" } ?? "nobody leads"
            return
                "replicas: \(self.present), \(self.settled) of them with the last change in force; \(leads); this is "
                + self.replica
        }
    }

    /// ISO 8601.
    package var at: String
    /// Grows by one a message.
    package var sequence: UInt64
    package var sentence: Sentence
    package var generation: UInt64
    /// Of `GET /api/v1/routes`.
    package var etag: String
    /// Sequence of the journal's last entry; 0: it has none.
    package var journal: UInt64
    /// Why traffic cannot be sent here; nil: it can.
    package var unready: String?
    package var draining: Bool
    package var connections: UInt64
    package var exchanges: UInt64
    /// Of everything.
    package var requestsPerSecond: Double
    /// Seconds that rates, errors and times are of.
    package var windowSeconds: Double
    package var sides: [Side]
    /// Those that are split, in the file's order.
    package var routes: [Route]
    package var routesOmitted: Int
    package var troubles: [Trouble]
    package var troublesOmitted: Int
    /// Of the last load; 0: it was good.
    package var loadProblems: Int
    /// The first of them.
    package var loadProblem: String?
    /// Upstreams whose endpoints could not be found at the last attempt.
    package var stale: [String]
    /// Why what is changed does not outlive the process, where it should; nil: it does.
    package var journalTrouble: String?
    /// nil: this balancer is alone.
    package var cluster: Cluster?
}

/// What a stream begins with.
package struct WelcomeBody: Sendable, Equatable, Codable {
    package var version: String
    /// The machine's name.
    package var host: String
    package var startedAt: String
    /// Whether the API asks for tokens.
    package var tokens: Bool
    /// That of the token; nil: none is needed.
    package var name: String?
    /// `operator` or `viewer`.
    package var role: String
    package var plots: PlotsBody
}

/// The last quarter of an hour, oldest first. All lists have the same length; null: nothing came.
package struct PlotsBody: Sendable, Equatable, Codable {
    package struct Side: Sendable, Equatable, Codable {
        package var upstream: String
        package var requestsPerSecond: [Double?]
        package var errors: [Double?]
        package var p50Milliseconds: [Double?]
        package var p99Milliseconds: [Double?]
    }

    package var intervalSeconds: Double
    package var sides: [Side]
}
