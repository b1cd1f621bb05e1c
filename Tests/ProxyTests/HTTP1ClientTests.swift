import Glibc
import HTTPWire
import Reactor
import TestSupport
import Testing
import Traffic

@testable import Proxy

/// A client's connection of HTTP/1 by its bytes: what it answers, how long it waits, and how it ends.
@Suite("A client that speaks HTTP/1") struct HTTP1ClientTests {
    private static let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    private static let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

    // MARK: how long it waits

    @Test("A first request has timeouts.requestHeader from the connect, and from its first byte")
    func head() throws {
        let rig = try Rig()
        defer { rig.stage.core.dismantle() }
        #expect(rig.isArmed(after: 10_001))
        let other = try Rig()
        defer { other.stage.core.dismantle() }
        try other.say("GET / HT")
        #expect(other.client.state == .head && other.isArmed(after: 10_001))
        // Further bytes buy no time.
        let third = try Rig()
        defer { third.stage.core.dismantle() }
        try third.say("GET / HT")
        third.stage.core.wheel.schedule(third.client.slot, at: third.stage.core.now + 500)
        try third.say("TP/1.1")
        #expect(third.client.state == .head && third.isArmed(after: 500))
        third.client.expired()
        #expect(third.heard().hasPrefix("HTTP/1.1 408 Request Timeout\r\n") && third.isEnding)
    }

    @Test("Between two requests it has timeouts.keepAlive, and in a drain a second")
    func keepAlive() throws {
        for isDraining in [false, true] {
            let rig = try Rig()
            defer { rig.stage.core.dismantle() }
            try rig.say(Self.get)
            try rig.answer(Self.whole, "hello")
            if isDraining { rig.stage.core.beginDrain(idleGraceMilliseconds: 500) }
            // Its answer had left before the drain began.
            rig.finishAnswer("")
            #expect(rig.client.state == .idle && rig.heard().hasSuffix("\r\n\r\nhello"))
            #expect(rig.isArmed(after: isDraining ? 1_000 : 75_003))
        }
    }

    @Test("A drain gives an idle connection its grace, and takes nothing from one that is served")
    func drain() throws {
        let rig = try Rig()
        defer { rig.stage.core.dismantle() }
        rig.client.drain(grace: 400)
        #expect(rig.isArmed(after: 400) && rig.client.state == .idle)
        let served = try Rig()
        defer { served.stage.core.dismantle() }
        try served.say(Self.get)
        served.client.drain(grace: 400)
        #expect(served.client.state == .serving)
        served.client.expired()
        #expect(served.client.state == .serving, "its exchange has the deadlines")
    }

    @Test("An end that the client does not take has timeouts.responseBodyIdle, from each byte that it takes")
    func closing() throws {
        let rig = try Rig(buffer: 4_096)
        defer { rig.stage.core.dismantle() }
        try rig.say("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        try rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n", "")
        let exchange = try #require(rig.client.exchange?.object)
        let input = UnsafeRawPointer(rig.stage.core.memory.input.baseAddress)
        for index in 0..<20 {
            exchange.answerBody(BodyPiece(data: 200_000, consumed: 200_000, isEnd: index == 19), input)
        }
        #expect(exchange.phase.isComplete && rig.client.heldOutput > 0)
        rig.client.finish(0, .whole)
        try #require(rig.client.state == .closing)
        rig.client.exchange = nil
        rig.stage.core.wheel.schedule(rig.client.slot, at: rig.stage.core.now + 1)
        _ = rig.heard()
        rig.client.ready(.output)
        if rig.client.state == .closing { #expect(rig.isArmed(after: 60_004)) }
        rig.client.expired()
        #expect(rig.client.state == .closed)
    }

    // MARK: versions

    @Test("A client of HTTP/1.0 gets no chunks, no interim answers, and is told that it is kept")
    func old() throws {
        let rig = try Rig()
        defer { rig.stage.core.dismantle() }
        try rig.say("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        #expect("\(rig.client.protocolName(0))" == "HTTP/1.0")
        rig.client.sendContinue(on: 0)
        try rig.interim()
        #expect(rig.heard().isEmpty)
        try rig.answer(Self.whole, "hello")
        rig.finishAnswer("")
        let text = rig.heard()
        #expect(text.contains("Connection: keep-alive\r\n") && text.hasSuffix("hello") && rig.client.state == .idle)

        let chunked = try Rig()
        defer { chunked.stage.core.dismantle() }
        try chunked.say("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        try chunked.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "hello")
        chunked.finishAnswer("!")
        let plain = chunked.heard()
        #expect(
            !plain.contains("chunked") && plain.contains("Connection: close\r\n") && plain.hasSuffix("\r\n\r\nhello!"))
        #expect(chunked.isEnding)
    }

    @Test("A client of HTTP/1.1 gets chunks and interim answers, and is told only of an end")
    func current() throws {
        let rig = try Rig()
        defer { rig.stage.core.dismantle() }
        try rig.say(Self.get)
        #expect("\(rig.client.protocolName(0))" == "HTTP/1.1")
        rig.client.sendContinue(on: 0)
        try rig.interim()
        #expect(rig.heard() == "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n")
        try rig.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "hello")
        rig.finishAnswer("!")
        let text = rig.heard()
        #expect(text.hasSuffix("\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n") && !text.contains("Connection:"))
        #expect(rig.client.state == .idle)
    }

    @Test("A connection that has served HTTP/1.0 goes on in HTTP/1.1 if its client does")
    func changes() throws {
        let rig = try Rig { $0.routes[0].action = .respond(status: 404) }
        defer { rig.stage.core.dismantle() }
        try rig.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(rig.heard().contains("Connection: keep-alive\r\n"))
        try rig.say(Self.get)
        let text = rig.heard()
        #expect(text.hasPrefix("HTTP/1.1 404 Not Found\r\n") && !text.contains("Connection:"))
        try rig.say("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        let last = rig.heard()
        #expect(last.contains("Connection: close\r\n") && last.contains("Content-Length: 33\r\n"))
        #expect(last.hasSuffix("\r\n\r\n") && rig.isEnding)
    }

    // MARK: bytes

    @Test("Requests one behind the other are answered in turn, eight a turn", arguments: [1, 8, 9, 20])
    func pipelined(count: Int) throws {
        let rig = try Rig { $0.routes[0].action = .respond(status: 404) }
        defer { rig.stage.core.dismantle() }
        try rig.say(String(repeating: Self.get, count: count))
        func answers() -> Int {
            rig.heard().split(separator: "HTTP/1.1 404", omittingEmptySubsequences: false).count - 1
        }
        #expect(answers() == min(8, count) && rig.client.isRunnable == (count > 8))
        if count > 8 {
            rig.client.isRunnable = false
            rig.client.resume()
            #expect(answers() == min(8, count - 8))
        }
    }

    @Test("A head is read wherever its bytes are parted; an empty line before it is none")
    func parts() throws {
        let text = Array("\r\n\(Self.get)".utf8)
        for count in 1..<text.count {
            let rig = try Rig { $0.routes[0].action = .respond(status: 404) }
            defer { rig.stage.core.dismantle() }
            try rig.say(Array(text[..<count]))
            #expect(rig.heard().isEmpty)
            try rig.say(Array(text[count...]))
            #expect(rig.heard().hasPrefix("HTTP/1.1 404"), "\(count)")
            #expect(rig.client.state == .idle && rig.client.inbound.isEmpty)
        }
    }

    @Test("The end of a body that comes by itself ends the request", arguments: ["0\r\n\r\n", "0\r\nA: b\r\n\r\n"])
    func lastChunk(text: String) throws {
        let rig = try Rig()
        defer { rig.stage.core.dismantle() }
        try rig.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        let exchange = try #require(rig.client.exchange?.object)
        #expect(exchange.phase.isRequestArriving && exchange.requestBytes == 5)
        try rig.say(text)
        #expect(exchange.phase.isRequestWhole && exchange.requestBytes == 5)
    }

    @Test("Input that is no request is answered, counted by its status, and ends the connection")
    func rejected() throws {
        for (text, status) in [
            ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
            ("GET /\(String(repeating: "a", count: 9_000)) HTTP/1.1\r\nHost: h\r\n\r\n", 414),
            ("GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", 417),
        ] as [(String, UInt16)] {
            let rig = try Rig()
            defer { rig.stage.core.dismantle() }
            try rig.say(text + Self.get)
            let heard = rig.heard()
            #expect(heard.hasPrefix("HTTP/1.1 \(status) ") && heard.contains("Connection: close\r\n"))
            #expect(
                heard.split(separator: "HTTP/1.1 ", omittingEmptySubsequences: false).count == 2,
                "nothing behind it is a request")
            #expect(rig.stage.core.snapshot(names: rig.stage.counters.names).rejected == [status: 1])
            #expect(rig.isEnding && rig.client.inbound.isEmpty)
        }
    }

    // MARK: ends

    @Test("What the process cannot hold is cut with a reset, and the exchange told so")
    func relieved() throws {
        let rig = try Rig()
        defer { rig.stage.core.dismantle() }
        try rig.say(Self.get)
        let exchange = try #require(rig.client.exchange?.object)
        rig.client.relieve()
        #expect(exchange.reason == .heldTooMuch && exchange.status == 499 && rig.client.state == .closed)
        #expect(rig.isReset)
    }

    @Test("A connection that is given up at a stop is cut only where an answer is under way", arguments: [false, true])
    func abandoned(isAnswered: Bool) throws {
        let rig = try Rig()
        defer { rig.stage.core.dismantle() }
        try rig.say(Self.get)
        if isAnswered { try rig.answer(Self.whole, "he") }
        let exchange = try #require(rig.client.exchange?.object)
        rig.client.abandon()
        #expect(exchange.reason == .shutdown && rig.client.state == .closed && rig.isReset == isAnswered)
    }

    @Test("A hang-up ends a request, and not a tunnel, in front of whose end bytes may stand")
    func hangUp() throws {
        for isTunnel in [false, true] {
            let rig = try Rig()
            defer { rig.stage.core.dismantle() }
            try rig.say("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            let exchange = try #require(rig.client.exchange?.object)
            if isTunnel { rig.stage.switching(exchange) }
            #expect(rig.client.isTunnel == isTunnel)
            rig.client.ready(.hangUp)
            #expect((rig.client.state == .closed) == !isTunnel)
        }
    }

    @Test("A body that ends before its end ends the request: nobody takes it for whole")
    func cutBody() throws {
        let rig = try Rig()
        defer { rig.stage.core.dismantle() }
        try rig.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhello")
        let exchange = try #require(rig.client.exchange?.object)
        try rig.endInput()
        #expect(exchange.reason == .clientClosed && rig.client.state == .closed)
    }

    @Test("A tunnel's end reaches a slow client behind all that stands before it")
    func tunnelEnd() throws {
        let rig = try Rig(buffer: 65_536)
        defer { rig.stage.core.dismantle() }
        try rig.say("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        let exchange = try #require(rig.client.exchange?.object)
        rig.stage.switching(exchange)
        let input = UnsafeRawPointer(rig.stage.core.memory.input.baseAddress)
        for _ in 0..<4 { exchange.answerBody(BodyPiece(data: 200_000, consumed: 200_000), input) }
        exchange.answerBody(BodyPiece(isEnd: true), nil)
        try #require(rig.client.heldOutput > 0)
        var count = 0
        let isOver = eventually {
            count += rig.heard().utf8.count
            if rig.client.state != .closed { rig.client.ready(.output) }
            return rig.hasEnded
        }
        #expect(isOver && count > 800_000 && !rig.isReset)
    }
}

/// A client's connection over loopback, driven without a loop.
private final class Rig {
    let stage: ExchangeStage
    let client: HTTP1Client
    private let peer: Int32
    /// Of the connection under test, which owns it.
    private let own: Int32
    private(set) var hasEnded = false
    private var ended: Int32 = 0

    /// `buffer`: bytes that the kernel takes for a client that reads nothing, about.
    init(buffer: Int32 = 0, _ change: (inout TableSpec) -> Void = { _ in }) throws {
        let stage = try ExchangeStage { spec in
            spec.timeouts.requestHeader = 10_001
            spec.timeouts.keepAlive = 75_003
            spec.timeouts.responseBodyIdle = 60_004
            change(&spec)
        }
        self.stage = stage
        let listener = try Socket.listen(on: SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0))
        let bound = listener.boundAddress()
        self.peer = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if buffer > 0 {
            var size = buffer
            setsockopt(self.peer, SOL_SOCKET, SO_RCVBUF, &size, 4)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = (bound?.port ?? 0).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let peer = self.peer
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(peer, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        try #require(isConnected)
        guard case .connection(let accepted, _) = listener.accept() else { throw TestFailure("nobody has come") }
        if buffer > 0 {
            var size = buffer
            setsockopt(accepted.descriptor, SOL_SOCKET, SO_SNDBUF, &size, 4)
        }
        self.own = accepted.descriptor
        let origin = ClientOrigin(listener: .sample(stage.core), address: IPAddress(v4: 0x7F00_0001))
        self.client = HTTP1Client(core: stage.core, channel: Channel(accepted), origin: origin)
        self.client.start()
        // An endpoint's connection waits for the first request.
        _ = try stage.offer()
    }

    deinit { close(self.peer) }

    /// Sends text, and lets the connection know once it is there.
    func say(_ text: String) throws { try self.say(Array(text.utf8)) }

    func say(_ bytes: [UInt8]) throws {
        try #require(send(self.peer, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        try self.await(Int16(POLLIN))
        self.client.ready(.input)
    }

    func endInput() throws {
        shutdown(self.peer, Int32(SHUT_WR))
        try self.await(0x2000)
        self.client.ready([.input, .inputClosing])
    }

    private func await(_ events: Int16) throws {
        let deadline = Deadline(seconds: 30)
        var one = pollfd(fd: self.own, events: events, revents: 0)
        try #require(poll(&one, 1, deadline.remainingMilliseconds) == 1)
    }

    /// What has come by now. The kernel delivers over loopback before it returns from a write.
    func heard() -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(self.peer, &chunk, chunk.count, Int32(MSG_DONTWAIT))
            if count > 0 {
                bytes += chunk[..<count]
                continue
            }
            if count == 0 { self.hasEnded = true }
            if count < 0, errno != EAGAIN { self.ended = errno }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    var isReset: Bool {
        _ = self.heard()
        return self.ended == ECONNRESET
    }

    /// It ends behind what it has said.
    var isEnding: Bool { self.client.state == .lingering || self.client.state == .closed }

    /// The endpoint's answer with the begin of its body.
    func answer(_ head: String, _ body: String) throws {
        let exchange = try #require(self.client.exchange?.object)
        self.stage.answer(exchange, head, body: Array(body.utf8))
    }

    /// The rest of the body.
    func finishAnswer(_ body: String) {
        guard let exchange = self.client.exchange?.object else { return }
        let bytes = Array(body.utf8)
        bytes.withUnsafeBytes {
            exchange.answerBody(BodyPiece(data: $0.count, consumed: $0.count, isEnd: true), $0.baseAddress)
        }
    }

    func interim() throws {
        let exchange = try #require(self.client.exchange?.object)
        let limits = HeadLimits(requestLine: 1_024, bytes: 8_192, count: 100)
        Array("HTTP/1.1 103 Early Hints\r\n\r\n".utf8).withUnsafeBytes { source in
            let parsed = try? HeadParser.response(
                source.bindMemory(to: UInt8.self).span, to: .get, limits: limits,
                fields: &self.stage.core.memory.fields)
            if let head = parsed { exchange.interim(head, source) }
        }
    }

    /// Whether its timer fires so many milliseconds from now. Moves the wheel there.
    func isArmed(after milliseconds: UInt64) -> Bool {
        let core = self.stage.core
        let slot = Int32(self.client.slot)
        var early: ContiguousArray<Int32> = []
        var due: ContiguousArray<Int32> = []
        core.wheel.advance(to: core.now + milliseconds - 32, expired: &early)
        core.wheel.advance(to: core.now + milliseconds + 32, expired: &due)
        return !early.contains(slot) && due.contains(slot)
    }
}
