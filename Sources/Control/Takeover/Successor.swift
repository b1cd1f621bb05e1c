import Reactor

/// The side of a hand-over that starts up.
package struct Successor: Sendable {
    /// Seconds that the predecessor gets for each answer. It has nothing to do but copy descriptors.
    private static let patience = 10

    private let path: String
    private let socket: HandOverSocket
    private let thread: BlockingThreads
    package let inherited: HandOver

    /// nil if nobody runs there. Blocks for a moment: call before anything is served.
    package static func take(over path: String) throws(HandOverFailure) -> Successor? {
        guard let socket = try Self.connect(to: path) else { return nil }
        do throws(HandOverFailure) {
            socket.setDeadline(seconds: Self.patience)
            let thread = try Self.makeThread()
            try HandOver.say(.ask, to: socket)
            return Successor(
                path: path, socket: socket, thread: thread, inherited: try HandOver.receive(from: socket))
        } catch {
            if case .nothingToGive = error { return nil }
            // It may have been dying while it was asked: then there is nothing to take over, and no reason to fail.
            guard try Self.connect(to: path) != nil else { return nil }
            throw error
        }
    }

    private static func connect(to path: String) throws(HandOverFailure) -> HandOverSocket? {
        do {
            return try HandOverSocket.connect(to: path)
        } catch {
            throw .system(error)
        }
    }

    private static func makeThread() throws(HandOverFailure) -> BlockingThreads {
        do {
            return try BlockingThreads(named: "hand-over")
        } catch {
            throw .system(error)
        }
    }

    private init(path: String, socket: HandOverSocket, thread: BlockingThreads, inherited: HandOver) {
        self.path = path
        self.socket = socket
        self.thread = thread
        self.inherited = inherited
    }

    /// Tells the predecessor that this process serves now. Returns when it has given up its admin address and drains,
    /// or when it has died. Throws if it serves on because it waited too long: this process must then go away.
    package func ready() async throws(HandOverFailure) {
        let path = self.path
        let socket = self.socket
        let result = await self.thread.run {
            Result { () throws(HandOverFailure) in
                do throws(HandOverFailure) {
                    try HandOver.say(.ready, to: socket)
                } catch {
                    // It has hung up. If it is gone, its clients are ours; if it still answers, they are its own.
                    guard (try? HandOverSocket.connect(to: path)) != nil else { return }
                    throw error
                }
                // It knows. Without its answer both may serve for a moment, which harms nobody.
                try? HandOver.expect(.done, from: socket)
            }
        }
        try result.get()
    }
}
