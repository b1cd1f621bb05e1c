import Traffic

/// All that routes.json says, validated, with every default filled in.
package struct BalancerConfiguration: Sendable, Equatable {
    /// At least one; names and addresses are unique.
    package var listeners: [ListenerSpec]
    /// nil: no admin API.
    package var admin: AdminSpec? = AdminSpec()
    package var accessLog = AccessLogSpec()
    package var operationalLog: OperationalLogLevel = .info
    /// nil: one per processor.
    package var workers: Int?
    /// Whether a busy worker gathers events for a moment (`TurnPacing`).
    package var batching = true
    /// Path of the local socket over which a second process takes this one's listeners over; nil: none.
    package var takeover: String?
    /// Path of the file that keeps the journal and what operators change beyond the process; nil: nothing does.
    package var state: String?
    /// Where replicas agree on what operators change; nil: this process is alone.
    package var cluster: ClusterSpec?
    /// Tells whether another replica's file means the same traffic; empty: there is no `cluster`.
    package var fingerprint = ""
    /// What must hold before a side gets a larger share; nil: operators know.
    package var guardSpec: GuardSpec?
    /// Plans by which traffic moves from one side to another; names are unique.
    package var migrations: [MigrationSpec] = []
    package var table: TableSpec

    package init(listeners: [ListenerSpec], table: TableSpec) {
        self.listeners = listeners
        self.table = table
    }
}

/// Where the admin API listens, and by which names it may be called.
package struct AdminSpec: Sendable, Equatable {
    /// Loopback by default. Elsewhere it needs tokens.
    package var address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 9901)
    /// A second address, for probes and metrics only, so that the first may stay on loopback; nil: none.
    package var observe: SocketAddress?
    /// Host names, in lower case and without port, that `Host` may have besides addresses and `localhost`. A name that is
    /// not known here may be another site's that was pointed at this address (DNS rebinding).
    package var hosts: [String] = []
    /// Who may ask; empty: whoever reaches the address, which is then on loopback, or meant to be open.
    package var tokens: [AdminToken] = []
    /// A file with further tokens, read with every load.
    package var tokensFile: String?
    /// nil: plain HTTP. At `address` only.
    package var tls: AdminTLS?
    /// SHA-256 of the token that `/metrics` asks for; nil: it asks for none.
    package var metricsToken: [UInt8]?

    package init() {}
}

/// What the admin API shows to those who ask by TLS.
package struct AdminTLS: Sendable, Equatable {
    package var chain: NamedFile
    package var key: NamedFile

    package init(chain: NamedFile, key: NamedFile) {
        self.chain = chain
        self.key = key
    }
}

/// One line per request.
package struct AccessLogSpec: Sendable, Equatable {
    /// Where it goes.
    package enum Output: Sendable, Equatable {
        case standardOutput
        /// Appended to.
        case file(path: String)
        case disabled
    }

    package var output = Output.standardOutput
    /// Copies of requests have lines, too.
    package var mirror = false

    package init(_ output: Output = .standardOutput, mirror: Bool = false) {
        self.output = output
        self.mirror = mirror
    }
}

/// The least severe message that the operational log takes; the names are those of swift-log.
package enum OperationalLogLevel: String, Sendable, Equatable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}
