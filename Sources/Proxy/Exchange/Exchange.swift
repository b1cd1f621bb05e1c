import Compression
import HTTPWire
import Reactor
import Traffic

/// One request and its answer, attempts included: between a client's connection and an endpoint's, and knowing nothing of
/// either's protocol. It comes from a free list, has its own slot in the worker's table, and its own deadline.
///
/// `phase` says where it stands (see LIFECYCLE.md). What it does in each case is spread over its extensions: `+Begin` from
/// the head to the decision, `+Dispatch` to an endpoint's connection, `+Request` and `+Answer` for what passes, `+Tunnel`,
/// `+Deadlines`, `+End`.
final class Exchange: Handle {
    /// A strong `let`: reading it costs no count, which reading an unowned one does. Neither is ever freed before the other.
    let core: WorkerCore
    /// nil: not in use.
    var client: Reference<ClientConnection>?
    var clientStream: StreamID = 0
    var endpoint: Reference<EndpointConnection>?
    var endpointStream: StreamID = 0

    var phase = ExchangePhase(hasBody: false)

    // The request. `plan` is pinned by its count of exchanges, and pins what it names.
    var plan: Reference<WorkerPlan>?
    var route: Reference<RoutePlan>?
    var method = HTTPMethod.get
    /// Its head, for further attempts, the match of an upgrade and the access log.
    var kept = HeadBlock()
    /// The upgrade was asked for, is allowed, and goes to the upstream.
    var grantsUpgrade = false
    var isTrusted = false
    /// Peer, or the client that a trusted peer speaks for.
    var clientAddress = IPAddress(high: 0, low: 0)
    var requestID: (UInt64, UInt64) = (0, 0)
    /// The body from its begin, as far as it is kept: taken in before an endpoint is asked, or for a further attempt.
    var held = ByteQueue()
    /// The trailers behind it.
    var heldTrailers = KeptTrailers()
    /// The client was asked for its body here: the upstream need not ask again.
    var meetsExpectation = false
    /// Taken in until so many bytes are there.
    var collectLimit = 0
    /// Body bytes that came from the client.
    var requestBytes: UInt64 = 0

    // Where it goes.
    var placement = Placement()
    /// Attempts after the first.
    var retries: UInt32 = 0
    var upstream: Reference<UpstreamPlan>?
    /// Whose slot it holds.
    var seat: Reference<Traffic.Endpoint>?
    var pool: Reference<EndpointPool>?
    /// Where it waits for a slot.
    var queue: Reference<UpstreamState>?
    var queuePlace: SlotQueue.Place?
    /// It is counted among those that wait for a connection.
    var wantsConnection = false
    var isTrial = false
    var isReused = false
    var wantsFreshConnection = false

    // The answer.
    var status: UInt16 = 0
    var interims: UInt32 = 0
    var answerBytes: UInt64 = 0
    var reason: LocalReason?
    /// The limit, of its route's, that refused it, or would have; -1: none.
    var limitedBy: Int8 = -1
    /// A bit for each of the route's limits of which a token was taken; there are at most eight.
    var limitsTaken: UInt8 = 0
    /// The user who asks, and the one whose password is being looked at, of the route's; -1: none.
    var user: Int32 = -1
    var claimedUser: Int32 = -1
    /// It is an endpoint's, not our own.
    var isProxied = false
    /// It ended before its end.
    var isCut = false
    /// A stage has counted it.
    var isSampled = false
    /// Brings its body into a shorter form; nil: it goes as it came. And bytes of that form.
    var coder: ContentCoder?
    var codedBytes: UInt64 = 0
    /// Keeps request and answer for a copy; nil: there will be none.
    var tap: MirrorTap?
    /// Spans are made of it; nil: none are. Given back when it is recorded.
    var trace: ExchangeTrace?
    /// It is gRPC; until when the client waits, in milliseconds (0: it does not say); and what became of it, by gRPC's own status
    /// (-1: nothing has said so).
    var isGRPC = false
    var grpcDeadline: UInt64 = 0
    var grpcStatus: Int8 = -1
    /// What the endpoint sends may have to be coded: the answer has not begun, or goes in another form.
    var mayCode = false
    /// A write to the client did not drain, or what is read may have to be coded: less is read at a time.
    var readsLittle = false

    // Times: microseconds for what is measured, milliseconds for what is waited for.
    var began: UInt64 = 0
    /// When the present attempt's request was given to its endpoint, and when an answer's head came.
    var sentAt: UInt64 = 0
    var headAt: UInt64 = 0
    /// When the exchange became a tunnel; 0: it did not.
    var tunnelledAt: UInt64 = 0
    var deadline: UInt64 = 0
    var bodyDeadline: UInt64 = 0
    /// When reading the body began, moved on by the time that the endpoint did not take it.
    var bodyBegan: UInt64 = 0
    var blockedSince: UInt64 = 0
    /// What the peer's kernel had not acknowledged at the last check: a peer that takes bytes steadily, but fewer than it
    /// needs to turn the socket writable again, is slow and not stalled.
    var unacknowledged = Int.max

    init(core: WorkerCore) {
        self.core = core
        super.init()
    }

    /// Back to the state of a new one. Memory was given back at the end of the last use.
    func reset() {
        self.phase = ExchangePhase(hasBody: false)
        self.grantsUpgrade = false
        self.isTrusted = false
        self.meetsExpectation = false
        self.collectLimit = 0
        self.requestBytes = 0
        self.placement.forget()
        self.retries = 0
        self.isTrial = false
        self.isReused = false
        self.wantsFreshConnection = false
        self.status = 0
        self.interims = 0
        self.answerBytes = 0
        self.reason = nil
        self.limitedBy = -1
        self.limitsTaken = 0
        self.user = -1
        self.isProxied = false
        self.isCut = false
        self.isSampled = false
        self.headAt = 0
        self.isGRPC = false
        self.grpcDeadline = 0
        self.grpcStatus = -1
        self.mayCode = false
        self.readsLittle = false
        self.codedBytes = 0
        self.tunnelledAt = 0
        self.blockedSince = 0
        self.unacknowledged = .max
    }

    // MARK: what connections ask

    /// Body bytes of the client have somewhere to go now.
    var takesBody: Bool {
        guard self.phase.takesBody else { return false }
        let stream = self.endpointStream
        return self.endpoint?.with { $0.isWritable(stream) && $0.isClear(stream) } ?? true
    }

    /// The answer's bytes have somewhere to go now.
    var takesAnswer: Bool {
        guard !self.phase.hasEndpointEnded else { return false }
        let stream = self.clientStream
        return self.client?.with { $0.isClear(stream) } ?? false
    }

    var limits: Limits { self.route?.with { $0.limits } ?? Limits() }

    /// More has come than a request's body may have.
    var isBodyTooLarge: Bool { self.route?.with { self.requestBytes > $0.limits.body } ?? false }

    /// Bytes of chunk extensions, and of trailers, that a message may have.
    var chunkLimits: (extension: Int, trailers: Int) {
        self.route?.with { (Int($0.limits.chunkExtensionBytes), Int($0.limits.trailerBytes)) } ?? (0, 0)
    }

    var answerHeadLimits: HeadLimits {
        self.route?.with { $0.responseHeadLimits } ?? HeadLimits(requestLine: 8_192, bytes: 65_536, count: 200)
    }

    override func expired() { self.deadlinePassed() }

    override func resume() {
        guard self.client != nil else { return }
        if self.phase.attempt == .none, self.phase.isUnanswered { self.dispatch() } else { self.codeOn() }
    }
}

/// Exchanges that are not in use, the last used on top: its memory is warm. The worker's table owns them all.
struct ExchangePool: ~Copyable {
    private var free: ContiguousArray<Unmanaged<Exchange>> = []

    mutating func take() -> Unmanaged<Exchange>? { self.free.popLast() }

    mutating func give(back exchange: Exchange) { self.free.append(.passUnretained(exchange)) }
}

extension WorkerCore {
    /// An exchange for a new request.
    func openExchange() -> Reference<Exchange> {
        self.counts.exchanges += 1
        guard let used = self.exchangePool.take() else {
            let exchange = Exchange(core: self)
            self.register(exchange)
            return Reference(to: exchange)
        }
        used.with { exchange in
            self.handles.renew(exchange)
            exchange.reset()
        }
        return used
    }

    func closeExchange(_ exchange: Exchange) {
        self.counts.exchanges -= 1
        self.exchangePool.give(back: exchange)
    }
}
