/// What a peer may send: of a stream, or of the connection.
struct ReceiveWindow: Sendable {
    /// Bytes that it may still send.
    private(set) var available: Int
    /// Bytes that came and have not left our memory.
    private(set) var held = 0
    /// What both come to at most.
    private(set) var target: Int

    init(available: Int, target: Int) {
        self.available = available
        self.target = target
    }

    /// False if the peer must not send so much.
    mutating func take(_ count: Int) -> Bool {
        guard count <= self.available else { return false }
        self.available -= count
        self.held += count
        return true
    }

    mutating func left(_ count: Int) { self.held = max(0, self.held - count) }

    mutating func grow(to target: Int) { self.target = target }

    /// By how much a stream's window is to be opened now, 0: not yet.
    mutating func opening() -> Int { self.open(to: self.target - self.held, atLeast: self.target / 2) }

    /// The same for the connection's, which stalled streams must not close.
    mutating func sharedOpening() -> Int {
        self.open(to: self.target - min(self.held, self.target / 2), atLeast: self.target / 4)
    }

    private mutating func open(to wanted: Int, atLeast least: Int) -> Int {
        let gap = wanted - self.available
        guard gap > 0, gap >= least else { return 0 }
        self.available = wanted
        return gap
    }
}
