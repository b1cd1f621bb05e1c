import CEpoll
import Glibc
import Reactor
import Traffic

/// One worker's listening socket of one named listener.
///
///     serving ⇄ paused          accepting failed, or the loop did not take the socket: tried again after a pause
///        └──────┴─▶ leaving ──▶ closed
///
/// A listener that leaves is first hidden from connections to come (they go to whoever else listens there, or are refused,
/// which a client may take as "try elsewhere"), serves its queue on for as long as handshakes that had begun may take, and
/// is then closed. So no client that was told "connected" is reset.
final class ListenerHandle: Handle {
    /// Connections taken per readiness: a burst must not starve the connections that are already served. epoll reports
    /// the rest again, the listener being level-triggered.
    private static let burst = 32
    /// Milliseconds to wait after descriptors or memory ran out before trying again.
    private static let pause: UInt64 = 100
    /// Milliseconds that handshakes which had begun get to arrive in the queue of a listener that leaves: two long round
    /// trips.
    static let settle: UInt64 = 250
    /// Milliseconds after which a listener that leaves is closed whatever still waits, because descriptors ran out.
    static let patience: UInt64 = 5_000
    /// Milliseconds between two reports of one trouble.
    private static let reportInterval: UInt64 = 10_000

    private enum State { case serving, paused, leaving }

    /// A strong `let`: reading it costs no count, which reading an unowned one does. Neither is ever freed before the other.
    let core: WorkerCore
    let listener: ListenerState
    private var socket: Socket
    private var state = State.serving
    /// When a leaving listener is closed at the latest.
    private var end: UInt64 = 0
    private var isTroubled = false
    private var nextReport: UInt64 = 0

    init(core: WorkerCore, listener: ListenerState, socket: consuming Socket) {
        self.core = core
        self.listener = listener
        self.socket = socket
        super.init()
    }

    var isLeaving: Bool { self.state == .leaving }

    func start() {
        self.core.register(self)
        self.watch()
    }

    /// A duplicate of the descriptor, for handing over to another process; the caller owns it. -1: there is none to be had.
    func duplicate() -> Int32 {
        fcntl(self.socket.descriptor, F_DUPFD_CLOEXEC, 0)
    }

    override func ready(_ readiness: Readiness) {
        _ = self.accept(atMost: Self.burst)
    }

    override func expired() {
        switch self.state {
        case .serving: break
        case .paused:
            self.state = .serving
            self.watch()
            // Nobody may be waiting: then nothing but asking tells that it works again.
            if self.state == .serving { _ = self.accept(atMost: Self.burst) }
        case .leaving: self.finish()
        }
    }

    // MARK: accepting

    private func watch() {
        do throws(SystemError) {
            try self.socket.registerListener(with: self.core.loop, token: self.token)
        } catch {
            self.pause(error)
        }
    }

    /// Looks away for a while, or the loop would spin: what waits stays queued.
    private func pause(_ cause: SystemError) {
        self.core.counts.acceptFailures &+= 1
        self.isTroubled = true
        if self.core.now >= self.nextReport {
            self.nextReport = self.core.now + Self.reportInterval
            self.report(cause)
        }
        self.socket.deregister(from: self.core.loop)
        if self.state == .serving { self.state = .paused }
        self.core.wheel.schedule(self.slot, at: self.core.now + Self.pause)
    }

    private enum Outcome { case emptied, more, failed }

    private func accept(atMost limit: Int) -> Outcome {
        var taken = 0
        while taken < limit {
            taken += 1
            switch self.socket.accept() {
            case .connection(let socket, let client): self.admit(socket, from: client)
            case .aborted: break
            case .empty:
                if self.isTroubled { self.recovered() }
                return .emptied
            case .failed(let code):
                self.pause(SystemError(operation: "accept", code: code))
                return .failed
            }
        }
        return .more
    }

    private func recovered() {
        self.isTroubled = false
        self.report(nil)
    }

    private func report(_ cause: SystemError?) {
        self.core.admission.report(
            ListenerTrouble(listener: self.listener.plan.name, worker: self.core.index, cause: cause))
    }

    private func admit(_ socket: consuming Socket, from client: IPAddress) {
        guard !self.listener.plan.isClosed,
            self.core.admission.admit(limit: Int(self.core.plan.table.spec.limits.connections))
        else {
            self.core.counts.connectionsRefused &+= 1
            socket.close()
            return
        }
        var origin = ClientOrigin(listener: self.listener, address: client)
        if self.listener.plan.needsHandshake(with: client) {
            self.core.counts.connectionsAccepted &+= 1
            let handshake = ClientHandshake(core: self.core, socket: socket, origin: origin)
            handshake.start()
            if self.core.isDraining { handshake.drain(grace: Self.settle) }
            return
        }
        guard self.core.admit(&origin) else {
            self.core.admission.leave()
            socket.close()
            return
        }
        self.core.counts.connectionsAccepted &+= 1
        let connection = HTTP1Client(core: self.core, channel: Channel(socket), origin: origin)
        connection.start()
        if self.core.isDraining { connection.drain(grace: Self.settle) }
    }

    // MARK: ending

    /// Takes no connection that has not begun yet, and closes when those that have are here. Not `hiding`: another process
    /// may have the socket; closes as soon as the queue is empty.
    func leave(hiding: Bool) {
        guard self.state != .leaving else { return }
        let wasPaused = self.state == .paused
        self.state = .leaving
        self.end = self.core.now + Self.patience
        let isHidden = hiding && self.socket.hideListener()
        if self.accept(atMost: .max) != .failed, isHidden {
            if wasPaused { self.watch() }
            self.core.wheel.schedule(self.slot, at: self.core.now + Self.settle)
        } else if !isHidden {
            self.finish()
        }
    }

    private func finish() {
        if self.accept(atMost: .max) == .failed, self.core.now < self.end { return }
        self.close()
    }

    func close() {
        guard self.socket.isOpen else { return }
        // A socket that another process has too stays in our epoll set when it is closed here, and would report each of
        // its connections to a listener that is gone.
        self.socket.deregister(from: self.core.loop)
        self.socket.close()
        self.core.forget(listener: self)
    }
}
