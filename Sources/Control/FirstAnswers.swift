/// What a load waits for: a first answer of each, but no longer than a while. Lives in an actor, which asks elsewhere and is
/// told the answers while it waits.
struct FirstAnswers<Key: Hashable & Sendable> {
    /// Those that have not answered yet.
    private(set) var missing: Set<Key> = []
    private var answers: AsyncStream<Never>.Continuation?

    /// Begins to wait for all of `keys`, in place of what was waited for before. Pass the result to `wait`.
    mutating func expect(_ keys: some Sequence<Key>) -> AsyncStream<Never> {
        let (stream, continuation) = AsyncStream<Never>.makeStream()
        self.missing = Set(keys)
        self.answers = continuation
        return stream
    }

    /// Returns when all have answered, or after `milliseconds`.
    static func wait(for answers: AsyncStream<Never>, atMost milliseconds: UInt64, _ clock: ControlClock) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in answers {} }
            group.addTask { try? await clock.sleep(milliseconds) }
            await group.next()
            group.cancelAll()
        }
    }

    /// The answer of `key` is there, expected or not.
    mutating func answered(_ key: Key) {
        self.missing.remove(key)
        if self.missing.isEmpty { self.answers?.finish() }
    }

    /// The wait is over.
    mutating func end() {
        self.missing = []
        self.answers = nil
    }
}
