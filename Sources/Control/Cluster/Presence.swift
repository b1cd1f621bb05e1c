import FoundationEssentials

/// What a replica tells of itself.
package struct Presence: Sendable, Equatable, Codable {
    package var replica: String
    /// Another one each time that a process starts: two that go by one name are told apart.
    package var instance: String
    package var version: String
    /// The largest format of the document that it knows.
    package var format: UInt64
    /// Of the table that it serves.
    package var generation: UInt64 = 0
    /// The last shared change that is in force there.
    package var sequence: UInt64 = 0
    /// Of the parts of its file that all replicas must have alike.
    package var fingerprint = ""
    /// Milliseconds since 1970, when it told.
    package var clock: UInt64 = 0
    /// Why it does not take the document on; nil: it does.
    package var trouble: String?
    /// It is stopping of its own will.
    package var leaving: Bool?

    package init(replica: String, instance: String, version: String, format: UInt64) {
        self.replica = replica
        self.instance = instance
        self.version = version
        self.format = format
    }

    init?(_ text: [UInt8]) {
        guard let presence = try? JSONDecoder().decode(Presence.self, from: Data(text)) else { return nil }
        self = presence
    }

    var text: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { Array($0) } ?? Array("{}".utf8)
    }
}

/// How many of the replicas that are there have a change in force.
package struct ReplicaCount: Sendable, Equatable, Codable {
    package var applied: Int
    package var of: Int

    package init(applied: Int, of: Int) {
        self.applied = applied
        self.of = of
    }
}
