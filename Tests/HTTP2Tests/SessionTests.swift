import HTTP2
import Testing

/// What RFC 9113 5 to 8 demand of a server, frame in, frames out.
@Suite struct SessionTests {
    @Test func itBeginsWithItsSettings() throws {
        var peer = Peer(greeted: false)
        try peer.write { session, _, out throws(ConnectionFault) in session.begin(into: &out) }
        #expect(peer.written.first == .settings(entries: 9..<33))
        #expect(peer.written.last == .windowUpdate(stream: 0, increment: 4 << 20 - 65_535))
    }

    @Test(arguments: [Bytes.ping(), Bytes.settingsAcknowledged, Bytes.headers(1), Bytes.windowUpdate(0, 1)])
    func theFirstFrameIsSettings(_ bytes: [UInt8]) {
        var peer = Peer(greeted: false)
        peer.send(bytes)
        #expect(peer.fault == ConnectionFault(.protocolError))
    }

    @Test func settingsAreAcknowledged() {
        var peer = Peer()
        peer.send(Bytes.settings([(1, 0), (4, 100), (0xAAAA, 7)]))
        #expect(peer.written == [.settingsAcknowledged])
        #expect(peer.session.takePeerTable()?.last == 0)
        #expect(peer.session.takePeerTable() == nil)
    }

    @Test(arguments: [
        (UInt16(2), UInt32(2), ErrorCode.protocolError), (4, 0x8000_0000, .flowControlError),
        (5, 16_383, .protocolError), (5, 16_777_216, .protocolError), (9, 2, .protocolError),
    ])
    func settingsOutOfRangeEndTheConnection(_ identifier: UInt16, _ value: UInt32, _ code: ErrorCode) {
        var peer = Peer()
        peer.send(Bytes.settings([(identifier, value)]))
        #expect(peer.fault == ConnectionFault(code))
    }

    // MARK: streams

    @Test func aRequestOpensAStream() {
        var peer = Peer()
        peer.send(Bytes.headers(1))
        guard case .request(let slot, let block) = peer.steps.first else { return #expect(Bool(false)) }
        #expect(block.isEnd)
        #expect(peer.session.streams[slot].identifier == 1)
        #expect(peer.session.streams.count == 1)
    }

    @Test func evenAndFallingStreamsAreRefused() {
        for bytes in [Bytes.headers(2), Bytes.headers(5) + Bytes.headers(3)] {
            var peer = Peer()
            peer.send(bytes)
            #expect(peer.fault != nil)
        }
    }

    @Test(arguments: [Bytes.data(1, 1), Bytes.reset(1), Bytes.windowUpdate(1, 1), Bytes.data(2, 1)])
    func framesOnIdleStreamsEndTheConnection(_ bytes: [UInt8]) {
        var peer = Peer()
        peer.send(bytes)
        #expect(peer.fault == ConnectionFault(.protocolError))
    }

    @Test func priorityMayStandAnywhere() {
        var peer = Peer()
        peer.send(Bytes.frame(FrameType.priority, stream: 99, [0, 0, 0, 0, 1]))
        #expect(peer.fault == nil)
    }

    @Test func dataBehindTheEndIsAStreamError() {
        var peer = Peer()
        peer.send(Bytes.headers(1) + Bytes.data(1, 3))
        #expect(peer.written == [.reset(stream: 1, code: .streamClosed)])
        #expect(peer.steps.last == .reset(slot: 0))
        #expect(peer.fault == nil)
    }

    @Test func headersBehindTheEndAreAStreamErrorAndStillDecoded() {
        var peer = Peer()
        peer.send(Bytes.headers(1) + Bytes.headers(1))
        #expect(peer.written == [.reset(stream: 1, code: .streamClosed)])
        guard case .discard(_, slot: 0) = peer.steps.last else { return #expect(Bool(false)) }
    }

    @Test func framesOnADoneStreamEndTheConnection() {
        for bytes in [Bytes.data(1, 1), Bytes.headers(1)] {
            var peer = Peer()
            peer.send(Bytes.headers(1))
            peer.session.ended(0)
            peer.detach(0)
            #expect(peer.session.streams.isEmpty == true)
            // These two may cross our END_STREAM.
            peer.send(Bytes.windowUpdate(1, 5) + Bytes.reset(1))
            #expect(peer.fault == nil)
            peer.send(bytes)
            #expect(peer.fault == ConnectionFault(.streamClosed))
        }
    }

    @Test func whatIsOnItsWayBehindOurResetIsIgnoredForAMinute() throws {
        var peer = Peer()
        peer.send(Bytes.headers(1, isEnd: false))
        try peer.write { session, now, out throws(ConnectionFault) in
            try session.reset(0, .cancel, isCharged: false, now: now, into: &out)
        }
        peer.detach(0)
        peer.steps = []
        peer.send(Bytes.data(1, 10) + Bytes.headers(1) + Bytes.data(1, 0))
        #expect(peer.fault == nil)
        #expect(peer.steps.count == 1, "the block must be decoded")
        peer.now += 59_000
        peer.send(Bytes.data(1, 10))
        #expect(peer.fault == nil)
        peer.now += 1_001
        peer.send(Bytes.data(1, 10))
        #expect(peer.fault == ConnectionFault(.streamClosed))
    }

    @Test func aCancelledStreamKeepsItsSlotUntilItsExchangeIsGone() {
        var limits = SessionLimits()
        limits.concurrentStreams = 1
        var peer = Peer(limits: limits)
        peer.send(Bytes.headers(1, isEnd: false) + Bytes.reset(1) + Bytes.headers(3))
        #expect(peer.written == [.reset(stream: 3, code: .refusedStream)])
        peer.detach(0)
        peer.send(Bytes.headers(5))
        guard case .request(slot: 0, _) = peer.steps.last else { return #expect(Bool(false)) }
    }

    @Test func trailersEndAStream() {
        var peer = Peer()
        peer.send(Bytes.headers(1, isEnd: false) + Bytes.data(1, 4) + Bytes.headers(1))
        guard case .trailers(slot: 0, _) = peer.steps.last else { return #expect(Bool(false)) }
        #expect(peer.session.streams[0].hasPeerEnded)
        var other = Peer()
        other.send(Bytes.headers(1, isEnd: false) + Bytes.headers(1, isEnd: false))
        #expect(other.written == [.reset(stream: 1, code: .protocolError)])
    }

    // MARK: lengths

    private func body(announced: Int, _ bytes: [UInt8]) -> Peer {
        var peer = Peer()
        peer.send(Bytes.headers(1, isEnd: false))
        peer.session.opened(0, expected: announced)
        peer.send(bytes)
        return peer
    }

    @Test func theLengthIsRightWhereverTheEndStands() {
        #expect(self.body(announced: 5, Bytes.data(1, 5, isEnd: true)).written == [])
        #expect(self.body(announced: 5, Bytes.data(1, 5) + Bytes.data(1, 0, isEnd: true)).written == [])
        #expect(self.body(announced: 5, Bytes.data(1, 5) + Bytes.headers(1)).written == [])
        for bytes in [
            Bytes.data(1, 6), Bytes.data(1, 4, isEnd: true), Bytes.data(1, 4) + Bytes.headers(1),
            Bytes.data(1, 0, isEnd: true), Bytes.headers(1), Bytes.data(1, 5) + Bytes.data(1, 1, isEnd: true),
        ] {
            #expect(self.body(announced: 5, bytes).written == [.reset(stream: 1, code: .protocolError)], "\(bytes)")
        }
    }

    // MARK: GOAWAY

    @Test func theEndIsSaidTwice() throws {
        var peer = Peer()
        peer.send(Bytes.headers(1))
        try peer.write { session, now, out throws(ConnectionFault) in session.warn(now: now, into: &out) }
        guard case .ping(let data, isAcknowledgement: false) = peer.written.last else { return #expect(Bool(false)) }
        #expect(peer.written.first == .goAway(last: 0x7FFF_FFFF, code: .noError))
        // On its way while the first GOAWAY was on its own.
        peer.send(Bytes.headers(3) + Bytes.ping(UInt32(data), isAcknowledgement: true))
        #expect(peer.written.last == .goAway(last: 3, code: .noError))
        peer.steps = []
        peer.send(Bytes.headers(5))
        guard case .discard(_, slot: nil) = peer.steps.first else { return #expect(Bool(false)) }
        // A request that crossed it, with its body and trailers, harms no stream that is served.
        peer.steps = []
        peer.send(Bytes.headers(7, isEnd: false) + Bytes.data(7, 10) + Bytes.headers(7))
        #expect(peer.fault == nil && peer.steps.count == 2)
        #expect(peer.session.isOver == false)
        for slot in 0..<2 {
            peer.session.ended(slot)
            peer.detach(slot)
        }
        #expect(peer.session.isOver == true)
    }

    @Test func withoutAnAnswerTheSecondComesAfterASecond() throws {
        var peer = Peer()
        try peer.write { session, now, out throws(ConnectionFault) in session.warn(now: now, into: &out) }
        #expect(peer.session.deadline == 2_000)
        peer.now = 2_000
        try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        #expect(peer.written.last == .goAway(last: 0, code: .noError))
        #expect(peer.session.isOver == true)
    }

    // MARK: deadlines

    @Test func settingsThatAreNotAcknowledgedTimeOut() {
        var peer = Peer(greeted: false)
        peer.send(Bytes.settings())
        peer.now = 11_000
        #expect(throws: ConnectionFault(.settingsTimeout)) {
            try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        }
    }

    @Test func aSilentPeerIsAskedAndGivenUp() throws {
        var peer = Peer()
        peer.send(Bytes.headers(1))
        #expect(peer.session.deadline == 31_000)
        peer.now = 31_000
        try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        #expect(peer.written.count == 1)
        peer.now = 46_000
        #expect(throws: ConnectionFault(.noError)) {
            try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        }
    }

    @Test func aPeerThatTakesWhatItIsSentLives() throws {
        var peer = Peer()
        peer.send(Bytes.headers(1))
        peer.now = 31_000
        try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        // Our PING stands behind what a slow link carries, and so does its answer.
        peer.session.moved(at: 45_000)
        peer.now = 46_000
        try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
    }

    @Test func anIdleConnectionEndsGracefullyAndPingsDoNotCount() throws {
        var peer = Peer()
        peer.now = 50_000
        peer.send(Bytes.ping())
        peer.now = 76_000
        #expect(peer.session.deadline == 76_000)
        try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        #expect(peer.session.isEnding == true)
    }
}
