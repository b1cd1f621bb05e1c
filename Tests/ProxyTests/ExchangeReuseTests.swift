import HTTPWire
import Reactor
import Testing
import Traffic

@testable import Proxy

/// Objects that serve one after another.
@Suite("What is used again") struct ExchangeReuseTests {
    /// Set anew by `begin`, or when an attempt opens, before anything reads them; or given back at the end of each use.
    private static let begun: Set<String> = [
        "core", "client", "clientStream", "endpoint", "endpointStream", "plan", "route", "method", "kept",
        "clientAddress", "requestID", "held", "heldTrailers", "placement", "upstream", "seat", "pool", "queue",
        "queuePlace",
        "wantsConnection", "claimedUser", "coder", "tap", "trace", "began", "sentAt", "deadline", "bodyDeadline",
        "bodyBegan",
    ]

    private func values(_ exchange: Exchange) -> [String: String] {
        var values: [String: String] = [:]
        for child in Mirror(reflecting: exchange).children {
            guard let label = child.label, !Self.begun.contains(label) else { continue }
            values[label] = String(reflecting: child.value)
        }
        return values
    }

    @Test("An exchange that is used again is as a new one, in every property")
    func exchange() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let new = self.values(Exchange(core: stage.core))
        let exchange = Exchange(core: stage.core)
        exchange.phase = ExchangePhase(hasBody: true)
        exchange.phase.opened()
        exchange.phase.sent()
        exchange.grantsUpgrade = true
        exchange.isTrusted = true
        exchange.meetsExpectation = true
        exchange.collectLimit = 1
        exchange.requestBytes = 1
        exchange.retries = 1
        exchange.isTrial = true
        exchange.isReused = true
        exchange.wantsFreshConnection = true
        exchange.status = 1
        exchange.interims = 1
        exchange.answerBytes = 1
        exchange.reason = .loop
        exchange.limitedBy = 1
        exchange.limitsTaken = 1
        exchange.user = 1
        exchange.isProxied = true
        exchange.isCut = true
        exchange.isSampled = true
        exchange.codedBytes = 1
        exchange.isGRPC = true
        exchange.grpcDeadline = 1
        exchange.grpcStatus = 1
        exchange.mayCode = true
        exchange.readsLittle = true
        exchange.headAt = 1
        exchange.tunnelledAt = 1
        exchange.blockedSince = 1
        exchange.unacknowledged = 1
        // What is added to it later is set here, or is one of those that `begin` sets.
        let used = self.values(exchange)
        for (name, value) in new { #expect(used[name] != value, "\(name) was not touched") }
        exchange.reset()
        for (name, value) in self.values(exchange) { #expect(new[name] == value, "\(name)") }
    }

    @Test("An exchange that has ended holds nothing: no head, no body, no pin, no place")
    func ended() throws {
        let stage = try ExchangeStage { $0.routes[0].buffering.request = 300 }
        defer { stage.core.dismantle() }
        func lent() -> Int { stage.core.buffers.lent }
        let before = lent()
        _ = try stage.offer()
        let exchange = stage.begin("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n")
        exchange.requestBody(
            BodyPiece(data: 299, consumed: 299), UnsafeRawPointer(stage.core.memory.input.baseAddress))
        #expect(lent() > before && exchange.heldBytes > 0)
        #expect(stage.core.plan.exchanges == 1 && stage.core.counts.exchanges == 1)
        exchange.clientGone(.clientClosed)
        #expect(lent() == before && exchange.heldBytes == 0)
        #expect(stage.core.plan.exchanges == 0 && stage.core.counts.exchanges == 0)
        #expect(exchange.client == nil && exchange.plan == nil && exchange.route == nil && exchange.pool == nil)
        #expect(exchange.kept.head == nil && exchange.upstream == nil)
        // The last used serves next, under another token.
        let token = exchange.token
        #expect(stage.core.openExchange().object === exchange && exchange.token != token)
        stage.core.closeExchange(exchange)
    }

    /// What is asked of the table, as values: it is never copied.
    private static func found(_ table: borrowing HandleTable, _ token: UInt64) -> Handle? {
        table.find(token)?.takeUnretainedValue()
    }

    @Test("A handle's token finds it alone, and nothing once it is another's")
    func tokens() {
        var table = HandleTable()
        let (first, second, third) = (Handle(), Handle(), Handle())
        table.insert(first)
        table.insert(second)
        #expect(first.slot == 0 && second.slot == 1 && first.token != second.token)
        let (tokens, last, beyond) = (table.tokens, table.token(at: 1), table.token(at: 2))
        #expect(tokens == [first.token, second.token] && last == second.token && beyond == .max)
        let old = first.token
        first.isRunnable = true
        table.renew(first)
        let (none, renewed) = (Self.found(table, old), Self.found(table, first.token))
        #expect(none == nil && renewed === first && !first.isRunnable && first.slot == 0)

        table.setUrgent(second, true)
        let wasUrgent = table.isUrgent(second.token)
        second.isRunnable = true
        let token = second.token
        table.replace(second, with: third)
        let (replaced, hasRemoved) = (Self.found(table, token), table.hasRemoved)
        #expect(third.slot == 1 && third.token == token && third.isRunnable && second.slot == -1)
        #expect(wasUrgent && replaced === third && hasRemoved)
        table.releaseRemoved()
        let isReleased = !table.hasRemoved
        #expect(isReleased)

        table.remove(third)
        let (gone, isUrgent, free) = (Self.found(table, token), table.isUrgent(token), table.token(at: 1))
        #expect(gone == nil && !isUrgent && third.slot == -1 && free == .max)
        // A second removal of the same takes nobody else's slot.
        table.remove(third)
        table.insert(second)
        #expect(second.slot == 1 && second.token != token)
        table.remove(first)
        table.remove(second)
        table.releaseRemoved()
        let left = table.tokens
        #expect(left.isEmpty)
    }

    @Test("Trailers are kept as they stood, and put back to where they stand")
    func trailers() {
        var pool = BufferPool()
        var kept = KeptTrailers()
        let frames = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 1)
        defer { frames.deallocate() }
        frames.initializeMemory(as: UInt8.self, repeating: 0x2E)
        let lines = Array("a: b\r\nc: d\r\n".utf8)
        frames[BodyFrames.trailerOffset..<BodyFrames.trailerOffset + lines.count].copyBytes(from: lines)
        kept.takeOver(BodyPiece(isEnd: true), from: frames, pool: &pool)
        #expect(kept.isEmpty && kept.putBack(into: frames) == 0)
        kept.takeOver(BodyPiece(isEnd: true, trailerBytes: lines.count), from: frames, pool: &pool)
        #expect(!kept.isEmpty)
        frames.initializeMemory(as: UInt8.self, repeating: 0x2E)
        #expect(kept.putBack(into: frames) == lines.count)
        #expect(Array(frames[BodyFrames.trailerOffset...].prefix(lines.count)) == lines)
        #expect(frames[BodyFrames.trailerOffset - 1] == 0x2E && frames[BodyFrames.trailerOffset + lines.count] == 0x2E)
        kept.clear(pool: &pool)
        let lent = pool.lent
        #expect(kept.isEmpty && kept.putBack(into: frames) == 0 && lent == 0)
    }
}
