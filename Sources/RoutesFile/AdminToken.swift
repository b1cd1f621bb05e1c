/// What the bearer of a token may do with the admin API.
package enum AdminRole: String, Sendable, Equatable, CaseIterable {
    /// Reads all but examples of traffic; changes nothing.
    case viewer
    case `operator`
}

/// A token, known by its hash alone.
package struct AdminToken: Sendable, Equatable {
    /// For the journal; unique.
    package var name: String
    package var role: AdminRole
    /// SHA-256 of the token's text, 32 bytes.
    package var sha256: [UInt8]

    package init(name: String, role: AdminRole, sha256: [UInt8]) {
        self.name = name
        self.role = role
        self.sha256 = sha256
    }
}
