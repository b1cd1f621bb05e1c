@testable import Control
import JSONText
import Testing

/// What replicas tell of each other, and the objects they write.
@Suite("Facts of a cluster") struct ClusterFactTests {
    private static func presence(_ name: String, _ change: (inout Presence) -> Void = { _ in }) -> Presence {
        var presence = Presence(replica: name, instance: "i", version: "1", format: 1)
        presence.fingerprint = "f"
        presence.clock = 1_000_000
        change(&presence)
        return presence
    }

    @Test(
        "A change that is told again keeps the moment at which it was seen first; a store that went back begins anew there"
    )
    func stored() {
        func lag(_ steps: [(sequence: UInt64, at: UInt64)], has: UInt64, at now: UInt64) -> UInt64? {
            var picture = ClusterPicture(own: "a")
            picture.heard(Self.presence("a") { $0.sequence = has }, at: 0, wall: 1_000_000)
            for step in steps { picture.stored(step.sequence, at: step.at) }
            return picture.replicas(at: now).first?.lag
        }
        #expect(lag([(1, 10), (2, 20), (2, 30)], has: 1, at: 100) == 80)
        #expect(lag([(1, 10), (2, 20), (2, 30)], has: 2, at: 100) == 0)
        #expect(lag([(1, 10), (2, 20), (3, 30), (2, 40)], has: 1, at: 100) == 80, "it was known all the time")
        #expect(lag([(1, 10), (3, 30), (2, 40)], has: 1, at: 100) == 60)
        #expect(lag([(1, 10), (3, 30), (2, 40)], has: 2, at: 100) == 0)
        #expect(lag([(1, 10), (3, 30), (2, 40), (3, 50)], has: 2, at: 100) == 50)
        // Of so many changes the oldest are forgotten, and what is still known counts.
        let many = (1...300).map { (sequence: UInt64($0), at: UInt64($0)) }
        #expect(lag(many, has: 0, at: 300) == 300 - 45)
    }

    @Test("Each remark about a replica, in words") func remarks() {
        func say(_ change: (inout Presence) -> Void, _ body: (inout ClusterPicture) -> Void = { _ in }) -> [String] {
            var picture = ClusterPicture(own: "a")
            picture.heard(Self.presence("a"), at: 0, wall: 1_000_000)
            picture.heard(Self.presence("b", change), at: 0, wall: 1_000_000)
            body(&picture)
            return picture.remarks(at: 20_000)
        }
        #expect(say { _ in } == [])
        #expect(say { $0.fingerprint = "g" } == ["b has another file than a"])
        #expect(say { $0.version = "2" } == ["b is version 2, not 1"])
        #expect(say { $0.format = 2 } == ["b knows format 2 of the live state, not 1"])
        #expect(say { $0.trouble = "T" } == ["b does not take the live state on: T"])
        #expect(say { $0.clock = 1_005_000 } == [] && say { $0.clock = 995_000 } == [])
        #expect(say { $0.clock = 1_005_001 } == ["b has a clock that is 5 s ahead"])
        #expect(say { $0.clock = 992_000 } == ["b has a clock that is 8 s behind"])
        #expect(
            say({ $0.sequence = 0 }) { $0.stored(1, at: 9_999) } == [
                "a lags behind for 10 s", "b lags behind for 10 s",
            ])
        #expect(say({ $0.sequence = 0 }) { $0.stored(1, at: 10_000) } == [])
        #expect(say({ $0.sequence = 1 }) { $0.stored(1, at: 1_000) } == ["a lags behind for 19 s"])
        var picture = ClusterPicture(own: "a")
        picture.heard(Self.presence("a"), at: 0, wall: 1_000_000)
        picture.heard(Self.presence("b") { $0.format = 2 }, at: 0, wall: 1_000_000)
        #expect(picture.holds(at: 1, hasLeader: true) == ["replicas know different formats"])
        #expect(picture.differing(at: 1) == ["b"])
    }

    @Test("Objects of the Kubernetes API, letter by letter") func objects() throws {
        let owner = try #require(Kubernetes.Owner(["POD_NAME": "pod-1", "POD_UID": "u-1"]))
        for environment in [["POD_NAME": "pod-1"], ["POD_UID": "u"], ["POD_NAME": "", "POD_UID": "u"], [:]] {
            #expect(Kubernetes.Owner(environment) == nil)
        }
        let plain = Kubernetes.metadata("n", cluster: "c", version: nil)
        #expect(
            String(decoding: plain.bytes, as: UTF8.self)
                == #"{"name":"n","labels":{"balancer.w3f/cluster":"c"}}"#)
        let whole = Kubernetes.metadata(
            "n", cluster: "c", version: 7, presence: Array("{\"a\":1}".utf8), owner: owner)
        let metadata =
            #"{"name":"n","labels":{"balancer.w3f/cluster":"c"},"resourceVersion":"7","annotations":{"#
            + #""balancer.w3f/presence":"{\"a\":1}"},"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"pod-1","#
            + #""uid":"u-1"}]}"#
        #expect(String(decoding: whole.bytes, as: UTF8.self) == metadata)
        #expect(
            String(decoding: Kubernetes.configMap(plain, "k", Array("t".utf8)), as: UTF8.self)
                == #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"n","labels":{"balancer.w3f/cluster":"c"}},"#
                + #""data":{"k":"t"}}"#)
        #expect(
            String(
                decoding: Kubernetes.lease(
                    plain, holder: "h", seconds: 15, transitions: 3, at: 1_767_323_045_678), as: UTF8.self)
                == #"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"n","labels":{"#
                + #""balancer.w3f/cluster":"c"}},"spec":{"holderIdentity":"h","leaseDurationSeconds":15,"#
                + #""renewTime":"2026-01-02T03:04:05.678000Z","leaseTransitions":3}}"#)
    }

    @Test("Each event of a store is as new as it says") func revisions() {
        let events: [StoreEvent] = [
            .document(StoredDocument(bytes: [], revision: 1)), .documentGone(revision: 2),
            .presence(replica: "a", bytes: [], revision: 3), .gone(replica: "a", revision: 4),
            .leader(nil, revision: 5), .progress(revision: 6),
        ]
        #expect(events.map(\.revision) == [1, 2, 3, 4, 5, 6])
    }
}
