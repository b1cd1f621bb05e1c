import Synchronization
import Traffic

/// The little that workers share: bounds on connections that hold for the process, touched at accept and close only.
final class SharedState: Sendable {
    let connections = Atomic<Int>(0)
    private let clients = Mutex<[IPAddress: Int]>([:])
    let accessLog: AccessLogSink?

    init(accessLog: AccessLogSink?) {
        self.accessLog = accessLog
    }

    /// Counts a new client connection in, unless a limit (0 is none) says no.
    func admit(_ client: IPAddress, limit: Int, limitPerClient: Int) -> Bool {
        if self.connections.add(1, ordering: .relaxed).newValue > limit {
            self.connections.subtract(1, ordering: .relaxed)
            return false
        }
        guard limitPerClient > 0 else { return true }
        let admitted = self.clients.withLock { clients -> Bool in
            let held = clients[client, default: 0]
            guard held < limitPerClient else { return false }
            clients[client] = held + 1
            return true
        }
        if !admitted { self.connections.subtract(1, ordering: .relaxed) }
        return admitted
    }

    /// `counted`: it was admitted under a limit per client.
    func leave(_ client: IPAddress, counted: Bool) {
        self.connections.subtract(1, ordering: .relaxed)
        guard counted else { return }
        self.clients.withLock { clients in
            guard let held = clients[client] else { return }
            clients[client] = held > 1 ? held - 1 : nil
        }
    }
}
