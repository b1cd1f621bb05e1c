import HTTP2
import Testing

/// Each flood is stopped where its bound says, and honest use of the same frames is not.
@Suite struct FloodTests {
    private func repeated(_ count: Int, _ make: (Int) -> [UInt8]) -> [UInt8] { (0..<count).flatMap(make) }

    private func fault(_ bytes: [UInt8]) -> ConnectionFault? {
        var peer = Peer()
        peer.send(bytes)
        return peer.fault
    }

    @Test func rapidReset() {
        let bytes = self.repeated(101) { Bytes.headers(UInt32(2 * $0 + 1)) + Bytes.reset(UInt32(2 * $0 + 1)) }
        var peer = Peer()
        for index in 0..<101 {
            let stream = UInt32(2 * index + 1)
            peer.send(Bytes.headers(stream) + Bytes.reset(stream))
            peer.detach(0)
            #expect((peer.fault == nil) == (index < 100))
        }
        #expect(peer.fault == ConnectionFault(.resets))
        #expect(self.fault(bytes) == ConnectionFault(.resets))
    }

    /// CVE-2025-8671: the peer makes us send the resets.
    @Test func resetsThatThePeerCauses() {
        var peer = Peer()
        for index in 0..<101 {
            let stream = UInt32(2 * index + 1)
            peer.send(Bytes.headers(stream) + Bytes.windowUpdate(stream, 0))
            peer.detach(0)
        }
        #expect(peer.fault == ConnectionFault(.resets))
    }

    @Test func aSlowStreamOfResetsIsNoFlood() {
        var peer = Peer()
        for index in 0..<1_000 {
            let stream = UInt32(2 * index + 1)
            peer.now += 100
            peer.send(Bytes.headers(stream) + Bytes.reset(stream))
            peer.detach(0)
        }
        #expect(peer.fault == nil)
    }

    @Test func streamsOverTheLimit() {
        let bytes = self.repeated(201) { Bytes.headers(UInt32(2 * $0 + 1)) }
        #expect(self.fault(bytes) == ConnectionFault(.resets))
    }

    @Test func controlFrames() {
        #expect(self.fault(self.repeated(101) { _ in Bytes.ping() }) == ConnectionFault(.pings))
        #expect(self.fault(self.repeated(100) { _ in Bytes.ping() }) == nil)
        // The first one was the preface's.
        #expect(self.fault(self.repeated(10) { _ in Bytes.settings() }) == ConnectionFault(.settings))
        #expect(self.fault(self.repeated(9) { _ in Bytes.settings() }) == nil)
        #expect(self.fault(Bytes.settings((0..<33).map { (UInt16($0 + 100), 0) })) == ConnectionFault(.settings))
        let priority = Bytes.frame(FrameType.priority, stream: 3, [0, 0, 0, 0, 1])
        #expect(self.fault(self.repeated(21) { _ in priority }) == ConnectionFault(.priorities))
        let update = Bytes.frame(FrameType.priorityUpdate, [0, 0, 0, 1])
        #expect(self.fault(self.repeated(21) { _ in update }) == ConnectionFault(.priorities))
        #expect(self.fault(self.repeated(101) { _ in Bytes.frame(0x55) }) == ConnectionFault(.unknownFrames))
        #expect(self.fault(self.repeated(101) { _ in Bytes.windowUpdate(0, 1) }) == ConnectionFault(.windowUpdates))
    }

    @Test func windowUpdatesForDataThatWentAreNoFlood() {
        var peer = Peer()
        peer.send(Bytes.headers(1) + Bytes.windowUpdate(0, 1 << 30) + Bytes.windowUpdate(1, 1 << 30))
        for _ in 0..<5_000 {
            peer.session.sent(0, 16_384)
            peer.send(Bytes.windowUpdate(0, 16_384) + Bytes.windowUpdate(1, 16_384))
        }
        #expect(peer.fault == nil)
    }

    @Test func dataWithoutContent() {
        let opened = Bytes.headers(1, isEnd: false)
        #expect(self.fault(opened + self.repeated(11) { _ in Bytes.data(1, 0) }) == ConnectionFault(.emptyData))
        #expect(self.fault(opened + self.repeated(10) { _ in Bytes.data(1, 0) }) == nil)
    }

    /// Frames that carry nothing, however slowly they come.
    @Test func bytesThatCarryNothing() {
        var peer = Peer()
        var sent = 0
        let big = Bytes.frame(0x55, [UInt8](repeating: 0, count: 16_384))
        while peer.fault == nil, sent < 32 << 20 {
            peer.now += 1_000
            peer.send(big)
            sent += big.count
        }
        #expect(peer.fault == ConnectionFault(.idleBytes))
        #expect(sent > 8 << 20)
    }
}
