import HTTP2
import Testing

/// RFC 9218: what fields and frames say of a stream's urgency, and what is no such thing.
@Suite struct PriorityTests {
    private func urgency(_ lines: String...) -> UInt8? {
        var field = PriorityField()
        for line in lines { Array(line.utf8).withUnsafeBytes { field.add($0) } }
        return field.urgency
    }

    @Test(
        arguments: [
            ("", 3), ("  ", 3), ("u=0", 0), ("u=7", 7), ("  u=5  ", 5), ("u=1,i", 1), ("i, u=6", 6),
            ("i=?0 \t, \tu=2", 2),
            ("u=-0", 0), ("u=1;a;b=2; c=\"x\"", 1), ("u=1, u=4", 4), ("U-less", nil), ("x=(1 2), u=1", 1),
            ("x=( \"a\" b;q=1.5  :YQ==: ?1 );z, u=1", 1), ("x=(), u=2", 2), ("*k=*t/o:k, u=2", 2), ("x=-1.125, u=2", 2),
            ("x=\"a\\\"b\\\\\", u=2", 2), ("x=123456789012345, u=2", 2),
            // Of another type, or out of range: as if it were not there.
            ("u=8", 3), ("u=-1", 3), ("u=999999999999999", 3), ("u=1.0", 3), ("u", 3), ("u=?1", 3), ("u=\"1\"", 3),
            ("u=one", 3),
            ("u=(1)", 3), ("u=:MQ==:", 3), ("u=1, u=9", 3), ("uu=1", 3), ("i;u=1", 3),
        ] as [(String, UInt8?)])
    func aDictionaryIsRead(_ text: String, _ urgency: UInt8?) { #expect(self.urgency(text) == urgency, "\(text)") }

    @Test(arguments: [
        "U=1", "u=", "u =1", "u= 1", "u=1,", "u=1,,i", ",u=1", "u=1 i", "u=1;", "u=1;=2", "u=1;A", "u=--1", "u=-",
        "u=1.",
        "u=1.1234", "u=1234567890123456", "u=1234567890123.1", "u=\"1", "u=\"\\a\"", "u=\"\u{1}\"", "u=\"é\"", "u=:a",
        "u=:a!:", "u=?", "u=?2", "u=(1", "u=(1,2)", "u=(1\"a\")", "u=((1))", "u=@1", "é", "\tu=1", "u=1\0", "1=u", "=1",
        "u=1, i=", "u=+1", "u=0x1", "u=(1;)", "{",
    ])
    func whatIsMalformedSaysNothing(_ text: String) { #expect(self.urgency(text) == nil, "\(text)") }

    @Test func linesAreOneDictionary() {
        #expect(self.urgency("u=1", "i") == 1)
        #expect(self.urgency("u=1", "u=6") == 6)
        #expect(self.urgency("u=1", "u=") == nil)
        #expect(self.urgency() == 3)
    }

    @Test func itsNameIsTold() {
        for (name, isIt) in [("priority", true), ("priorite", false), ("priorities", false), ("", false)] {
            #expect(Array(name.utf8).withUnsafeBytes { PriorityField.isName($0) } == isIt)
        }
    }

    // MARK: frames

    @Test func aFrameChangesAStream() {
        var peer = Peer()
        peer.send(Bytes.headers(1) + Bytes.headers(3))
        #expect(peer.session.streams.urgencies == 0b1000)
        peer.send(Bytes.priorityUpdate(3, "u=1, i"))
        #expect(peer.session.streams[0].urgency == 3 && peer.session.streams[1].urgency == 1)
        #expect(peer.session.streams.urgencies == 0b1010)
        // One that is malformed changes nothing, and one that says nothing of it is the default (RFC 9218 4).
        peer.send(Bytes.priorityUpdate(3, "u="))
        #expect(peer.session.streams[1].urgency == 1)
        peer.send(Bytes.priorityUpdate(3, ""))
        #expect(peer.session.streams[1].urgency == 3)
        #expect(peer.session.streams.urgencies == 0b1000)
        #expect(peer.fault == nil && peer.written.isEmpty)
    }

    @Test func aFrameBeforeItsStreamWaitsForItAndStands() {
        var peer = Peer()
        peer.send(Bytes.priorityUpdate(5, "u=0") + Bytes.priorityUpdate(5, "u=2") + Bytes.priorityUpdate(3, "u=7"))
        peer.send(Bytes.headers(5))
        peer.session.requested(0, urgency: 6)
        #expect(peer.session.streams[0].urgency == 2)
        // That one was passed over: no frame can open it any more.
        peer.send(Bytes.headers(7))
        peer.session.requested(1, urgency: 6)
        #expect(peer.session.streams[1].urgency == 6)
        #expect(peer.fault == nil)
    }

    @Test func framesForStreamsThatAreGoneAreIgnored() {
        var peer = Peer()
        peer.send(Bytes.headers(1))
        peer.session.ended(0)
        peer.detach(0)
        #expect(peer.session.streams.urgencies == 0)
        peer.send(Bytes.priorityUpdate(1, "u=0"))
        #expect(peer.fault == nil && peer.session.streams.urgencies == 0)
    }

    @Test(arguments: [0, 2, 0x8000_0000] as [UInt32])
    func streamsOfTheServerHaveNone(_ stream: UInt32) {
        var peer = Peer()
        peer.send(Bytes.headers(1) + Bytes.priorityUpdate(stream, "u=0"))
        #expect(peer.fault == ConnectionFault(.protocolError))
    }

    @Test func aServerSendsNone() {
        var peer = Peer(role: .client)
        #expect(peer.open() != nil)
        peer.send(Bytes.priorityUpdate(1, "u=0"))
        #expect(peer.fault == ConnectionFault(.protocolError))
    }

    @Test func noMoreStreamsThanThereMayBe() {
        var limits = SessionLimits()
        limits.concurrentStreams = 3
        var peer = Peer(limits: limits)
        peer.send(Bytes.headers(1) + Bytes.priorityUpdate(3, "u=0") + Bytes.priorityUpdate(5, "u=0"))
        peer.send(Bytes.priorityUpdate(5, "u=1"))
        #expect(peer.fault == nil)
        peer.send(Bytes.priorityUpdate(7, "u=0"))
        #expect(peer.fault == ConnectionFault(.protocolError))
        // Before it has acknowledged our SETTINGS it may not know.
        var early = Peer(limits: limits, greeted: false)
        early.send(Bytes.settings())
        for stream in [1, 3, 5, 7, 9] as [UInt32] { early.send(Bytes.priorityUpdate(stream, "u=0")) }
        #expect(early.fault == nil)
    }

    @Test func behindTheLastStreamThereIsNone() throws {
        var peer = Peer()
        try peer.write { session, now, out throws(ConnectionFault) in session.warn(now: now, into: &out) }
        peer.now = 2_000
        try peer.write { session, now, out throws(ConnectionFault) in try session.tick(now: now, into: &out) }
        peer.send(Bytes.priorityUpdate(1, "u=0"))
        #expect(peer.fault == nil)
    }
}
