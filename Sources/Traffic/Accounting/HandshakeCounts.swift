/// TLS handshakes of one listener, by how they ended.
package struct HandshakeCounts: Sendable, Equatable {
    /// Reasons in the order of their numbers.
    package static let reasons = [
        "protocol", "plain-http", "no-shared-cipher", "unknown-name", "client-certificate", "alpn", "certificate",
        "key-update", "closed", "timeout", "limit",
    ]

    /// TLS 1.2 whole, resumed; TLS 1.3 whole, resumed.
    package private(set) var agreed: [UInt64] = [0, 0, 0, 0]
    /// By reason.
    package private(set) var failed = [UInt64](repeating: 0, count: HandshakeCounts.reasons.count)

    package init() {}

    package mutating func succeed(isNewest: Bool, isResumed: Bool) {
        self.agreed[(isNewest ? 2 : 0) + (isResumed ? 1 : 0)] &+= 1
    }

    package mutating func fail(_ reason: Int) {
        guard self.failed.indices.contains(reason) else { return }
        self.failed[reason] &+= 1
    }

    package mutating func merge(_ other: HandshakeCounts) {
        for index in self.agreed.indices { self.agreed[index] &+= other.agreed[index] }
        for index in self.failed.indices { self.failed[index] &+= other.failed[index] }
    }

    package var isEmpty: Bool { self.agreed.allSatisfy { $0 == 0 } && self.failed.allSatisfy { $0 == 0 } }
}

/// Why a TLS handshake with an endpoint came to no session.
package struct HandshakeFailure: Sendable, Equatable {
    /// Monotonic milliseconds.
    package var at: UInt64
    /// The kind, and the library's words, one line.
    package var cause: String

    package init(at: UInt64, cause: String) {
        self.at = at
        self.cause = cause
    }
}
