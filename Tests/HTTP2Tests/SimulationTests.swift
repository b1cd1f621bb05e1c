import HTTP2
import TestSupport
import Testing

/// A peer that sends anything, in pieces of any size, and a carrier that does what it is told. Seeds are fixed: a run can be
/// repeated.
@Suite struct SimulationTests {
    private func anyFrame(_ random: inout SplitMix, _ next: inout UInt32) -> [UInt8] {
        let stream = UInt32.random(in: 0...next + 2, using: &random)
        switch Int.random(in: 0..<24, using: &random) {
        case 0...6:
            next += 2
            return Bytes.headers(next - 2, isEnd: Bool.random(using: &random))
        case 7...12:
            return Bytes.data(stream | 1, Int.random(in: 0...2_000, using: &random), isEnd: Bool.random(using: &random))
        case 13: return Bytes.reset(stream | 1)
        case 14: return Bytes.windowUpdate(stream, UInt32.random(in: 0...70_000, using: &random))
        case 15: return Bytes.settings([(4, UInt32.random(in: 0...200_000, using: &random))])
        case 16: return Bytes.ping()
        case 17: return Bytes.headers(stream | 1, isEnd: Bool.random(using: &random))
        case 18: return Bytes.frame(FrameType.priority, stream: stream, [0, 0, 0, 0, 1])
        case 20:
            return Bytes.priorityUpdate(stream | 1, "u=\(Int.random(in: 0...9, using: &random))")
        case 19:
            return Bytes.frame(
                UInt8.random(in: 0...255, using: &random), flags: UInt8.random(in: 0...255, using: &random),
                stream: stream,
                (0..<Int.random(in: 0...20, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) })
        default: return Bytes.data(next > 2 ? next - 2 : 1, 100)
        }
    }

    @Test(arguments: 0..<400) func invariantsHold(_ seed: UInt64) {
        var random = SplitMix(seed)
        var limits = SessionLimits()
        limits.concurrentStreams = Int.random(in: 1...20, using: &random)
        var peer = Peer(limits: limits)
        try? peer.write { session, _, out throws(ConnectionFault) in session.begin(into: &out) }
        var next: UInt32 = 1
        var open: Set<Int> = []
        for _ in 0..<300 where peer.fault == nil {
            peer.now += UInt64.random(in: 0...200, using: &random)
            peer.steps = []
            let bytes = self.anyFrame(&random, &next)
            let cut = Int.random(in: 0...bytes.count, using: &random)
            peer.send(Array(bytes[..<cut]))
            peer.send(Array(bytes[cut...]))
            for step in peer.steps {
                switch step {
                case .request(let slot, _): #expect(open.insert(slot).inserted, "a slot was given twice")
                case .trailers(let slot, _), .windowOpened(let slot): #expect(open.contains(slot))
                case .data(let slot, let content, _):
                    #expect(open.contains(slot))
                    if Bool.random(using: &random) {
                        try? peer.write { session, _, out throws(ConnectionFault) in
                            session.left(slot, content.count, into: &out)
                        }
                    }
                case .reset(let slot), .discard(_, .some(let slot)):
                    #expect(open.remove(slot) != nil)
                    peer.detach(slot)
                case .discard, .windowsOpened, .none: break
                case .answer, .leaving: Issue.record("a client's")
                }
            }
            self.answerSome(&peer, &open, &random)
            #expect(peer.session.streams.count <= limits.concurrentStreams)
            #expect(open.count <= peer.session.streams.count)
            var urgencies: UInt8 = 0
            for slot in 0..<peer.session.streams.slots where !peer.session.streams.isFree(slot) {
                urgencies |= 1 << peer.session.streams[slot].urgency
            }
            #expect(peer.session.streams.urgencies == urgencies)
        }
        guard peer.fault == nil else { return }
        for slot in open {
            try? peer.write { session, now, out throws(ConnectionFault) in
                try session.reset(slot, .cancel, isCharged: false, now: now, into: &out)
            }
            peer.detach(slot)
        }
        #expect(peer.session.streams.isEmpty == true, "a stream without an exchange stayed")
    }

    /// Ends some exchanges: with an answer, or reset.
    private func answerSome(_ peer: inout Peer, _ open: inout Set<Int>, _ random: inout SplitMix) {
        for slot in open.sorted() where Int.random(in: 0..<4, using: &random) == 0 {
            let room = peer.session.room(slot)
            #expect(room >= 0)
            if room > 0 { peer.session.sent(slot, Int.random(in: 1...room, using: &random)) }
            open.remove(slot)
            try? peer.write { session, now, out throws(ConnectionFault) in
                if Bool.random(using: &random) {
                    session.ended(slot)
                    try session.reset(slot, .noError, isCharged: false, now: now, into: &out)
                } else {
                    try session.reset(slot, .internalError, isCharged: false, now: now, into: &out)
                }
            }
            peer.detach(slot)
        }
    }
}
