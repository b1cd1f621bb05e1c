import Traffic

/// Learns the endpoints of one upstream from somewhere.
protocol EndpointSource: Sendable {
    /// Tells the listener of every attempt until the task is cancelled.
    func run(_ listener: SourceListener) async
}

/// What a source tells, and may ask. Calls return when what they told has been taken in.
struct SourceListener: Sendable {
    /// All endpoints that take new requests, in any order, repeated ones counting once. An empty set is certain: there is none.
    /// A source that cannot be sure says that it has failed.
    var found: @Sendable ([SocketAddress]) async -> Void
    var failed: @Sendable (DiscoveryFailure) async -> Void
    /// Whether something has gone wrong with one of the endpoints since this was last asked.
    var isTroubled: @Sendable () async -> Bool
}

/// Why an attempt brought nothing, in words.
struct DiscoveryFailure: Error, Sendable, Equatable, CustomStringConvertible {
    var description: String
    /// Nobody has answered: another question to the same will hardly be answered either.
    var isSilence: Bool

    init(_ description: String, isSilence: Bool = false) {
        self.description = description
        self.isSilence = isSilence
    }
}
