import NIOCore
import Synchronization

/// Who follows events. Bounded in number, and in what each may leave unread: whoever reads more slowly than once a second
/// for long is cut, and takes nothing from the others.
final class EventClients: Sendable {
    static let limit = 16
    /// Messages that wait for one client beyond what the kernel and the channel hold.
    static let backlog = 8

    private struct Client {
        var messages: AsyncStream<ByteBuffer>.Continuation
        var cut: @Sendable () -> Void
    }

    private struct State {
        var clients: [UInt64: Client] = [:]
        var next: UInt64 = 0
        /// Clients that were cut, because they did not read.
        var cut: UInt64 = 0
        /// Nobody is taken any more.
        var isClosed = false
    }

    private let state = Mutex(State())

    var count: Int { self.state.withLock { $0.clients.count } }
    var cutCount: UInt64 { self.state.withLock { $0.cut } }

    /// A place, until nobody has it any more. `cut` is called, once at most, when the client does not read. nil: all are
    /// taken.
    func admit(cut: @escaping @Sendable () -> Void) -> EventSeat? {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ByteBuffer.self, bufferingPolicy: .bufferingOldest(Self.backlog))
        let id = self.state.withLock { state -> UInt64? in
            guard state.clients.count < Self.limit, !state.isClosed else { return nil }
            state.next += 1
            state.clients[state.next] = Client(messages: continuation, cut: cut)
            return state.next
        }
        return id.map { EventSeat(id: $0, messages: stream, clients: self) }
    }

    fileprivate func leave(_ id: UInt64) {
        let client = self.state.withLock { $0.clients.removeValue(forKey: id) }
        client?.messages.finish()
    }

    func broadcast(_ message: ByteBuffer) {
        let slow = self.state.withLock { state -> [Client] in
            var slow: [Client] = []
            for (id, client) in state.clients {
                guard case .dropped = client.messages.yield(message) else { continue }
                state.clients[id] = nil
                state.cut &+= 1
                slow.append(client)
            }
            return slow
        }
        for client in slow {
            client.messages.finish()
            client.cut()
        }
    }

    /// Every stream ends after what it was given, and none begins: another process serves the address from now on.
    func close() {
        let clients = self.state.withLock { state -> [Client] in
            state.isClosed = true
            defer { state.clients = [:] }
            return Array(state.clients.values)
        }
        for client in clients { client.messages.finish() }
    }
}

/// A place among those who follow events. It is free again when the last one who has it lets it go.
final class EventSeat: Sendable {
    let messages: AsyncStream<ByteBuffer>
    private let id: UInt64
    private let clients: EventClients

    fileprivate init(id: UInt64, messages: AsyncStream<ByteBuffer>, clients: EventClients) {
        self.id = id
        self.messages = messages
        self.clients = clients
    }

    deinit { self.clients.leave(self.id) }
}
