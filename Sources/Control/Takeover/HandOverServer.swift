import CEpoll
import Glibc
import Logging
import Reactor

/// The side of a hand-over that runs: waits on the local socket for a successor.
package struct HandOverServer: Sendable {
    /// Seconds that a successor gets from having the sockets to serving on them.
    private static let patience = 30

    /// What the process does at each step. Exactly one of `abandoned` and `completed` follows an `offer`.
    package struct Steps: Sendable {
        /// Gives everything out; nil if it cannot be given now. The sockets are duplicates, closed by the server.
        package var offer: @Sendable () async -> HandOver?
        package var abandoned: @Sendable () async -> Void
        /// The successor serves. Return when the admin address is free; draining may go on after.
        package var completed: @Sendable () async -> Void

        package init(
            offer: @escaping @Sendable () async -> HandOver?, abandoned: @escaping @Sendable () async -> Void,
            completed: @escaping @Sendable () async -> Void
        ) {
            self.offer = offer
            self.abandoned = abandoned
            self.completed = completed
        }
    }

    private let socket: HandOverSocket
    private let stopDescriptor: HandOverSocket
    /// Accepts, reads and writes; made at the start, since a take-over must not fail for want of a thread.
    private let thread: BlockingThreads
    private let logger: Logger

    /// Listens on `path`, with mode 0600. Throws where that cannot be, or no thread is to be had. A predecessor must have finished with it.
    package init(path: String, logger: Logger) throws(SystemError) {
        self.socket = try HandOverSocket.listen(on: path)
        let stop = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard stop >= 0 else { throw SystemError(operation: "eventfd") }
        self.stopDescriptor = HandOverSocket(owning: stop)
        self.thread = try BlockingThreads(named: "hand-over")
        self.logger = logger
    }

    /// Serves successors one at a time until one has taken over or the task is cancelled.
    package func run(_ steps: Steps) async {
        let stop = self.stopDescriptor
        let socket = self.socket
        await withTaskCancellationHandler {
            while let peer = await self.thread.run({ socket.accept(unless: stop.descriptor) }) {
                if await self.serve(peer, steps) { return }
            }
        } onCancel: {
            var one: UInt64 = 1
            _ = write(stop.descriptor, &one, 8)
        }
    }

    private func serve(_ peer: HandOverSocket, _ steps: Steps) async -> Bool {
        peer.setDeadline(seconds: Self.patience)
        let asked = await self.thread.run {
            Result { () throws(HandOverFailure) in try HandOver.expect(.ask, from: peer) }
        }
        guard case .success = asked else { return false }
        guard let offer = await steps.offer() else {
            await self.sayDone(to: peer)
            return false
        }
        let sent = await self.thread.run {
            defer { for listener in offer.listeners { close(listener.descriptor) } }
            return Result { () throws(HandOverFailure) in
                try offer.send(over: peer)
                try HandOver.expect(.ready, from: peer)
            }
        }
        if case .failure(let failure) = sent {
            self.logger.warning("take-over broken off, serving on", metadata: ["cause": "\(failure)"])
            await steps.abandoned()
            return false
        }
        await steps.completed()
        await self.sayDone(to: peer)
        return true
    }

    /// The peer may be gone by now, which changes nothing.
    private func sayDone(to peer: HandOverSocket) async {
        _ = await self.thread.run {
            Result { () throws(HandOverFailure) in try HandOver.say(.done, to: peer) }
        }
    }
}
