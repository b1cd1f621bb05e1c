import CEpoll
import Glibc
import Reactor
import Traffic

/// One worker's listening socket of one named listener.
final class ListenerHandle: Handle {
    /// Connections taken per readiness: a burst must not starve the connections that are already served. What is left
    /// is told again, the listener being level-triggered.
    private static let burst = 32
    /// Milliseconds to wait after descriptors ran out before looking again.
    private static let pause: UInt64 = 100

    /// The core outlives every handle: it owns the table that holds them.
    unowned(unsafe) let core: WorkerCore
    /// Which opening of the listener this socket belongs to: a listener that moves has two for a moment.
    let identifier: UInt64
    let name: String
    private var socket: Socket
    private var paused = false

    init(core: WorkerCore, identifier: UInt64, name: String, socket: consuming Socket) {
        self.core = core
        self.identifier = identifier
        self.name = name
        self.socket = socket
        super.init()
    }

    func start() throws(SystemError) {
        self.core.register(self)
        try self.socket.registerListener(with: self.core.loop, token: self.token)
    }

    /// A duplicate of the descriptor, for handing over to another process; the caller owns it.
    func duplicate() -> Int32 {
        fcntl(self.socket.descriptor, F_DUPFD_CLOEXEC, 0)
    }

    func boundAddress() -> SocketAddress? { self.socket.boundAddress() }

    override func ready(_ flags: UInt32) {
        self.accept(atMost: Self.burst)
    }

    /// Takes all that wait in the queue.
    func acceptQueued() {
        self.accept(atMost: .max)
    }

    private func accept(atMost limit: Int) {
        var taken = 0
        while taken < limit {
            switch self.socket.accept() {
            case .connection(let socket, let client):
                taken += 1
                self.admit(socket, from: client)
            case .empty: return
            case .failed(let code):
                // Out of descriptors: the connection stays queued. Look away for a while, or the loop would spin.
                if code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM, !self.paused {
                    self.paused = true
                    self.socket.deregister(from: self.core.loop)
                    self.core.wheel.schedule(self.slot, at: self.core.now + Self.pause)
                }
                return
            }
        }
    }

    override func expired() {
        guard self.paused else { return }
        self.paused = false
        try? self.socket.registerListener(with: self.core.loop, token: self.token)
    }

    private func admit(_ socket: consuming Socket, from client: IPAddress) {
        let limits = self.core.runtime.table.spec.limits
        let perClient = Int(limits.connectionsPerClient)
        guard self.core.shared.admit(client, limit: Int(limits.connections), limitPerClient: perClient) else {
            self.core.connectionsRefused &+= 1
            socket.close()
            return
        }
        self.core.connectionsAccepted &+= 1
        let downstream = Downstream(
            core: self.core, socket: socket, client: client, isCountedPerClient: perClient > 0)
        downstream.start()
    }

    func close() {
        self.socket.close()
        self.core.forget(self)
    }
}
