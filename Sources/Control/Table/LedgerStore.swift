import Ledger
import Reactor
import Synchronization

/// The ledger, asked by tasks. Its calls block a thread of their own, one after the other, and none is waited for longer
/// than `patience`: a disk that hangs must not hold a change, nor the start, for ever.
package final class LedgerStore: Sendable {
    /// Milliseconds.
    package static let patience: UInt64 = 2_000

    package let path: String
    private let thread: BlockingThreads
    private let patience: UInt64

    private struct State {
        var file: LedgerFile?
        /// Calls that were given up and have not come back.
        var overdue = 0
        /// Times in a row that damage was found in use, though opening had found none.
        var damages = 0
    }

    private let state = Mutex(State())

    package init(path: String, thread: BlockingThreads, patience: UInt64 = LedgerStore.patience) {
        self.path = path
        self.thread = thread
        self.patience = patience
    }

    var isOpen: Bool { self.state.withLock { $0.file != nil } }

    func open() async throws(LedgerFailure) -> LedgerFile.Contents {
        let path = self.path
        let suspicion: LedgerFile.Suspicion =
            switch self.state.withLock({ $0.damages }) {
            case 0: .none
            case 1: .doubted
            default: .certain
            }
        let opened = try await self.ask { () throws(LedgerFailure) in
            try LedgerFile.open(path: path, suspicion: suspicion)
        }
        if opened.contents.damaged != nil { self.state.withLock { $0.damages = 0 } }
        self.state.withLock { $0.file = opened.file }
        return opened.contents
    }

    /// Returns when another process can open the file.
    func close() async {
        guard let file = self.state.withLock({ $0.file.take() }) else { return }
        _ = try? await self.ask { () throws(LedgerFailure) in file.close() }
    }

    func write(_ rows: [ChangeRow], live: LiveWrite) async throws(LedgerFailure) {
        try await self.using { file throws(LedgerFailure) in try file.write(rows, live: live) }
        self.state.withLock { $0.damages = 0 }
    }

    func markApplied(from first: UInt64, through last: UInt64) async throws(LedgerFailure) {
        try await self.using { file throws(LedgerFailure) in try file.markApplied(from: first, through: last) }
    }

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (LedgerFile) throws(LedgerFailure) -> Value
    ) async throws(LedgerFailure) -> Value {
        try await self.using(body)
    }

    private func using<Value: Sendable>(
        _ body: @escaping @Sendable (LedgerFile) throws(LedgerFailure) -> Value
    ) async throws(LedgerFailure) -> Value {
        let file = try self.file
        do throws(LedgerFailure) {
            return try await self.ask { () throws(LedgerFailure) in try body(file) }
        } catch {
            // Damage that shows in use only: the next opening looks closer, and the one after that believes it.
            if error.cause == .damaged {
                self.state.withLock { $0.damages += 1 }
                await self.close()
            }
            throw error
        }
    }

    private var file: LedgerFile {
        get throws(LedgerFailure) {
            guard let file = self.state.withLock({ $0.file }) else {
                throw LedgerFailure(.unavailable, "it is not open")
            }
            return file
        }
    }

    private func ask<Value: Sendable>(
        _ body: @escaping @Sendable () throws(LedgerFailure) -> Value
    ) async throws(LedgerFailure) -> Value {
        guard self.state.withLock({ $0.overdue == 0 }) else { throw Self.hanging }
        let answer = Answer<Value>()
        let result = await withCheckedContinuation { continuation in
            answer.hold(continuation)
            let timer = Task {
                do { try await Task.sleep(for: .milliseconds(self.patience)) } catch { return }
                self.state.withLock { $0.overdue += 1 }
                if !answer.give(.failure(Self.hanging)) { self.state.withLock { $0.overdue -= 1 } }
            }
            Task {
                let result = await self.thread.run { Result { () throws(LedgerFailure) in try body() } }
                timer.cancel()
                if !answer.give(result) { self.state.withLock { $0.overdue -= 1 } }
            }
        }
        return try result.get()
    }

    private static let hanging = LedgerFailure(.unanswered, "the disk does not answer")

    /// Goes to the one who waits once, whoever gives first.
    private final class Answer<Value: Sendable>: Sendable {
        private let waiting = Mutex<CheckedContinuation<Result<Value, LedgerFailure>, Never>?>(nil)

        func hold(_ continuation: CheckedContinuation<Result<Value, LedgerFailure>, Never>) {
            self.waiting.withLock { $0 = continuation }
        }

        /// False: another was first.
        func give(_ result: Result<Value, LedgerFailure>) -> Bool {
            guard let continuation = self.waiting.withLock({ $0.take() }) else { return false }
            continuation.resume(returning: result)
            return true
        }
    }
}
