/// What the control plane asks of the data plane. Implemented by the proxy, wired by the executable, so that the two
/// floors' siblings never import each other.
package protocol DataPlane: Sendable {
    /// Hands the table to every worker and returns when each one routes by it.
    func publish(_ table: RoutingTable) async
    /// Opens and closes listeners so that exactly these are served. Throws, having changed nothing, if one cannot be bound:
    /// `ListenerRefused` where it is known which.
    func listen(on listeners: [ListenerSpec]) async throws
    /// The addresses really bound (port 0 resolved), by listener name.
    func boundAddresses() async -> [String: SocketAddress]
    /// One snapshot a worker. Counters only ever grow while the process lives.
    func snapshots() async -> [WorkerSnapshot]
    /// What the runs of stages have counted, those of a few minutes ago included, by route and epoch. Only ever grows.
    func stageCounts() async -> [StageCounts]
    /// Who needed a watched side since the last call.
    func takeNeeds() async -> [NeedCount]
    /// Milliseconds for which the key that encrypts session tickets has been in use, the oldest of several; nil: there are none.
    func ticketKeyAge() async -> UInt64?
    /// Live answers with those to their copies. One reader; what is not read in time is dropped and counted.
    var mirroredPairs: AsyncStream<MirroredPair> { get }
    /// Sends a request that was copied to the old side again. nil: no answer, or there is no room for the question.
    func askAgain(_ request: any MirroredRequest) async -> MirroredAnswer?
}

extension DataPlane {
    package func ticketKeyAge() async -> UInt64? { nil }
    package var mirroredPairs: AsyncStream<MirroredPair> { AsyncStream { $0.finish() } }
    package func askAgain(_ request: any MirroredRequest) async -> MirroredAnswer? { nil }
    package func stageCounts() async -> [StageCounts] { [] }
    package func takeNeeds() async -> [NeedCount] { [] }
}

/// A listener that cannot be bound.
package struct ListenerRefused: Error, Sendable {
    package var name: String
    /// In words.
    package var cause: String
    package init(name: String, cause: String) {
        self.name = name
        self.cause = cause
    }
}
