import Glibc
import HTTPWire
import Reactor
import Traffic

/// What the mirror's thread owns: its connections, pools, memory and timers. As `WorkerCore`, and apart from every worker's.
final class MirrorCore {
    let loop: EventLoop
    private let queue: MirrorQueue
    private let pairs: AsyncStream<MirroredPair>.Continuation
    let spans: SpanQueue?
    /// nil: copies have no lines.
    let log: AccessLogBuffer?
    private(set) var now: UInt64
    private(set) var nowMicroseconds: UInt64
    /// Connections for copies, and how many there may be together, whatever plans allow to each endpoint: what live requests need
    /// of the process's descriptors is theirs.
    var open = 0
    private let openLimit: Int

    var handles = HandleTable()
    var wheel: TimerWheel
    var buffers = BufferPool()
    var memory = WorkerMemory()
    /// Has no room before `prepareHTTP2`.
    var http2 = HTTP2Memory()
    var random: SplitMix64
    private var tls: TLSMemory?
    /// By upstream.
    private var sides: [String: MirrorSide] = [:]
    private var incoming: [MirrorJob] = []
    private var runnable: [UInt64] = []
    private var expired: ContiguousArray<Int32> = []

    init(
        loop: EventLoop, queue: MirrorQueue, pairs: AsyncStream<MirroredPair>.Continuation, spans: SpanQueue? = nil,
        log: AccessLogSink? = nil, openLimit: Int = MirrorCore.openLimit()
    ) {
        self.log = log.flatMap { $0.copies ? AccessLogBuffer(sink: $0) : nil }
        self.openLimit = openLimit
        self.loop = loop
        self.queue = queue
        self.pairs = pairs
        self.spans = spans
        self.nowMicroseconds = MonotonicClock.microseconds()
        self.now = self.nowMicroseconds / 1_000
        self.wheel = TimerWheel(now: self.nowMicroseconds / 1_000)
        self.random = SplitMix64(seed: UInt64.random(in: .min ... .max))
    }

    /// A thirty-second part of the process's descriptors, within bounds.
    static func openLimit() -> Int {
        var limit = rlimit()
        let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        return self.openLimit(descriptors: isKnown ? Int(clamping: limit.rlim_cur) : 1_024)
    }

    static func openLimit(descriptors: Int) -> Int { min(max(8, descriptors / 32), 4_096) }

    /// Whether another connection may be opened; one that waits for work elsewhere makes room.
    func makeRoom() -> Bool {
        if self.open < self.openLimit { return true }
        for side in self.sides.values where side.closeOneIdle() { return true }
        return false
    }

    // MARK: the turn

    func turn(_ batch: EventBatch) -> NextTurn {
        self.nowMicroseconds = MonotonicClock.microseconds()
        self.now = self.nowMicroseconds / 1_000
        self.tls?.now = self.now
        for position in 0..<batch.count where self.handles.isUrgent(batch.token(position)) {
            self.handles.find(batch.token(position))?.object.ready(batch.readiness(position))
        }
        for position in 0..<batch.count {
            self.handles.find(batch.token(position))?.object.ready(batch.readiness(position))
        }
        self.wheel.advance(to: self.now, expired: &self.expired)
        let tokens = self.expired.map { self.handles.token(at: Int($0)) }
        self.expired.removeAll(keepingCapacity: true)
        for token in tokens { self.handles.find(token)?.object.expired() }
        self.takeJobs()
        let pending = self.runnable
        self.runnable.removeAll(keepingCapacity: true)
        for token in pending {
            guard let handle = self.handles.find(token)?.object else { continue }
            handle.isRunnable = false
            handle.resume()
        }
        for side in self.sides.values { side.serve(self) }
        if self.handles.hasRemoved { self.handles.releaseRemoved() }
        self.log?.offer()
        guard self.runnable.isEmpty, self.queue.maySleep() else { return NextTurn(timeout: 0) }
        var wait = self.wheel.nextVisit(after: self.now).map { Int32(clamping: $0 + 1) } ?? -1
        // What the writer could not take just now it can soon.
        if let log, log.hasPending { wait = wait < 0 ? 20 : min(wait, 20) }
        return NextTurn(timeout: wait)
    }

    private func takeJobs() {
        self.queue.takeAll(&self.incoming)
        for job in self.incoming {
            guard let (upstream, _) = job.request.side(job.member) else {
                self.leave(job, .unavailable)
                continue
            }
            self.side(upstream.name).admit(job, self)
        }
        self.incoming.removeAll(keepingCapacity: true)
    }

    private func side(_ upstream: String) -> MirrorSide {
        if let side = self.sides[upstream] { return side }
        let side = MirrorSide(now: self.now)
        self.sides[upstream] = side
        return side
    }

    func makeRunnable(_ handle: Handle) {
        guard !handle.isRunnable, handle.slot >= 0 else { return }
        handle.isRunnable = true
        self.runnable.append(handle.token)
    }

    /// nil: there is no memory.
    func tlsMemory() -> TLSMemory? {
        if self.tls == nil {
            self.tls = TLSMemory()
            self.tls?.now = self.now
        }
        return self.tls
    }

    /// Room for heads as large as the request's table allows.
    func prepareHTTP2(_ request: CopiedRequest) {
        self.http2.grow(
            headLimit: 0, answerLimit: max(65_536, request.route.responseHeadLimits.bytes),
            headRoom: self.memory.head.count + self.memory.head.count / 4)
    }

    // MARK: jobs

    /// A job waits no longer, and is not sent.
    func leave(_ job: MirrorJob, _ reason: MirrorDrop) {
        self.queue.left()
        job.drop(reason)
    }

    /// A job waits no longer: it is sent.
    func sent(_ job: MirrorJob) { self.queue.left() }

    /// A job was answered.
    func answered(_ job: MirrorJob, _ answer: MirroredAnswer, by upstream: String, microseconds: UInt64) {
        let request = job.request
        let record = request.mirror.record
        guard case .compare(let live, let lease) = job.purpose else {
            if case .ask(let waiting) = job.purpose { waiting.resume(returning: answer) }
            return
        }
        let spec = request.mirror.spec
        record.answered(by: upstream, status: answer.status, microseconds: microseconds)
        record.paired(epoch: spec.epoch, live: live.status, copy: answer.status)
        let isCopyNew = job.member == spec.to
        var pair = MirroredPair(
            migration: spec.name, route: request.route.name, epoch: spec.epoch, request: request,
            old: isCopyNew ? live : answer, new: isCopyNew ? answer : live, lease: lease)
        pair.isCopyNew = isCopyNew
        switch self.pairs.yield(pair) {
        case .enqueued: break
        case .dropped, .terminated: record.drop(.queue)
        @unknown default: record.drop(.queue)
        }
    }
}
