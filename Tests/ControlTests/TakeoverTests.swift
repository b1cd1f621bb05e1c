@testable import Control
import CEpoll
import Foundation
import Glibc
import Logging
import Reactor
import Synchronization
import Testing
import Traffic

@Suite(.timeLimit(.minutes(1)))
struct TakeoverTests {
    /// What the running side was asked to do.
    private final class Predecessor: Sendable {
        struct Log {
            var offers = 0
            var abandoned = 0
            var completed = 0
        }

        let log = Mutex(Log())
        let listener: Int32
        let port: UInt16

        init() throws {
            let socket = try Socket.listen(on: Sample.address(0))
            let bound = socket.boundAddress()
            self.port = try #require(bound).port
            self.listener = dup(socket.descriptor)
        }

        deinit { close(self.listener) }

        var steps: HandOverServer.Steps {
            HandOverServer.Steps(
                offer: {
                    self.log.withLock { $0.offers += 1 }
                    var state = LiveState()
                    state.generation = 7
                    // More than one packet of state.
                    state.weights = (0..<2_000).map {
                        LiveState.Weights(route: "route-\($0)", weights: ["core": 1], fileWeights: ["core": 2])
                    }
                    // More than one packet of sockets.
                    return HandOver(
                        state: state,
                        listeners: (0..<70).map { _ in HandOver.Listener(name: "public", descriptor: dup(self.listener))
                        })
                },
                abandoned: { self.log.withLock { $0.abandoned += 1 } },
                completed: { self.log.withLock { $0.completed += 1 } })
        }
    }

    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test("Nobody on the path means nothing to take over")
    func nobody() throws {
        let directory = try TemporaryDirectory()
        #expect(try Successor.take(over: "\(directory.path)/none") == nil)
        // What a killed process leaves behind is nobody, too.
        do { _ = try HandOverSocket.listen(on: "\(directory.path)/stale") }
        #expect(try Successor.take(over: "\(directory.path)/stale") == nil)
    }

    @Test("Sockets and live state arrive whole; the path is the owner's alone")
    func handOver() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/takeover"
        let predecessor = try Predecessor()
        let server = try HandOverServer(path: path, logger: self.logger)
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let running = Task { await server.run(predecessor.steps) }

        let successor = try #require(try await Self.take(over: path))
        #expect(successor.inherited.state.generation == 7)
        #expect(successor.inherited.state.weights.count == 2_000)
        #expect(successor.inherited.listeners.count == 70)
        #expect(predecessor.log.withLock { $0.completed } == 0)
        for listener in successor.inherited.listeners {
            let socket = Socket(owning: listener.descriptor)
            #expect(listener.name == "public")
            let bound = socket.boundAddress()
            #expect(bound?.port == predecessor.port)
        }
        try await successor.ready()
        #expect(predecessor.log.withLock { $0.completed } == 1)
        #expect(predecessor.log.withLock { $0.abandoned } == 0)
        await running.value
    }

    @Test("A successor that dies before it serves leaves everything as it was; the next one succeeds")
    func deadSuccessor() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/takeover"
        let predecessor = try Predecessor()
        let server = try HandOverServer(path: path, logger: self.logger)
        let running = Task { await server.run(predecessor.steps) }
        do {
            let dying = try #require(try await Self.take(over: path))
            for listener in dying.inherited.listeners { close(listener.descriptor) }
        }
        while predecessor.log.withLock({ $0.abandoned }) == 0 { await Task.yield() }
        #expect(predecessor.log.withLock { $0.completed } == 0)
        let next = try #require(try await Self.take(over: path))
        for listener in next.inherited.listeners { close(listener.descriptor) }
        try await next.ready()
        #expect(predecessor.log.withLock { $0.offers } == 2)
        #expect(predecessor.log.withLock { $0.completed } == 1)
        await running.value
    }

    @Test("A predecessor that drains has nothing to give: the new process starts by itself")
    func draining() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/takeover"
        let predecessor = try Predecessor()
        var steps = predecessor.steps
        steps.offer = { nil }
        let server = try HandOverServer(path: path, logger: self.logger)
        let running = Task { [steps] in await server.run(steps) }
        #expect(try await Self.take(over: path) == nil)
        #expect(predecessor.log.withLock { $0.completed + $0.abandoned } == 0)
        running.cancel()
        await running.value
    }

    @Test("A predecessor that dies while it is asked leaves nothing to take over")
    func dyingPredecessor() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/takeover"
        let never = eventfd(0, 0)
        defer { close(never) }
        let socket = Mutex<HandOverSocket?>(try HandOverSocket.listen(on: path))
        let dying = Task {
            try await BlockingThreads(named: "dying").run {
                // Takes the question, then closes everything, the path's socket first.
                let listening = socket.withLock { $0.take() }
                let peer = listening?.accept(unless: never)
                _ = try? peer?.receive()
                if let listening { shutdown(listening.descriptor, Int32(SHUT_RDWR)) }
            }
        }
        #expect(try await Self.take(over: path) == nil)
        try await dying.value
    }

    @Test("A cancelled server stops waiting")
    func cancel() async throws {
        let directory = try TemporaryDirectory()
        let server = try HandOverServer(path: "\(directory.path)/takeover", logger: self.logger)
        let predecessor = try Predecessor()
        let running = Task { await server.run(predecessor.steps) }
        running.cancel()
        await running.value
        #expect(predecessor.log.withLock { $0.offers } == 0)
    }

    @Test("A path that is too long is an error, not a cut name")
    func longPath() {
        #expect(throws: (any Error).self) {
            try HandOverServer(path: "/tmp/" + String(repeating: "x", count: 200), logger: self.logger)
        }
    }

    /// `Successor.take` blocks; the server it waits for needs the test's threads.
    private static func take(over path: String) async throws -> Successor? {
        try await BlockingThreads(named: "taking").run { Result { try Successor.take(over: path) } }.get()
    }
}
