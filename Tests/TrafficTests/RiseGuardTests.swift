import Testing
@testable import Traffic

@Suite struct RiseGuardTests {
    /// A side against which nothing speaks.
    private static func side(_ edit: (inout RisingSide) -> Void = { _ in }) -> RisingSide {
        var side = RisingSide(
            upstream: "gateway", share: 0.5, endpoints: 4, availableEndpoints: 2, attempts: 200, failed: 1,
            othersAttempts: 1_000, othersFailed: 5, outstanding: 80, maxOutstanding: 100, evidence: 4.6)
        edit(&side)
        return side
    }

    private static func reasons(_ edit: (inout RisingSide) -> Void = { _ in }) -> [GuardReason] {
        GuardSpec().objections(to: Self.side(edit)).map(\.reason)
    }

    @Test("Each bound holds on its own, and is reached exactly")
    func bounds() {
        #expect(Self.reasons() == [])
        #expect(Self.reasons { $0.availableEndpoints = 1 } == [.available])
        #expect(Self.reasons { ($0.endpoints, $0.availableEndpoints) = (0, 0) } == [.available])
        #expect(Self.reasons { $0.attempts = 199 } == [.minimum])
        #expect(Self.reasons { $0.outstanding = 80.1 } == [.headroom])
        #expect(Self.reasons { $0.evidence = 4.61 } == [.failing])
        #expect(
            Self.reasons {
                ($0.availableEndpoints, $0.attempts, $0.outstanding, $0.evidence) = (0, 0, 1_000, 9)
            } == [.available, .minimum, .headroom, .failing])
    }

    @Test("A trial of one percent needs no sample; without a cap or a measure there is no headroom to keep")
    func exceptions() {
        #expect(Self.reasons { ($0.attempts, $0.share) = (0, 0.01) } == [])
        #expect(Self.reasons { ($0.attempts, $0.share) = (0, 0.010001) } == [.minimum])
        #expect(Self.reasons { ($0.outstanding, $0.maxOutstanding) = (1e9, 0) } == [])
        #expect(Self.reasons { $0.outstanding = nil } == [])
    }

    @Test("Objections have the numbers in them")
    func words() {
        let objections = GuardSpec().objections(
            to: Self.side {
                ($0.availableEndpoints, $0.attempts, $0.failed, $0.outstanding, $0.evidence) = (1, 12, 7, 91.25, 9)
            })
        #expect(objections.allSatisfy { $0.upstream == "gateway" })
        #expect(
            objections.map(\.message) == [
                "1 of its 4 endpoints are available, and 50 % must be",
                "it was tried 12 times in the last 15 minutes, and must have been 200 times for more than 1 % (begin with that)",
                "each of its endpoints would have 91.3 requests under way, and 80.0 are 80 % of its maxOutstanding of 100",
                "7 of its 12 requests of the last 15 minutes failed, and 5 of the others' 1000",
            ])
    }

    @Test("The part of keys that move is exactly the one that the split moves")
    func movedKeys() {
        #expect(ShareMove.moved(from: [90, 10], to: [50, 50]) == 0.4)
        #expect(abs(ShareMove.moved(from: [1, 0], to: [1, 3]) - 0.75) < 1e-12)
        #expect(ShareMove.moved(from: [1, 2, 3], to: [1, 2, 3]).magnitude < 1e-12)
        #expect(ShareMove.moved(from: [1, 0], to: [0, 1]) == 1)
        for (before, after) in [([5, 3, 2], [2, 3, 5]), ([10, 0, 1], [1, 1, 1])] as [([UInt32], [UInt32])] {
            func split(_ weights: [UInt32]) -> Split {
                Split(
                    weights.enumerated().map { SplitEntry(upstream: "u\($0.offset)", weight: $0.element) }, route: "r",
                    upstreams: ["u0": 0, "u1": 1, "u2": 2])
            }
            let (old, new) = (split(before), split(after))
            var random = SplitMix64(seed: 3)
            let moved = (0..<20_000).count { _ in
                let key = random.next()
                return old.rendezvous(key: key, available: .max) != new.rendezvous(key: key, available: .max)
            }
            #expect(abs(Double(moved) / 20_000 - ShareMove.moved(from: before, to: after)) < 0.012)
        }
    }
}
