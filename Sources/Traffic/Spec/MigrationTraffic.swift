/// What a plan makes of a route's requests, as plain numbers: the data plane knows no plans.
package struct MigrationTraffic: Sendable, Equatable {
    /// Of the plan.
    package var name: String
    /// Members of the route's split: the old side and the new one.
    package var from: Int
    package var to: Int
    /// Number of the stage's run, into which its requests are counted; 0: no stage runs, and nothing is counted.
    package var epoch: UInt64 = 0
    /// Which stage that is, from 1; 0: none runs. For whoever reads traces.
    package var stage: UInt32 = 0
    /// Share of requests that are copied to the other side, of a million.
    package var mirrorShare: UInt32 = 0
    /// Milliseconds after the stage began from which durations count: caches are cold at first.
    package var settle: UInt32 = 30_000
    package var mirror = MirrorSpec()

    package init(name: String, from: Int, to: Int) {
        self.name = name
        self.from = from
        self.to = to
    }
}

/// Which requests may be copied, and what copies may use.
package struct MirrorSpec: Sendable, Equatable {
    package static let queueLimit: UInt32 = 65_536
    package static let memoryLimit: UInt64 = 1 << 30

    /// In upper case.
    package var methods: [String] = ["GET", "HEAD"]
    /// Path prefixes, on segment borders, whose requests are never copied.
    package var except: [String] = []
    /// Field names in lower case that a copy goes without.
    package var drop: [String] = []
    /// Copies a second to each side.
    package var perSecond: UInt32 = 200
    /// Connections for copies to each endpoint.
    package var connections: UInt32 = 16
    /// Copies that wait to be sent.
    package var queue: UInt32 = 256
    /// Bytes of answers that are kept for comparison, of the plan.
    package var memory: UInt64 = 16 << 20
    /// Milliseconds for a copy's whole answer.
    package var timeout: UInt32 = 10_000

    /// Names in lower case of the fields that are kept of answers, beside those that say how to read them.
    package var headers: [String] = ["content-type", "location"]
    /// Paths with `*` for whole segments: what they match is one kind of request.
    package var templates: [String] = []

    package init() {}
}
