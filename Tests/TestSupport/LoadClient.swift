import Glibc
import Synchronization

/// Keep-alive clients on threads of their own, counting who answered and what failed.
package final class LoadClient: Sendable {
    private let state = Mutex(State())
    private let port: UInt16
    private let request: @Sendable (Int) -> String

    private struct State {
        var answers: [String: Int] = [:]
        var failures: [String] = []
        var failed = 0
        var issued = 0
        var running = 0
        /// Requests that each connection has seen the end of; nil for those that have ended.
        var turns: [Int?] = []
        var stopping = false
        var limit = Int.max
    }

    /// `request` makes the n-th request; answers are counted by their body.
    package init(
        port: UInt16, request: @escaping @Sendable (Int) -> String = { _ in "GET / HTTP/1.1\r\nHost: test\r\n\r\n" }
    ) {
        self.port = port
        self.request = request
    }

    package func start(connections: Int, limit: Int = .max) {
        let first = self.state.withLock { state in
            defer { state.turns += Array(repeating: 0, count: connections) }
            state.running += connections
            state.limit = limit
            return state.turns.count
        }
        for client in first..<first + connections { startThread { [self] in self.run(client) } }
    }

    private func next() -> Int? {
        self.state.withLock { state in
            guard !state.stopping, state.issued < state.limit else { return nil }
            state.issued += 1
            return state.issued - 1
        }
    }

    private func run(_ client: Int) {
        var reader: MessageReader?
        while let number = self.next() {
            do {
                let current = try reader ?? MessageReader(RawConnection(port: self.port))
                var used = current
                guard used.connection.send(self.request(number)) else { throw TestFailure("cannot send") }
                let response = try used.message(seconds: 30)
                reader = response.closes ? nil : used
                self.state.withLock { state in
                    if response.status == 200 {
                        state.answers[response.text, default: 0] += 1
                    } else {
                        state.failed += 1
                        state.failures.append("\(response.start) \(response.field("x-balancer-reason") ?? "")")
                    }
                }
            } catch {
                reader = nil
                self.state.withLock { state in
                    state.failed += 1
                    if state.failures.count < 20 { state.failures.append("\(error)") }
                }
            }
            self.state.withLock { $0.turns[client]? += 1 }
        }
        self.state.withLock { state in
            state.turns[client] = nil
            state.running -= 1
        }
    }

    package func stop() { self.state.withLock { $0.stopping = true } }

    /// Waits until every thread has ended.
    package func finish(seconds: Double = 120) throws {
        guard eventually(seconds: seconds, { self.state.withLock { $0.running == 0 } }) else {
            throw TestFailure("load does not end; \(self.total) answers")
        }
    }

    package var answers: [String: Int] { self.state.withLock { $0.answers } }
    package var total: Int { self.answers.values.reduce(0, +) }
    package var failures: [String] { self.state.withLock { $0.failures } }

    /// Waits until each connection has seen the end of a request that it sent after this call: what was under way at the
    /// call has then ended.
    package func awaitRound(seconds: Double = 60) throws {
        let before = self.state.withLock { $0.turns }
        let ended = eventually(seconds: seconds) {
            // The first end may be that of a request that was under way.
            self.state.withLock { state in
                before.indices.allSatisfy { (state.turns[$0] ?? .max) >= (before[$0] ?? 0) + 2 }
            }
        }
        guard ended else { throw TestFailure("not each connection has had an answer; \(self.failures.prefix(5))") }
    }

    /// Waits until that many more answers have come.
    package func awaitAnswers(_ count: Int, seconds: Double = 60) throws {
        let goal = self.total + count
        guard eventually(seconds: seconds, { self.total >= goal }) else {
            throw TestFailure("only \(self.total) of \(goal) answers; failures \(self.failures.prefix(5))")
        }
    }
}
