import HTTP2
import Testing

/// What RFC 9113 5 to 8 demand of a client, frame in, frames out.
@Suite struct ClientSessionTests {
    /// `:status 200` (RFC 7541, static table).
    private static let head: [UInt8] = [0x88]

    private func answer(_ stream: UInt32, isEnd: Bool = false) -> [UInt8] {
        Bytes.headers(stream, isEnd: isEnd, Self.head)
    }

    @Test func itBeginsWithItsPrefaceAndRefusesPushes() throws {
        var peer = Peer(role: .client, greeted: false)
        try peer.write { session, _, out throws(ConnectionFault) in session.begin(into: &out) }
        #expect(peer.hasPreface == true)
        #expect(peer.written.first == .settings(entries: 9..<27))
        #expect(peer.written.last == .windowUpdate(stream: 0, increment: 4 << 20 - 65_535))
        peer.send(Bytes.settings() + Bytes.frame(FrameType.pushPromise, flags: 4, stream: 1, [0, 0, 0, 2, 0x82]))
        #expect(peer.fault == ConnectionFault(.protocolError))
    }

    @Test(arguments: [(UInt16(2), UInt32(1), true), (2, 0, false), (8, 2, true), (8, 1, false), (3, 0, false)])
    func settingsOfServers(_ identifier: UInt16, _ value: UInt32, _ isFault: Bool) {
        var peer = Peer(role: .client)
        peer.send(Bytes.settings([(identifier, value)]))
        #expect((peer.fault == ConnectionFault(.protocolError)) == isFault)
    }

    @Test func webSocketsCannotBeTakenBack() {
        var peer = Peer(role: .client)
        #expect(peer.session.peerTakesConnect == false)
        peer.send(Bytes.settings([(8, 1)]))
        #expect(peer.session.peerTakesConnect == true)
        peer.send(Bytes.settings([(8, 0)]))
        #expect(peer.fault == ConnectionFault(.protocolError))
    }

    @Test func whatServersSayThatTheyTakeOfFields() {
        var peer = Peer(role: .client)
        #expect(peer.session.peerFieldBytes == .max)
        peer.send(Bytes.settings([(6, 8_192)]))
        #expect(peer.session.peerFieldBytes == 8_192)
        // A client's own word bounds nothing of ours.
        var client = Peer()
        client.send(Bytes.settings([(6, 8_192)]))
        #expect(client.session.peerFieldBytes == .max)
    }

    // MARK: blocks that are too large

    /// HEADERS of the stream and its CONTINUATIONs, the last of which ends the block.
    private func block(_ stream: UInt32, pieces: Int, of size: Int) -> [UInt8] {
        let piece = [UInt8](repeating: 0x88, count: size)
        return Bytes.frame(FrameType.headers, stream: stream, piece)
            + (1..<pieces).flatMap {
                Bytes.frame(FrameType.continuation, flags: $0 == pieces - 1 ? 4 : 0, stream: stream, piece)
            }
    }

    @Test(arguments: [(20, 16_384), (60, 16), (30, 0)])
    func aBlockThatIsTooLargeCostsItsStreamAlone(_ pieces: Int, _ size: Int) {
        var peer = Peer(role: .client)
        for _ in 0..<2 { _ = peer.open() }
        peer.send(self.block(1, pieces: pieces, of: size) + self.answer(3, isEnd: true))
        #expect(peer.fault == nil)
        #expect(peer.written.filter { if case .reset = $0 { true } else { false } }.count == 1)
        guard case .discard(let first, slot: 0)? = peer.steps.first else {
            return #expect(Bool(false), "\(peer.steps)")
        }
        #expect(!first.isWhole)
        let rest = peer.steps.dropFirst().dropLast()
        #expect(rest.allSatisfy { if case .discard(_, slot: nil) = $0 { true } else { false } })
        guard case .discard(let last, _)? = rest.last else { return #expect(Bool(false), "\(peer.steps)") }
        #expect(last.isWhole)
        guard case .answer(slot: 1, _)? = peer.steps.last else { return #expect(Bool(false), "\(peer.steps)") }
    }

    @Test func whatFollowsIsTheRestOfTheBlockAndHasAnEnd() {
        var open = self.block(1, pieces: 20, of: 16_384)
        open.removeLast(FrameReader.headerSize + 16_384)
        for other in [self.answer(3), Bytes.settings(), Bytes.frame(FrameType.continuation, flags: 4, stream: 3, [])] {
            var peer = Peer(role: .client)
            for _ in 0..<2 { _ = peer.open() }
            peer.send(open)
            #expect(peer.fault == nil)
            peer.send(other)
            #expect(peer.fault == ConnectionFault(.protocolError))
        }
        for (pieces, size) in [(70, 16_384), (2_000, 0)] {
            var peer = Peer(role: .client)
            _ = peer.open()
            peer.send(self.block(1, pieces: pieces, of: size))
            #expect(peer.fault == ConnectionFault(.fields))
        }
    }

    // MARK: streams

    @Test func streamsAreOddAndRise() {
        var peer = Peer(role: .client)
        for expected: UInt32 in [1, 3, 5] {
            let slot = peer.open()
            #expect(slot.map { peer.session.streams[$0].identifier } == expected)
        }
    }

    @Test func eightStreamsUntilTheServerHasSpokenThenAsManyAsItTakes() {
        var peer = Peer(role: .client, greeted: false)
        for _ in 0..<8 { #expect(peer.open() != nil) }
        #expect(peer.open() == nil)
        peer.send(Bytes.settings([(3, 10)]))
        #expect(peer.open() != nil)
        #expect(peer.open() != nil)
        #expect(peer.open() == nil)
        peer.send(Bytes.settings([(3, 0)]))
        #expect(peer.session.hasRoomForStream == false)
        #expect(peer.session.takesStreams == true)
        #expect(peer.fault == nil)
    }

    /// What answers may make us hold is bounded by what is asked for.
    @Test func noStreamIsOpenedBeyondTheConnectionsWindow() {
        var limits = SessionLimits()
        limits.concurrentStreams = 256
        limits.connectionWindow = 10 * SessionLimits.firstWindow
        var peer = Peer(role: .client, limits: limits)
        for _ in 0..<10 { #expect(peer.open() != nil) }
        #expect(peer.open() == nil && !peer.session.hasRoomForStream)
        peer.send(Bytes.reset(1))
        peer.detach(0)
        // Half of its window used up, and all of that taken: it grows, within the half of what there is.
        var other = Peer(role: .client, limits: limits)
        _ = other.open()
        other.send(self.answer(1))
        other.session.answered(0, expected: nil)
        for _ in 0..<6 {
            other.send(Bytes.data(1, 16_384) + Bytes.data(1, 16_384) + Bytes.data(1, 16_384) + Bytes.data(1, 16_384))
            try? other.write { session, _, out throws(ConnectionFault) in session.left(0, 65_536, into: &out) }
        }
        #expect(other.fault == nil)
        var further = 0
        while other.open() != nil { further += 1 }
        #expect(further == 6, "4 × 64 KiB are the first one's")
        #expect(peer.open() != nil)
    }

    @Test func anAnswerAtEveryByteSplit() {
        let bytes =
            Bytes.settings() + self.answer(1) + Bytes.data(1, 3) + Bytes.ping() + Bytes.data(1, 4)
            + Bytes.headers(1, isEnd: true, Self.head)
        for cut in 0...bytes.count {
            var peer = Peer(role: .client, greeted: false)
            peer.announced = 7
            #expect(peer.open() == 0)
            peer.send(Array(bytes[..<cut]))
            peer.send(Array(bytes[cut...]))
            #expect(peer.fault == nil)
            guard peer.steps.count == 4, case .answer(slot: 0, _) = peer.steps[0],
                case .data(slot: 0, _, isEnd: false) = peer.steps[1], case .trailers(slot: 0, _) = peer.steps[3]
            else {
                Issue.record("cut at \(cut): \(peer.steps)")
                return
            }
            peer.detach(0)
            #expect(peer.session.streams.isEmpty == true)
        }
    }

    @Test func interimHeadsComeBeforeTheFinalOne() {
        var peer = Peer(role: .client)
        _ = peer.open()
        peer.send(self.answer(1) + self.answer(1))
        #expect(peer.steps.count == 2)
        let heads = peer.steps.count { if case .answer = $0 { true } else { false } }
        #expect(heads == 2)
        peer.session.answered(0, expected: nil)
        // Behind the final one only trailers stand, which end the stream.
        peer.send(self.answer(1))
        #expect(peer.written == [.reset(stream: 1, code: .protocolError)])
    }

    @Test func aBodyBeforeItsHeadIsAFaultOfTheStream() {
        var peer = Peer(role: .client)
        _ = peer.open()
        peer.send(Bytes.data(1, 5))
        #expect(peer.written == [.reset(stream: 1, code: .protocolError)])
        #expect(peer.steps == [.reset(slot: 0)])
        #expect(peer.fault == nil)
    }

    @Test(arguments: [(0, true, true), (0, false, false), (5, false, true), (5, true, false), (9, false, false)])
    func lengthsMustFit(_ expected: Int, _ endsWithHead: Bool, _ isExact: Bool) {
        var peer = Peer(role: .client)
        _ = peer.open(isEnd: false)
        peer.send(self.answer(1, isEnd: endsWithHead))
        peer.session.answered(0, expected: expected)
        if endsWithHead {
            #expect(peer.session.isAnswerExact(0) == (expected == 0))
        } else {
            peer.send(Bytes.data(1, 5, isEnd: true))
            #expect(peer.written.isEmpty == isExact)
        }
    }

    @Test(arguments: [Bytes.headers(1), Bytes.headers(2), Bytes.data(4, 1), Bytes.reset(1), Bytes.windowUpdate(3, 1)])
    func framesOnStreamsThatWereNotOpenedEndTheConnection(_ bytes: [UInt8]) {
        var peer = Peer(role: .client)
        peer.send(bytes)
        #expect(peer.fault == ConnectionFault(.protocolError))
    }

    @Test func whatCrossesACancelIsDroppedAndItsWindowGivenBack() throws {
        var peer = Peer(role: .client)
        _ = peer.open()
        peer.send(self.answer(1))
        peer.session.answered(0, expected: nil)
        try peer.write { session, now, out throws(ConnectionFault) in
            try session.reset(0, .cancel, isCharged: false, now: now, into: &out)
        }
        #expect(peer.written == [.reset(stream: 1, code: .cancel)])
        peer.detach(0)
        #expect(peer.session.streams.isEmpty == true)
        peer.steps = []
        for _ in 0..<100 { peer.send(Bytes.data(1, 16_384)) }
        peer.send(self.answer(1, isEnd: true))
        #expect(peer.fault == nil)
        guard case .discard(_, slot: nil) = peer.steps.first, peer.steps.count == 1 else {
            Issue.record("\(peer.steps)")
            return
        }
        #expect(peer.written.contains { if case .windowUpdate(stream: 0, _) = $0 { true } else { false } })
    }

    @Test func aStreamThatNeverBeganIsNotReset() throws {
        var peer = Peer(role: .client)
        let opened = peer.session.open()
        let slot = try #require(opened)
        try peer.write { session, now, out throws(ConnectionFault) in
            try session.reset(slot, .cancel, isCharged: false, now: now, into: &out)
        }
        peer.detach(slot)
        #expect(peer.written.isEmpty)
        #expect(peer.session.streams.isEmpty == true)
        #expect(peer.open().map { peer.session.streams[$0].identifier } == 3)
    }

    /// As an exchange that gives up: its stream is in the only slot.
    private func cancel(_ peer: inout Peer) throws {
        _ = peer.open()
        try peer.write { session, now, out throws(ConnectionFault) in
            try session.reset(0, .cancel, isCharged: false, now: now, into: &out)
        }
        peer.detach(0)
        #expect(peer.session.streams.isEmpty == true)
    }

    /// Which streams were reset is not remembered without end, and late frames of theirs are nobody's fault.
    @Test func whatCrossesManyCancelsIsDropped() throws {
        var peer = Peer(role: .client)
        for _ in 0..<3_000 { try self.cancel(&peer) }
        peer.send(self.answer(1) + Bytes.data(1, 100) + Bytes.data(3, 100) + self.answer(5_999, isEnd: true))
        #expect(peer.fault == nil)
        // A minute later they are not late any more.
        peer.now += 60_001
        peer.send(self.answer(1))
        #expect(peer.fault == ConnectionFault(.streamClosed))
    }

    @Test func aStreamThatEndedWellHasNoLateFrames() {
        var peer = Peer(role: .client)
        _ = peer.open()
        peer.send(self.answer(1, isEnd: true))
        peer.detach(0)
        #expect(peer.session.streams.isEmpty == true)
        peer.send(Bytes.data(1, 1))
        #expect(peer.fault == ConnectionFault(.streamClosed))
    }

    /// What was on its way when we cancelled is no flood, however much it is.
    @Test func dataOfCancelledStreamsIsNotIdle() throws {
        var peer = Peer(role: .client)
        for index in 0..<300 {
            try self.cancel(&peer)
            for _ in 0..<4 { peer.send(Bytes.data(UInt32(2 * index + 1), 16_384)) }
        }
        #expect(peer.fault == nil)
    }

    @Test func aServerMayResetEachStreamOnce() {
        var limits = SessionLimits()
        limits.resets = 10
        var peer = Peer(role: .client, limits: limits)
        for index in 0..<1_000 {
            _ = peer.open()
            peer.send(Bytes.reset(UInt32(2 * index + 1), 7))
            peer.detach(0)
        }
        #expect(peer.fault == nil)
        // And not the same one again and again.
        for _ in 0..<12 { peer.send(Bytes.reset(1, 7)) }
        #expect(peer.fault == ConnectionFault(.resets))
    }

    /// A server's connection carries requests of many clients: what is too large is its own stream's matter.
    @Test(arguments: [
        (Session.Role.client, 65_536, true), (.client, 65_537, false), (.server, 32_768, true),
        (.server, 32_769, false),
    ])
    func blocksMayBeTwiceAsLargeFromServers(_ role: Session.Role, _ size: Int, _ isTaken: Bool) {
        var peer = Peer(role: role)
        if role == .client { _ = peer.open() }
        var rest = size
        while rest > 0 {
            let count = min(rest, 16_384)
            let isFirst = rest == size
            rest -= count
            peer.send(
                Bytes.frame(
                    isFirst ? FrameType.headers : FrameType.continuation,
                    flags: (isFirst ? FrameFlag.endStream : 0) | (rest == 0 ? FrameFlag.endHeaders : 0), stream: 1,
                    [UInt8](repeating: 0x82, count: count)))
        }
        #expect(peer.fault == (isTaken || role == .client ? nil : ConnectionFault(.fields)))
        let taken = peer.steps.filter { if case .discard = $0 { false } else { true } }
        #expect(taken.count == (isTaken ? 1 : 0))
    }

    // MARK: ends

    @Test func aGoAwayNamesTheStreamsThatWereNotLookedAt() {
        var peer = Peer(role: .client)
        for _ in 0..<3 { _ = peer.open() }
        peer.send(Bytes.frame(FrameType.goAway, Bytes.word(3) + Bytes.word(0)))
        #expect(peer.steps == [.leaving(last: 3)])
        #expect(peer.session.takesStreams == false)
        #expect(peer.open() == nil)
        #expect(peer.session.isOver == false)
        // Those below go on.
        peer.send(self.answer(1, isEnd: true))
        #expect(peer.fault == nil)
        for slot in 0..<3 {
            try? peer.write { session, now, out throws(ConnectionFault) in
                try session.reset(slot, .cancel, isCharged: false, now: now, into: &out)
            }
            peer.detach(slot)
        }
        #expect(peer.session.isOver == true)
    }

    @Test func weLeaveWithoutNamingAStream() throws {
        var peer = Peer(role: .client)
        try peer.write { session, now, out throws(ConnectionFault) in session.warn(now: now, into: &out) }
        #expect(peer.written == [.goAway(last: 0, code: .noError)])
        #expect(peer.session.isOver == true)
        #expect(peer.open() == nil)
        var other = Peer(role: .client)
        _ = other.open()
        try other.write { session, _, out throws(ConnectionFault) in
            session.fail(ConnectionFault(.compressionError), into: &out)
        }
        #expect(other.written == [.goAway(last: 0, code: .compressionError)])
    }

    @Test func aServerIsAskedNothingAndMustSpeak() throws {
        var peer = Peer(role: .client)
        _ = peer.open()
        #expect(peer.session.deadline == .max)
        peer.now += 10_000_000
        try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        #expect(peer.written.isEmpty)
        var silent = Peer(role: .client, greeted: false)
        #expect(silent.session.deadline == 11_000)
        silent.now += 10_000
        #expect(throws: ConnectionFault(.protocolError)) {
            try silent.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        }
    }

    @Test func aServerMayMeasureThePathWithManyPings() {
        var peer = Peer(role: .client)
        for _ in 0..<5_000 { peer.send(Bytes.ping()) }
        #expect(peer.fault == nil)
        for _ in 0..<6_000 { peer.send(Bytes.ping()) }
        #expect(peer.fault == ConnectionFault(.pings))
    }

    // MARK: refusals by a server

    @Test func aRefusalIsChargedOnlyToWhomItIsDue() {
        var limits = SessionLimits()
        limits.concurrentStreams = 1
        limits.resets = 10
        // Its stream is over as far as it knows; here the exchange still runs.
        var honest = Peer(limits: limits)
        honest.send(Bytes.headers(1, isEnd: false) + Bytes.reset(1))
        for stream in 0..<20 { honest.send(Bytes.headers(UInt32(3 + 2 * stream))) }
        #expect(honest.fault == nil)
        var other = Peer(limits: limits)
        other.send(Bytes.headers(1))
        for stream in 0..<20 { other.send(Bytes.headers(UInt32(3 + 2 * stream))) }
        #expect(other.fault == ConnectionFault(.resets))
        // Before it can have read how many there may be.
        var early = Peer(limits: limits, greeted: false)
        early.send(Bytes.settings() + Bytes.headers(1))
        for stream in 0..<1_000 { early.send(Bytes.headers(UInt32(3 + 2 * stream))) }
        #expect(early.fault == nil)
        for stream in 1_000..<1_020 { early.send(Bytes.headers(UInt32(3 + 2 * stream))) }
        #expect(early.fault == ConnectionFault(.resets))
    }
}
