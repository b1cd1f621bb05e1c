import HTTP2
import Testing

/// RFC 9113 5.2 and 6.9, and how windows grow.
@Suite struct WindowTests {
    private func left(_ peer: inout Peer, _ slot: Int, _ count: Int) {
        try? peer.write { session, _, out throws(ConnectionFault) in session.left(slot, count, into: &out) }
    }

    /// As much as `count` in frames of 16 KiB.
    private func upload(_ stream: UInt32, _ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = count
        while rest > 0 {
            bytes += Bytes.data(stream, min(rest, 16_384))
            rest -= min(rest, 16_384)
        }
        return bytes
    }

    @Test func aStreamHoldsItsWindowAndNoMore() {
        var peer = Peer()
        peer.send(Bytes.headers(1, isEnd: false) + self.upload(1, 65_536))
        #expect(peer.fault == nil)
        #expect(!peer.written.contains { if case .windowUpdate(stream: 1, _) = $0 { true } else { false } })
        peer.send(Bytes.data(1, 1))
        #expect(peer.written.last == .reset(stream: 1, code: .flowControlError))
    }

    @Test func whatTheUpstreamTookIsGivenBackAndTheWindowGrows() {
        var peer = Peer()
        peer.send(Bytes.headers(1, isEnd: false) + self.upload(1, 32_768))
        self.left(&peer, 0, 32_768)
        #expect(peer.written.last == .windowUpdate(stream: 1, increment: 131_072 - 32_768))
    }

    @Test func aStreamThatHoldsSomethingDoesNotGrow() {
        var peer = Peer()
        peer.send(Bytes.headers(1, isEnd: false) + self.upload(1, 49_152))
        self.left(&peer, 0, 40_000)
        #expect(peer.written.last == .windowUpdate(stream: 1, increment: 40_000))
    }

    @Test func growthStopsWhereTheConnectionsWindowIsShared() {
        var peer = Peer()
        peer.send((0..<100).flatMap { Bytes.headers(UInt32(2 * $0 + 1), isEnd: false) })
        peer.send(self.upload(1, 32_768))
        self.left(&peer, 0, 32_768)
        #expect(peer.written.last == .windowUpdate(stream: 1, increment: 32_768))
    }

    /// However many streams stall, those that do not go on.
    @Test func stalledStreamsDoNotCloseTheConnectionsWindow() {
        var peer = Peer()
        try? peer.write { session, _, out throws(ConnectionFault) in session.begin(into: &out) }
        for index in 0..<99 {
            let stream = UInt32(2 * index + 1)
            peer.send(Bytes.headers(stream, isEnd: false) + self.upload(stream, 65_536))
        }
        #expect(peer.fault == nil)
        peer.send(Bytes.headers(199, isEnd: false))
        for _ in 0..<200 {
            peer.send(self.upload(199, 32_768))
            self.left(&peer, 99, 32_768)
        }
        #expect(peer.fault == nil)
    }

    @Test func paddingIsGivenBackAtOnce() {
        var peer = Peer()
        peer.send(Bytes.headers(1, isEnd: false))
        let padded = Bytes.frame(FrameType.data, flags: 8, stream: 1, [255, 0x61] + [UInt8](repeating: 0, count: 255))
        for _ in 0..<1_000 {
            peer.send(padded)
            self.left(&peer, 0, 1)
        }
        #expect(peer.fault == nil)
    }

    @Test func droppedDataIsGivenBackToTheConnection() throws {
        var peer = Peer()
        try peer.write { session, _, out throws(ConnectionFault) in session.begin(into: &out) }
        for index in 0..<100 {
            let stream = UInt32(2 * index + 1)
            peer.send(Bytes.headers(stream, isEnd: false))
            try peer.write { session, now, out throws(ConnectionFault) in
                try session.reset(0, .cancel, isCharged: false, now: now, into: &out)
            }
            peer.detach(0)
            peer.send(self.upload(stream, 65_536))
        }
        #expect(peer.fault == nil)
    }

    @Test func sendingKeepsToBothWindows() {
        var peer = Peer()
        peer.send(Bytes.settings([(4, 100)]) + Bytes.headers(1))
        #expect(peer.session.room(0) == 100)
        peer.session.sent(0, 100)
        #expect(peer.session.room(0) == 0)
        // 6.9.2: the window becomes negative, and what opens it first fills that.
        peer.send(Bytes.settings([(4, 50)]) + Bytes.windowUpdate(1, 40))
        #expect(peer.session.room(0) == 0)
        peer.send(Bytes.windowUpdate(1, 30))
        #expect(peer.session.room(0) == 20)
        #expect(peer.steps.last == .windowOpened(slot: 0))
        peer.send(Bytes.settings([(4, 70)]))
        #expect(peer.steps.last == .windowsOpened)
        #expect(peer.session.room(0) == 40)
    }

    @Test func windowsThatOverflowAreErrors() {
        var peer = Peer()
        peer.send(Bytes.headers(1) + Bytes.windowUpdate(1, 0x7FFF_FFFF))
        #expect(peer.written == [.reset(stream: 1, code: .flowControlError)])
        peer.send(Bytes.windowUpdate(0, 0x7FFF_FFFF))
        #expect(peer.fault == ConnectionFault(.flowControlError))
        var other = Peer()
        other.send(Bytes.headers(1) + Bytes.windowUpdate(1, 0x7FFF_0000) + Bytes.settings([(4, 0x7FFF_FFFF)]))
        #expect(other.fault == ConnectionFault(.flowControlError))
    }
}
