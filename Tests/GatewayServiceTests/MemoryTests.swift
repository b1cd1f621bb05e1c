import Documents
import Foundation
import NIOCore
import NIOEmbedded
import Testing

@testable import GatewayService

/// What answers and requests may take of the process's memory, seen over HTTP.
@Suite("Memory")
struct MemoryTests {
    /// A store whose lists are this long as JSON.
    private static func store(_ bytes: Int) throws -> FullStore {
        let text = String(repeating: "x", count: 1000)
        return FullStore(try ExtendedJSON.batch((0..<(bytes / 1010)).map { _ in #"{"t":"\#(text)"}"# }))
    }

    private static func metric(_ name: String, _ server: RunningServer) async throws -> Int {
        let text = try await server.send("GET", "/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return try #require(line?.split(separator: " ").last.flatMap { Int($0) }, "\(name)")
    }

    /// One target in a hundred words: a hundred keys, one answer in memory.
    @Test func answersThatAreTheSameShareTheirMemory() async throws {
        try await RunningServer.run({ $0.memoryBytes = 64 << 20 }, store: try Self.store(3 << 20)) {
            server async throws in
            let body = try await server.send("GET", "/validators").body
            for number in 0..<100 {
                let target = number % 2 == 0 ? "/validators?\(number)" : "/Validators?\(number)"
                #expect(try await server.send("GET", target).body == body)
            }
            let used = try await Self.metric("gateway_memory_used_bytes", server)
            #expect(used > body.utf8.count && used < 2 * body.utf8.count, "\(used)")
        }
    }

    /// Two answers fit beside each other. The third is refused, with a word about when to come again; small ones and those
    /// that are kept are given all the while. Readers that have stopped give way.
    @Test func readersThatStopGiveWay() async throws {
        let size = 12 << 20
        try await RunningServer.run(
            {
                $0.memoryBytes = 32 << 20
                $0.deadline = .seconds(2)
            }, store: try Self.store(size)
        ) { server async throws in
            try await server.connect().executeThenClose { firstIn, firstOut in
                try await server.connect().executeThenClose { _, secondOut in
                    for (number, outbound) in [(1, firstOut), (2, secondOut)] {
                        let request = ByteBuffer(string: "GET /rewards/validator/\(number) HTTP/1.1\r\nHost: h\r\n\r\n")
                        var asked: ContinuousClock.Instant?
                        // Until it is made. Nobody reads it. A machine that is very busy may not make it in a request's time.
                        while try await Self.metric("gateway_memory_used_bytes", server) < number * size {
                            if asked.map({ .now - $0 > .seconds(3) }) ?? true {
                                try await outbound.write(request)
                                asked = .now
                            }
                            try await Task.sleep(for: .milliseconds(10))
                        }
                    }
                    let refused = try await server.send("GET", "/rewards/validator/3")
                    #expect(refused.status == "HTTP/1.1 503 Service Unavailable")
                    #expect(refused.headers.contains("Retry-After: 2"))
                    #expect(try await server.send("GET", "/healthcheck").body == "Good!")
                    #expect(try await server.send("GET", "/stats/totalRequests").body == "1")
                    #expect(try await server.send("GET", "/candidate/nobody").status != refused.status)
                    var status = refused.status
                    let end = ContinuousClock.now + .seconds(60)
                    while status == refused.status, .now < end {
                        status = try await server.send("GET", "/rewards/validator/3").status
                    }
                    #expect(status == "HTTP/1.1 200 OK")
                    #expect(try await Self.metric("gateway_connections_cut_total", server) > 0)
                    // What was cut does not look whole. The first to stop is the first to go.
                    var count = 0
                    do {
                        for try await chunk in firstIn { count += chunk.readableBytes }
                    } catch {}
                    #expect(count < size)
                }
            }
            #expect(try await Self.metric("gateway_memory_refusals_total", server) > 0)
        }
    }

    /// What is longer than everything there is ends while it is made, and leaves nothing behind.
    @Test func anAnswerLongerThanTheMemoryIsRefused() async throws {
        try await RunningServer.run({ $0.memoryBytes = 16 << 20 }, store: try Self.store(24 << 20)) {
            server async throws in
            for path in ["/validators", "/candidate/x", "/validators"] {
                let answer = try await server.send("GET", path)
                #expect(answer.status == "HTTP/1.1 503 Service Unavailable" || path == "/candidate/x")
            }
            #expect(try await server.send("GET", "/healthcheck").body == "Good!")
            #expect(try await Self.metric("gateway_memory_used_bytes", server) < 1 << 20)
            #expect(try await server.send("GET", "/metrics").body.contains("\ngateway_refused_total 2\n"))
        }
    }

    // MARK: heads

    /// Fields that are short enough each. The connection ends when the head is too long, whatever time it has left.
    @Test func aHeadIsBoundedAsAWhole() async throws {
        try await RunningServer.run { server async throws in
            let field = "X: " + String(repeating: "x", count: 19_990) + "\r\n"
            let start = "GET /blockindex HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
            // As long as it may be, and in one piece or many.
            let long = start + String(repeating: field, count: 3) + "\r\n"
            #expect(try await server.exchange(long).hasPrefix("HTTP/1.1 200 OK\r\n"))
            try await server.connect().executeThenClose { inbound, outbound in
                try await outbound.write(ByteBuffer(string: start))
                for _ in 0..<4 { try await outbound.write(ByteBuffer(string: field)) }
                // The bytes that make it too long, and no more: what the server leaves unread would reset the connection.
                try await outbound.write(ByteBuffer(string: String(field.prefix(4000))))
                var reader = ResponseReader(inbound)
                #expect(
                    try await reader.head()?.hasPrefix("HTTP/1.1 431 Request Header Fields Too Large\r\n") == true)
                #expect(try await reader.head() == nil)
            }
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_requests_total{route="none",status="431"} 1"#))
        }
    }

    /// What a client may send without an end beside a head.
    @Test(arguments: [
        "0\r\n" + String(repeating: "T: " + String(repeating: "t", count: 10_000) + "\r\n", count: 40),
        "1;" + String(repeating: "e", count: 400_000), String(repeating: "0", count: 400_000),
    ])
    func whatStandsAroundABodyIsBoundedToo(text: String) async throws {
        try await RunningServer.run { server async throws in
            let head =
                "POST /nope HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            let start = ContinuousClock.now
            // Returns when the server has closed, which may reset what it has not read.
            _ = try? await server.exchange(head, text)
            #expect(ContinuousClock.now - start < .seconds(20))
            #expect(try await server.send("GET", "/healthcheck").body == "Good!")
        }
    }

    /// Many heads that do not end, of every length: together they have their bound, and others are served.
    @Test func headsThatDoNotEndShareTheMemory() async throws {
        try await RunningServer.run({ $0.memoryBytes = 16 << 20 }) { server async throws in
            let text = ByteBuffer(
                string: "GET / HTTP/1.1\r\n"
                    + String(repeating: "X: " + String(repeating: "x", count: 990) + "\r\n", count: 60))
            var channels: [any Channel] = []
            for _ in 0..<120 { channels.append(try await server.dial()) }
            for channel in channels { channel.writeAndFlush(text, promise: nil) }
            // 68 of them fit; the others have been told.
            let end = ContinuousClock.now + .seconds(60)
            var refused = 0
            while refused < 40, .now < end {
                let metrics = try await server.send("GET", "/metrics").body
                refused =
                    metrics.firstMatch(of: #/gateway_requests_total\{route="none",status="503"\} (\d+)/#)
                    .flatMap { Int($0.1) } ?? 0
            }
            #expect(refused >= 40)
            #expect(try await Self.metric("gateway_memory_used_bytes", server) <= 16 << 20)
            for channel in channels { try? await channel.close() }
            while try await Self.metric("gateway_memory_used_bytes", server) > 1 << 20, .now < end {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(try await server.send("GET", "/blockindex").status == "HTTP/1.1 200 OK")
        }
    }

    /// Who gives way first: one that never asked, one that has stopped, one that rests, and never one at work.
    @Test func whatAConnectionIsWorth() throws {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        let state = ConnectionState()
        let connections = Connections(budget: MemoryBudget(1 << 20), limit: 10)
        let handler = ShortcutHandler(
            nil, connections.on(channel.embeddedEventLoop), state, ConnectionLimits(GatewayConfiguration()))
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        #expect(handler.worth(before: .distantFuture) == .nothing)
        state.heads = 1
        #expect(handler.worth(before: .distantFuture) == .resting)
        // An answer is being made, however long that takes.
        state.outstanding = 1
        #expect(handler.worth(before: .distantFuture) == nil)
        state.isReading = true
        #expect(handler.worth(before: .distantPast) == nil)
        #expect(handler.worth(before: .distantFuture) == .stopped)
        state.isReading = false
        channel.triggerUserOutboundEvent(BodyBegins(), promise: nil)
        #expect(handler.worth(before: .distantPast) == nil)
        #expect(handler.worth(before: .distantFuture) == .stopped)
        #expect(ShortcutHandler.Worth.nothing.rawValue < ShortcutHandler.Worth.stopped.rawValue)
        #expect(ShortcutHandler.Worth.stopped.rawValue < ShortcutHandler.Worth.resting.rawValue)
    }

    enum AnswerWay: CaseIterable, Sendable {
        case kept, made
        /// More of them than the socket has room for, in one piece.
        case pipelined
    }

    /// Answers of any size, whichever way they go, that are not taken: who takes nothing has stopped, and who takes all rests.
    @Test(arguments: AnswerWay.allCases)
    func whoTakesNoAnswerHasStopped(way: AnswerWay) throws {
        /// A kernel that takes nothing until it is told to.
        final class FullSocket: ChannelOutboundHandler {
            typealias OutboundIn = ByteBuffer
            let channel: EmbeddedChannel
            var isFull = true
            private var written = 0
            init(_ channel: EmbeddedChannel) { self.channel = channel }
            func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
                written += unwrapOutboundIn(data).readableBytes
                if isFull, written > 64 << 10 { channel.isWritable = false }
                context.write(data, promise: promise)
            }
            func flush(context: ChannelHandlerContext) { if !isFull { context.flush() } }
        }
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        let (socket, state) = (FullSocket(channel), ConnectionState())
        let all = Connections(budget: MemoryBudget(1 << 20), limit: 10)
        let connections = all.on(channel.embeddedEventLoop)
        let kept = KeptAnswers(
            cache: nil, fixed: ["/livez": Operations.alive],
            ledger: Ledger(metrics: GatewayMetrics(upSince: 0), log: nil),
            drain: Drain(.zero), identity: nil)
        let handler = ShortcutHandler(
            kept.answers(on: channel.embeddedEventLoop), connections, state, ConnectionLimits(GatewayConfiguration()))
        try channel.pipeline.syncOperations.addHandlers(socket, handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let request = "GET /livez HTTP/1.1\r\n\r\n"
        switch way {
        case .kept: try channel.writeInbound(ByteBuffer(string: request))
        case .pipelined: try channel.writeInbound(ByteBuffer(string: String(repeating: request, count: 1_000) + "GE"))
        case .made:
            state.heads = 1
            channel.writeAndFlush(ByteBuffer(string: "Good!"), promise: nil)
        }
        #expect(handler.unsentBytes > 0)
        #expect(handler.worth(before: .distantPast) == nil)
        #expect(handler.worth(before: .distantFuture) == .stopped)
        // More to be sent is nothing taken.
        let last = handler.lastTaken
        channel.writeAndFlush(ByteBuffer(string: "more"), promise: nil)
        handler.noteTaken()
        #expect(handler.lastTaken == last)
        socket.isFull = false
        channel.isWritable = true
        channel.flush()
        guard way != .pipelined else { return }
        #expect(handler.unsentBytes == 0)
        #expect(handler.worth(before: .distantFuture) == .resting)
        #expect(handler.worth(before: .distantPast) == .resting)
    }

    /// Many that come at once find the same order as one after the other: those that never asked first, the oldest first, and
    /// nobody who has said something since all were looked at.
    @Test func theOrderInWhichConnectionsGiveWay() throws {
        struct Client {
            let channel = EmbeddedChannel()
            let state = ConnectionState()
        }
        let all = Connections(budget: MemoryBudget(1 << 20), limit: 64)
        let loop = EmbeddedEventLoop()
        let connections = LoopConnections(all, loop)
        var clients: [Client] = []
        func open(asks: Bool) throws {
            let client = Client()
            clients.append(client)
            try client.channel.pipeline.syncOperations.addHandler(
                ShortcutHandler(nil, connections, client.state, ConnectionLimits(GatewayConfiguration())))
            try client.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            client.state.heads = asks ? 1 : 0
        }
        func areOpen() -> [Bool] { clients.map(\.channel.isActive) }
        for number in 0..<64 { try open(asks: number % 2 == 0) }
        #expect(areOpen().allSatisfy { $0 })
        for count in 1...32 {
            try open(asks: true)
            #expect(areOpen().prefix(64).enumerated().allSatisfy { $1 == ($0 % 2 == 0 || $0 > 2 * count - 1) })
        }
        // Now none is left that never asked. The oldest says something, then gives nobody its place.
        try open(asks: true)
        #expect(areOpen()[0] == false)
        try clients[2].channel.writeInbound(ByteBuffer(string: "G"))
        try open(asks: true)
        #expect(areOpen()[2] && !areOpen()[4])
        // Whoever comes and asks for nothing goes before those, whenever that was.
        try open(asks: false)
        #expect(!areOpen()[6])
        try open(asks: true)
        #expect(areOpen().suffix(2) == [false, true] && areOpen()[8])
        #expect(areOpen().filter { $0 }.count == 64)
        // All are at work: who comes finds no place.
        for client in clients { client.state.outstanding = 1 }
        for _ in 0..<3 {
            try open(asks: false)
            #expect(areOpen().last == false)
        }
        // Whoever comes to rest says so, and gives way to the next one; that one has asked for nothing, and to the next again.
        clients[8].state.outstanding = 0
        clients[8].channel.flush()
        for _ in 0..<3 {
            try open(asks: false)
            #expect(!areOpen()[8] && areOpen().last == true)
            #expect(areOpen().filter { $0 }.count == 64)
        }
        // The one that is left of these asks, and is answered.
        let newest = try #require(clients.last)
        newest.state.heads = 1
        newest.state.outstanding = 1
        try open(asks: true)
        #expect(areOpen().suffix(2) == [true, false])
        newest.state.outstanding = 0
        newest.channel.flush()
        try open(asks: true)
        #expect(areOpen().suffix(3) == [false, false, true])
        for client in clients { _ = try? client.channel.finish(acceptAlreadyClosed: true) }
    }

    /// Beyond the bound the one that has been silent longest gives way; one that is at work does not.
    @Test func connectionsAreBounded() async throws {
        let inner = try EmbeddedStore(reading: .memory)
        try inner.insert(SampleData(shape: .small).documents())
        let store = SlowStore(inner)
        try await RunningServer.run({ $0.connections = 8 }, store: store) { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var working = ResponseReader(inbound)
                try await outbound.write(ByteBuffer(string: "GET /validators HTTP/1.1\r\nHost: h\r\n\r\n"))
                var calls = store.calls.makeAsyncIterator()
                await calls.next()
                var silent: [any Channel] = []
                for _ in 0..<40 { silent.append(try await server.dial()) }
                for _ in 0..<20 { #expect(try await server.send("GET", "/livez").body == "alive\n") }
                #expect(try await Self.metric("gateway_connections", server) <= 8)
                #expect(try await Self.metric("gateway_connections_cut_total", server) >= 32)
                store.open()
                #expect(try await working.next()?.head.hasPrefix("HTTP/1.1 200 OK") == true)
                for channel in silent { try? await channel.close() }
            }
        }
    }
}
