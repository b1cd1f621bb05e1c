import Glibc
import HTTPWire
import Reactor
import Traffic

@testable import Proxy

/// A client that speaks no protocol: what the exchange gives it is taken, held or lost as the random numbers say.
final class FakeClient: ClientConnection {
    let dice: Dice
    var exchange: Exchange?
    var isTaking = true
    /// What its kernel has not acknowledged.
    var inFlight = 0
    /// Body bytes that it has still to send.
    var bodyLeft = 0
    /// A head did not fit: only an answer of the balancer's own may follow.
    private var awaitsReply = false
    private(set) var wasMisled = false
    /// How often its exchanges told it that they are over.
    var ends = 0

    init(core: WorkerCore, dice: Dice, peer: IPAddress = IPAddress(v4: 0x7F00_0001)) {
        self.dice = dice
        super.init(
            core: core, channel: Channel(SilentSocket.make()),
            origin: ClientOrigin(listener: .sample(core), address: peer))
    }

    private func flow() -> Flow {
        if self.dice.isOne(in: 50) { return .gone }
        guard self.isTaking, !self.dice.isOne(in: 4) else {
            self.isTaking = false
            return .waits
        }
        return .clear
    }

    override func answer(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        guard self.dice.isOne(in: 60) else { return self.flow() }
        self.awaitsReply = true
        return .tooLarge
    }

    override func answerInterim(_ head: ResponseHead, _ source: UnsafeRawBufferPointer, on stream: StreamID) -> Flow {
        self.flow()
    }

    override func answerSwitch(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, early: UnsafeRawBufferPointer,
        on stream: StreamID
    ) -> Flow {
        self.bodyLeft = 1_000
        return self.flow()
    }

    override func answerBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        if self.awaitsReply { self.wasMisled = true }
        return self.flow()
    }

    override func reply(_ answer: LocalAnswer, on stream: StreamID) -> Flow {
        self.awaitsReply = false
        return self.flow()
    }

    override func isClear(_ stream: StreamID) -> Bool { self.isTaking }

    override func unacknowledged(_ stream: StreamID) -> Int { self.inFlight }

    /// From here nothing can be written: its socket is connected to nobody.
    func breakChannel() {
        _ = self.channel.write(
            self.core.memory.gather(head: 1, BodyPiece(), nil, as: .none), pool: &self.core.buffers)
    }

    override func finish(_ stream: StreamID, _ end: AnswerEnd) {
        if self.awaitsReply { self.wasMisled = true }
        self.isOver()
    }

    override func unreachable(_ stream: StreamID) { self.isOver() }

    override func protocolName(_ stream: StreamID) -> StaticString { "fake" }

    func isOver() {
        self.exchange = nil
        self.bodyLeft = 0
        self.isTaking = true
        self.awaitsReply = false
        self.ends += 1
    }
}

/// An endpoint that answers when the test says so.
final class FakeEndpoint: EndpointConnection {
    enum Said { case nothing, head, all, tunnel }

    let dice: Dice
    unowned(unsafe) var exchange: Exchange?
    var said = Said.nothing
    var isTaking = true
    /// The head that it was sent last.
    private(set) var heard: RequestHead?

    init(core: WorkerCore, pool: EndpointPool, dice: Dice) {
        self.dice = dice
        super.init(core: core, socket: SilentSocket.make(), pool: pool, lifetime: 1_000_000)
    }

    override func open(for exchange: Exchange) -> StreamID {
        self.exchange = exchange
        self.said = .nothing
        self.isTaking = true
        return 0
    }

    private func flow() -> Flow {
        guard self.isTaking, !self.dice.isOne(in: 4) else {
            self.isTaking = false
            return .waits
        }
        return self.dice.isOne(in: 50) ? .gone : .clear
    }

    override func request(
        _ head: RequestHead, _ fields: FieldList, _ source: UnsafeRawBufferPointer, policy: RequestPolicy,
        context: UnsafePointer<RequestContext>,
        _ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        self.heard = head
        return self.dice.isOne(in: 60) ? .tooLarge : self.flow()
    }

    override func requestBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        self.flow()
    }

    override func isClear(_ stream: StreamID) -> Bool { self.isTaking }
    override func isWritable(_ stream: StreamID) -> Bool { self.state == .leased }
    override func hasAnswered(_ stream: StreamID) -> Bool { self.said != .nothing }

    override func release(_ stream: StreamID, _ end: EndpointEnd, idleMilliseconds: UInt32) {
        self.exchange = nil
        let isWhole = end == .clean && self.said == .all && self.isTaking
        if isWhole, self.rest(idleMilliseconds: idleMilliseconds) { return }
        self.close()
    }
}

extension ListenerState {
    static func sample(_ core: WorkerCore) -> ListenerState {
        let address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 80)
        let plan = ListenerPlan(plain: ListenerSpec(name: "public", address: address))
        return ListenerState(identifier: 1, plan: plan, table: core.plan.table, counts: ListenerCounts())
    }
}

/// Random numbers that a seed repeats.
final class Dice {
    private var random: SplitMix64
    private let isQuiet: Bool

    init(seed: UInt64) {
        self.random = SplitMix64(seed: seed)
        self.isQuiet = false
    }

    /// Nothing happens by chance.
    init() {
        self.random = SplitMix64(seed: 0)
        self.isQuiet = true
    }

    func below(_ bound: Int) -> Int { self.random.below(bound) }
    func isOne(in count: Int) -> Bool { !self.isQuiet && self.below(count) == 0 }
}

enum SilentSocket {
    /// A socket that nothing is ever read from or written to. It is not connected, and so it is quiet.
    static func make() -> Socket {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        return Socket(owning: Glibc.socket(AF_INET, type, 0))
    }
}

extension WorkerCore {
    /// Lets go of every handle, each of which refers to the worker: it is freed with the last reference from outside, and
    /// its descriptors are closed.
    func dismantle() {
        for token in self.handles.tokens {
            guard let handle = self.handles.find(token)?.takeUnretainedValue() else { continue }
            self.forget(handle)
        }
        self.handles.releaseRemoved()
    }
}
