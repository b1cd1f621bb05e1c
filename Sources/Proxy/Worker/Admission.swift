import Reactor
import Synchronization
import Traffic

/// The little that workers share: bounds on connections that hold for the process, touched at accept and close only.
final class Admission: Sendable {
    let connections = Atomic<Int>(0)
    /// Connections, where their number is bound for each client, by subscriber.
    private let clients = Mutex<[IPAddress: Int]>([:])
    /// TLS handshakes under way, where their number is bound, by subscriber.
    private let handshakes = Mutex<[IPAddress: Int]>([:])
    /// Counts the times a worker found an endpoint's connections used up. Looked at once a turn.
    let roomWanted = Atomic<UInt64>(0)
    /// Bytes that connections and exchanges of all workers hold.
    private let held = Atomic<Int>(0)
    private let loops = Mutex<[EventLoop]>([])
    let accessLog: AccessLogSink?
    /// Where copies are left; nil: nowhere.
    let mirror: MirrorQueue?
    /// Where spans are left; nil: nowhere.
    let spans: SpanQueue?

    /// Client connections that leave descriptors for upstreams and for ourselves, whatever `limits.connections` allows.
    let ceiling: Int
    /// Passwords are looked at here.
    let checks: CredentialChecks
    private let trouble: AsyncStream<ListenerTrouble>.Continuation

    init(
        accessLog: AccessLogSink?, mirror: MirrorQueue? = nil, spans: SpanQueue? = nil, ceiling: Int,
        processors: Int = 1,
        trouble: AsyncStream<ListenerTrouble>.Continuation
    ) {
        self.checks = CredentialChecks(processors: processors)
        self.accessLog = accessLog
        self.mirror = mirror
        self.spans = spans
        self.ceiling = ceiling
        self.trouble = trouble
    }

    /// Descriptors kept for everything but exchanges: 64 clients of the admin API, probes, name servers, files, logs.
    private static let reserve = 128
    /// And for each worker: its loop, and sockets of some listeners.
    private static let reservePerWorker = 8

    /// How many clients may be connected at a time if each has a request under way: two descriptors each, beside what the
    /// process needs for itself and for copies, which where little is to be had is at most a half.
    static func ceiling(descriptors: Int, workers: Int) -> Int {
        let copies = MirrorCore.openLimit(descriptors: descriptors)
        let reserve = min(Self.reserve + Self.reservePerWorker * workers + copies, descriptors / 2)
        return max(8, (descriptors - reserve) / 2)
    }

    /// Tells the control plane, without waiting for it.
    func report(_ trouble: ListenerTrouble) {
        self.trouble.yield(trouble)
    }

    /// The loops that `askForRoom` wakes.
    func join(_ loop: EventLoop) {
        self.loops.withLock { $0.append(loop) }
    }

    /// Makes every worker close what it keeps idle at endpoints whose connections are used up.
    func askForRoom() {
        self.roomWanted.add(1, ordering: .relaxed)
        self.wakeAll()
    }

    /// Begins a turn in every worker.
    func wakeAll() {
        self.loops.withLock { loops in
            for loop in loops { loop.wake() }
        }
    }

    /// Adds a worker's change. Answers the sum.
    func addHeld(_ change: Int) -> Int {
        self.held.wrappingAdd(change, ordering: .relaxed).newValue
    }

    /// Counts a new client connection in, unless the limit says no.
    func admit(limit: Int) -> Bool {
        self.connections.add(1, upTo: min(limit, self.ceiling))
    }

    /// Counts a connection, already counted in, for its client too, unless the limit says no.
    func admit(_ client: IPAddress, limitPerClient: Int) -> Bool {
        self.clients.withLock { clients in
            let held = clients[client.subscriber, default: 0]
            guard held < limitPerClient else { return false }
            clients[client.subscriber] = held + 1
            return true
        }
    }

    /// Counts a handshake that begins, unless the limit says no.
    func beginHandshake(of client: IPAddress, limit: Int) -> Bool {
        self.handshakes.withLock { handshakes in
            let running = handshakes[client.subscriber, default: 0]
            guard running < limit else { return false }
            handshakes[client.subscriber] = running + 1
            return true
        }
    }

    /// One that was counted is over.
    func endHandshake(of client: IPAddress) {
        self.handshakes.withLock { handshakes in
            guard let running = handshakes[client.subscriber] else { return }
            handshakes[client.subscriber] = running > 1 ? running - 1 : nil
        }
    }

    /// A connection that `admit` has counted in is over.
    func leave() { self.connections.subtract(1, ordering: .relaxed) }

    /// Likewise one that was counted for its client.
    func leave(_ client: IPAddress) {
        self.leave()
        self.clients.withLock { clients in
            guard let held = clients[client.subscriber] else { return }
            clients[client.subscriber] = held > 1 ? held - 1 : nil
        }
    }
}
