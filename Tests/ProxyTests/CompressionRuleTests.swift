import HTTPWire
import Reactor
import Testing
import Traffic

@testable import Compression
@testable import Proxy

/// What an exchange makes of a body that is to go in another form, where something goes wrong or takes too long.
@Suite("Forms of bodies within an exchange") struct CompressionRuleTests {
    private static let body = Array(String(repeating: "a line like all others\n", count: 200).utf8)
    private static let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"x\"\r\nContent-Length: \(body.count)\r\n\r\n"
    private static let request = "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n"

    private func stage() throws -> (stage: ExchangeStage, client: NotingClient) {
        let stage = try ExchangeStage {
            $0.routes[0].compression = CompressionSpec()
            $0.routes[0].compression?.algorithms = [.brotli]
        }
        _ = try stage.offer()
        let client = NotingClient(core: stage.core)
        try #require(client.enter())
        return (stage, client)
    }

    private func counts(_ stage: ExchangeStage, _ reason: String) -> UInt64 {
        let counts = stage.core.plan.shared.routes[0].object.route.record.compression
        return counts.bySkip.first { $0.reason == reason }?.count ?? 0
    }

    /// Ends a body that has not ended: whatever comes next is refused by the library.
    private func spoil(_ coder: ContentCoder) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer { room.deallocate() }
        var nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        _ = coder.code(&nothing, isEnd: true, into: room)
    }

    @Test("A body that cannot be coded from its begin goes as it came")
    func fallsBack() throws {
        let (stage, client) = try self.stage()
        defer { stage.core.dismantle() }
        let taken = stage.core.coders.take(.brotli, level: nil)
        let coder = try #require(taken)
        self.spoil(coder)
        coder.isFresh = true
        stage.core.coders.give(back: coder)
        let exchange = stage.begin(Self.request, client)
        stage.answer(exchange, Self.head, body: Self.body, isEnd: true)
        #expect(client.heads.count == 1)
        let head = try #require(client.heads.first)
        #expect(head.contains("Content-Length: \(Self.body.count)\r\n") && head.contains("ETag: \"x\""), "\(head)")
        #expect(head.contains("Vary: Accept-Encoding") && !head.contains("Content-Encoding"), "\(head)")
        #expect(client.body == Self.body && client.ends == [.whole])
        #expect(self.counts(stage, "contexts") == 1)
    }

    @Test("One that cannot be gone on with is cut: nothing is said twice, and no end is invented")
    func cuts() throws {
        let (stage, client) = try self.stage()
        defer { stage.core.dismantle() }
        let exchange = stage.begin(Self.request, client)
        let long = Self.head.replacing("Content-Length: \(Self.body.count)", with: "Content-Length: 100000")
        stage.answer(exchange, long, body: Self.body)
        #expect(client.heads.count == 1 && client.heads[0].contains("Content-Encoding: br"))
        let coder = try #require(exchange.coder)
        self.spoil(coder)
        let sent = client.body
        Self.body.withUnsafeBytes { exchange.answerBody(BodyPiece(data: $0.count), $0.baseAddress) }
        #expect(client.heads.count == 1 && client.replies == 0 && client.body == sent)
        #expect(client.ends == [.cut] && !client.sawEnd)
    }

    @Test("A turn codes a quarter of a megabyte, and the next one goes on")
    func turns() throws {
        let (stage, client) = try self.stage()
        defer { stage.core.dismantle() }
        let exchange = stage.begin(Self.request, client)
        #expect(exchange.readsLittle && exchange.mayCode && !stage.core.hasCodedEnough)
        let long = Self.head.replacing("Content-Length: \(Self.body.count)", with: "Content-Length: 10000000")
        stage.answer(exchange, long, body: Self.body)
        let piece = [UInt8](repeating: 0x61, count: 65_536)
        var pieces = 0
        while !stage.core.hasCodedEnough, pieces < 100 {
            piece.withUnsafeBytes { exchange.answerBody(BodyPiece(data: $0.count), $0.baseAddress) }
            pieces += 1
        }
        #expect(stage.core.codedInTurn <= WorkerCore.codedPerTurn && pieces == 3)
        // What need not be coded is not held up.
        _ = try stage.offer()
        let other = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        stage.answer(other, long)
        #expect(!other.mayCode && !other.readsLittle)
        stage.turn()
        #expect(!stage.core.hasCodedEnough)
    }

    @Test("However many want more, each has as much as any other, and none is passed over")
    func fairness() throws {
        let (stage, _) = try self.stage()
        defer { stage.core.dismantle() }
        let all = (0..<7).map { _ in Greedy(core: stage.core) }
        for one in all {
            stage.core.register(one)
            stage.core.makeRunnable(coding: one)
        }
        stage.turns(14)
        // Four a turn.
        #expect(all.map(\.turns) == [8, 8, 8, 8, 8, 8, 8])
        for one in all { stage.core.forget(one) }
    }
}

/// What takes a read's worth of coding each time that it is its turn, and always wants more.
private final class Greedy: Handle {
    private let core: WorkerCore
    private(set) var turns = 0

    init(core: WorkerCore) {
        self.core = core
        super.init()
    }

    override func resume() {
        self.turns += 1
        self.core.codedInTurn += 65_536
        self.core.makeRunnable(coding: self)
    }
}

/// A client that takes everything, and notes it.
private final class NotingClient: ClientConnection {
    private(set) var heads: [String] = []
    private(set) var body: [UInt8] = []
    private(set) var replies = 0
    private(set) var sawEnd = false
    private(set) var ends: [AnswerEnd] = []

    init(core: WorkerCore) {
        super.init(
            core: core, channel: Channel(SilentSocket.make()),
            origin: ClientOrigin(listener: .sample(core), address: IPAddress(v4: 0x7F00_0001)))
    }

    private func note(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        self.body += Array(UnsafeRawBufferPointer(start: data, count: piece.data))
        if piece.isEnd { self.sawEnd = true }
    }

    override func answer(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        self.heads.append(String(decoding: source[0..<head.length], as: UTF8.self))
        self.note(piece, data)
        return .clear
    }

    override func answerBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        self.note(piece, data)
        return .clear
    }

    override func reply(_ answer: LocalAnswer, on stream: StreamID) -> Flow {
        self.replies += 1
        return .clear
    }

    override func finish(_ stream: StreamID, _ end: AnswerEnd) { self.ends.append(end) }

    override func protocolName(_ stream: StreamID) -> StaticString { "fake" }
}
