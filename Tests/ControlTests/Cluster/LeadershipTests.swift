@testable import Control
import TestSupport
import Testing

@Suite("Leadership")
struct LeadershipTests {
    private let one = ClusterFence(token: 1)
    private let two = ClusterFence(token: 2)

    @Test("Is used for two thirds of what is lent, from before it was asked for")
    func twoThirds() {
        var leadership = Leadership(lease: 9_000)
        #expect(leadership.standing(at: 0) == .follows)
        leadership.lent(self.one, asked: 1_000)
        #expect(leadership.standing(at: 6_999) == .elected)
        leadership.wrote(term: 4, under: self.one)
        #expect(leadership.standing(at: 6_999) == .leads(term: 4))
        #expect(leadership.standing(at: 7_000) == .follows && leadership.fence(at: 7_000) == nil)
        // Renewed late, it goes on in the same term: nobody else can have led.
        leadership.lent(self.one, asked: 8_000)
        #expect(leadership.standing(at: 8_001) == .leads(term: 4))
    }

    @Test("Lent anew it is another term; an answer that comes late shortens nothing")
    func anew() {
        var leadership = Leadership(lease: 9_000)
        leadership.lent(self.one, asked: 1_000)
        leadership.wrote(term: 4, under: self.one)
        leadership.lent(self.one, asked: 500)
        #expect(leadership.standing(at: 6_900) == .leads(term: 4))
        leadership.lent(self.two, asked: 2_000)
        #expect(leadership.standing(at: 2_001) == .elected)
        // The write of the former one.
        leadership.wrote(term: 5, under: self.one)
        #expect(leadership.standing(at: 2_001) == .elected)
    }

    @Test("A later term in the document ends it, its own and earlier ones do not")
    func deposed() {
        var leadership = Leadership(lease: 9_000)
        leadership.lent(self.one, asked: 0)
        leadership.saw(term: 9)
        #expect(leadership.standing(at: 1) == .elected)
        leadership.wrote(term: 10, under: self.one)
        leadership.saw(term: 10)
        leadership.saw(term: 3)
        #expect(leadership.standing(at: 1) == .leads(term: 10))
        leadership.saw(term: 11)
        #expect(leadership.standing(at: 1) == .follows)
    }

    @Test("Of two who ask in turn, never two lead at once, whatever pauses and answers do")
    func neverTwo() {
        for seed in 0..<200 as Range<UInt64> {
            var random = SplitMix(seed)
            let lease: UInt64 = 9_000
            var now: UInt64 = 0
            // The store's side: who has it, until when, in which round.
            var holder = -1
            var until: UInt64 = 0
            var round: UInt64 = 0
            var members = [Leadership(lease: lease), Leadership(lease: lease)]
            // An answer that is on its way: to whom, when it was asked, with what.
            var answers: [(member: Int, asked: UInt64, fence: ClusterFence?, arrives: UInt64)] = []
            for _ in 0..<400 {
                now += random.next() % 3_000
                for answer in answers where answer.arrives <= now {
                    if let fence = answer.fence {
                        members[answer.member].lent(fence, asked: answer.asked)
                    } else {
                        members[answer.member].lost()
                    }
                }
                answers.removeAll { $0.arrives <= now }
                let member = Int(random.next() % 2)
                let delay = random.next() % 12_000
                // The store takes the question somewhere on its way, in order.
                if now >= until { holder = -1 }
                if holder == -1 {
                    holder = member
                    round += 1
                }
                if holder == member { until = now + lease }
                answers.append((member, now, holder == member ? ClusterFence(token: round) : nil, now + delay))
                let leading = members.indices.filter { members[$0].standing(at: now) != .follows }
                #expect(leading.count <= 1, "seed \(seed) at \(now)")
            }
        }
    }
}
