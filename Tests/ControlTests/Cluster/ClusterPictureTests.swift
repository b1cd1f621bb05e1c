@testable import Control
import Testing

@Suite("What is known of replicas")
struct ClusterPictureTests {
    private static func presence(
        _ name: String, sequence: UInt64 = 0, file: String = "f", clock: UInt64 = 1_000_000
    ) -> Presence {
        var presence = Presence(replica: name, instance: "i", version: "1", format: 1)
        presence.sequence = sequence
        presence.fingerprint = file
        presence.clock = clock
        return presence
    }

    private func three() -> ClusterPicture {
        var picture = ClusterPicture(own: "a")
        for name in ["a", "b", "c"] { picture.heard(Self.presence(name), at: 0, wall: 1_000_000) }
        return picture
    }

    @Test("Counts who has a change, of those that are there")
    func count() {
        var picture = self.three()
        picture.stored(5, at: 100)
        #expect(picture.count(applied: 5) == ReplicaCount(applied: 0, of: 3))
        picture.heard(Self.presence("a", sequence: 5), at: 110, wall: 1_000_000)
        picture.heard(Self.presence("b", sequence: 7), at: 120, wall: 1_000_000)
        #expect(picture.count(applied: 5) == ReplicaCount(applied: 2, of: 3))
        picture.gone("c", at: 200)
        #expect(picture.count(applied: 5) == ReplicaCount(applied: 2, of: 2))
        // This replica is there, whatever the store says of it.
        picture.present([], at: 300)
        #expect(picture.count(applied: 5) == ReplicaCount(applied: 1, of: 1))
    }

    @Test("Lag is the age of the first change that a replica has not")
    func lag() {
        var picture = self.three()
        picture.stored(1, at: 1_000)
        picture.stored(2, at: 5_000)
        picture.heard(Self.presence("a", sequence: 2), at: 5_000, wall: 1_000_000)
        picture.heard(Self.presence("b", sequence: 1), at: 5_000, wall: 1_000_000)
        let lags = Dictionary(
            uniqueKeysWithValues: picture.replicas(at: 12_000).map { ($0.presence.replica, $0.lag) })
        #expect(lags == ["a": 0, "b": 7_000, "c": 11_000])
        #expect(picture.holds(at: 12_000, hasLeader: true).contains { $0.contains("c lags") })
        #expect(!picture.holds(at: 12_000, hasLeader: true).contains { $0.contains("b lags") })
    }

    @Test("Other files, versions, formats and clocks are told; nothing rises with other files, formats or versions")
    func differences() {
        var picture = self.three()
        #expect(picture.holds(at: 1, hasLeader: true).isEmpty && picture.remarks(at: 1).isEmpty)
        #expect(picture.holds(at: 1, hasLeader: false) == ["no replica leads"])
        picture.heard(Self.presence("b", file: "g"), at: 1, wall: 1_000_000)
        picture.heard(Self.presence("c", clock: 1_006_000), at: 1, wall: 1_000_000)
        #expect(picture.differing(at: 1) == ["b"])
        #expect(picture.remarks(at: 1) == ["b has another file than a", "c has a clock that is 6 s ahead"])
        #expect(picture.holds(at: 1, hasLeader: true) == ["replicas have different files"])
        var other = Self.presence("b")
        other.version = "2"
        picture.heard(other, at: 1, wall: 1_000_000)
        #expect(picture.differing(at: 1) == ["b"])
        #expect(picture.holds(at: 1, hasLeader: true) == ["replicas are of different versions"])
    }

    @Test("Half of those of the last hour must be there; who took leave is not missed")
    func quorum() {
        var picture = self.three()
        picture.gone("b", at: 10)
        #expect(picture.holds(at: 10, hasLeader: true).isEmpty)
        picture.gone("c", at: 10)
        #expect(picture.holds(at: 10, hasLeader: true) == ["1 of the 3 replicas of the last hour are there"])
        var leaving = Self.presence("c")
        leaving.leaving = true
        picture.heard(leaving, at: 20, wall: 0)
        #expect(picture.holds(at: 20, hasLeader: true).isEmpty)
        picture.gone("c", at: 30)
        #expect(picture.replicas(at: 30).map(\.presence.replica) == ["a", "b"])
        #expect(picture.replicas(at: 10 + ClusterPicture.memory).map(\.presence.replica) == ["a"])
    }

    @Test("Of more replicas than are remembered those that are there count, and the ones gone longest are forgotten")
    func crowd() {
        var picture = self.three()
        for number in 0..<ClusterPicture.limit {
            picture.heard(Self.presence("old-\(number)"), at: UInt64(number), wall: 0)
            picture.gone("old-\(number)", at: UInt64(number))
        }
        picture.heard(Self.presence("new"), at: 1_000, wall: 0)
        let present = picture.replicas(at: 1_000).filter(\.isPresent).map(\.presence.replica)
        #expect(present == ["a", "b", "c", "new"])
        #expect(picture.replicas(at: 1_000).count == ClusterPicture.limit)
    }

    @Test("A store that goes back makes nobody late for what is gone")
    func back() {
        var picture = self.three()
        picture.stored(10, at: 0)
        picture.stored(4, at: 1_000)
        for name in ["a", "b", "c"] { picture.heard(Self.presence(name, sequence: 4), at: 1, wall: 1_000_000) }
        #expect(picture.replicas(at: 60_000).allSatisfy { $0.lag == 0 })
    }
}
