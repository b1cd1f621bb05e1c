@testable import Control
import Testing

@Suite("Sentence") struct SentenceTests {
    private static func say(_ change: (inout EventBody) -> Void = { _ in }) -> Sentence {
        Sentence(EventFixture.event(change))
    }

    @Test("All is well: how much, split how, and that nothing is wrong")
    func calm() {
        #expect(
            Self.say()
                == Sentence(
                    level: .calm, text: "Serving 412 requests/s. core 75 %, gateway 25 % as set. Nothing is wrong."))
        #expect(
            Self.say { $0.requestsPerSecond = 0 }.text
                == "Ready; no requests in the last 10 s. core 75 %, gateway 25 % as set. Nothing is wrong.")
        #expect(
            Self.say { $0.routes = [] }.text == "Serving 412 requests/s. Nothing is wrong.", "nothing is split")
    }

    @Test("Endpoints that are down: how many, since when, why, and who carries their share")
    func down() {
        let some = Self.say {
            $0.sides[1].availableEndpoints = 2
            $0.troubles = [EventFixture.trouble("gateway", "10.1.2.3:3301")]
        }
        #expect(some.level == .attention)
        #expect(
            some.text
                == "Serving 412 requests/s. core 75 %, gateway 25 % as set. gateway: 1 of 3 endpoints down for 4 min "
                + "(connection refused at 10.1.2.3:3301); the others of gateway carry its share.")
        let all = Self.say {
            $0.sides[1].availableEndpoints = 0
            $0.routes = [EventFixture.route(core: (0.75, 1), gateway: (0.25, 0))]
            $0.troubles = (1...3).map { EventFixture.trouble("gateway", "10.1.2.\($0):3301", seconds: UInt64($0)) }
        }
        #expect(all.level == .trouble)
        #expect(
            all.text
                == "Serving 412 requests/s. core 100 %, gateway 0 % now, where core 75 %, gateway 25 % is set. gateway: all 3 "
                + "endpoints down for 3 s (connection refused at 10.1.2.3:3301); its share is carried by the others.")
    }

    @Test("Without fail-over, or where nobody else is left, its share is answered 503")
    func unserved() {
        let strict = Self.say {
            $0.sides[1].availableEndpoints = 0
            $0.routes = [EventFixture.route(gateway: (0.25, 0), failover: false)]
            $0.troubles = (1...3).map { EventFixture.trouble("gateway", "10.1.2.\($0):3301") }
        }
        #expect(strict.level == .trouble && strict.text.hasSuffix("; its share is answered 503."), "\(strict.text)")
        let nobody = Self.say {
            $0.routes = [EventFixture.route(core: (0.75, 0), gateway: (0.25, 0))]
        }
        #expect(nobody.level == .trouble)
        #expect(nobody.text.hasSuffix("api answers 503: no endpoint of core, gateway is available."), "\(nobody.text)")
    }

    @Test("Replicas that cannot be asked, or differ, are told of")
    func replicas() {
        func cluster(_ seconds: UInt64?, _ remarks: [String] = []) -> EventBody.Cluster {
            EventBody.Cluster(
                replica: "a", leader: "a", present: 3, settled: 3, cutOffSeconds: seconds,
                reason: seconds == nil ? "" : "etcd does not answer", remarks: remarks)
        }
        #expect(Self.say { $0.cluster = cluster(nil) }.level == .calm)
        let cut = Self.say { $0.cluster = cluster(300, ["b is version 2, not 1"]) }
        #expect(
            cut.level == .attention
                && cut.text.hasSuffix(
                    "Changes cannot be agreed on with the other replicas for 5 min (etcd does not answer): they are refused, and "
                        + "what is in force stays."),
            "\(cut.text)")
        let differ = Self.say { $0.cluster = cluster(nil, ["b has another file than a", "c lags behind for 12 s"]) }
        #expect(
            differ.level == .attention
                && differ.text.hasSuffix("Of the replicas, b has another file than a, and 1 more."), "\(differ.text)")
    }

    @Test("A side that no route sends anything to is nobody's trouble")
    func unweighted() {
        let sentence = Self.say {
            $0.sides.append(EventFixture.side("spare", available: 0, isWeighted: false))
            $0.troubles = (1...3).map { EventFixture.trouble("spare", "10.1.9.\($0):1") }
        }
        #expect(sentence.level == .attention)
        #expect(sentence.text.hasSuffix("no route sends anything there."))
    }

    @Test("What an operator has done himself is told without alarm")
    func maintenance() {
        let sentence = Self.say {
            $0.sides[1].availableEndpoints = 2
            $0.troubles = [EventFixture.trouble("gateway", "10.1.2.3:3301", "maintenance", cause: "x", seconds: 7_300)]
        }
        #expect(sentence.level == .attention)
        #expect(
            sentence.text.hasSuffix(
                "gateway: 1 of 3 endpoints in maintenance for 2 h; the others of gateway carry its share."))
    }

    @Test("Errors are told from one in a hundred on, of no fewer than twenty attempts")
    func errors() {
        func errors(_ part: Double, of attempts: UInt64) -> Sentence {
            Self.say {
                $0.sides[1].flow.errors = part
                $0.sides[1].flow.attempts = attempts
            }
        }
        #expect(errors(0.12, of: 50).level == .trouble)
        #expect(errors(0.12, of: 50).text.hasSuffix("gateway: 12 % of its answers are errors."))
        #expect(errors(0.02, of: 50).level == .attention)
        #expect(errors(0.009, of: 5_000).level == .calm)
        #expect(errors(1, of: 19).level == .calm)
    }

    @Test(
        "Draining, not serving, a rejected file, a journal that fails: each has its words; two are told, the rest counted"
    )
    func others() {
        let draining = Self.say { $0.draining = true }
        #expect(draining.text.hasPrefix("Draining: nothing new is taken, 3 requests under way."))
        let unready = Self.say { $0.unready = "no routing table is in force yet" }
        #expect(unready.level == .trouble && unready.text.hasPrefix("Not serving: no routing table is in force yet."))
        let many = Self.say {
            $0.loadProblems = 1
            $0.loadProblem = "line 3: $.routs: unknown key"
            $0.journalTrouble = "disk full"
            $0.stale = ["gateway", "core"]
            $0.sides[1].flow.errors = 0.5
        }
        #expect(many.level == .trouble)
        #expect(
            many.text.hasSuffix(
                "gateway: 50 % of its answers are errors. The file was rejected (1 problem: line 3: $.routs: unknown key); "
                    + "what was in force stays. 2 more."), "\(many.text)")
    }

    @Test("Several routes: together where they are alike, by name where two are not, counted where there are more")
    func routes() {
        let alike = Self.say { $0.routes = [EventFixture.route("a"), EventFixture.route("b")] }
        #expect(alike.text.contains(" core 75 %, gateway 25 % as set. "))
        let two = Self.say {
            $0.routes = [EventFixture.route("a"), EventFixture.route("b", core: (1, 1), gateway: (0, 0))]
        }
        #expect(two.text.contains("a: core 75 %, gateway 25 % as set. b: core 100 %, gateway 0 % as set."))
        let three = Self.say {
            $0.routes = [
                EventFixture.route("a"), EventFixture.route("b", core: (1, 1), gateway: (0, 0)),
                EventFixture.route("c", core: (0.5, 1), gateway: (0.5, 0)),
            ]
        }
        #expect(three.text.contains("3 routes, c not as set."))
    }

    @Test(
        "Numbers as people read them",
        arguments: [
            (0.0, "0"), (0.04, "0.1"), (0.44, "0.4"), (5, "5"), (9.94, "9.9"), (9.96, "10"), (12_345.4, "12,345"),
        ])
    func rates(rate: Double, text: String) { #expect(Words.rate(rate) == text) }

    @Test(
        "What is little is not shown as nothing, nor what is nearly all as all",
        arguments: [
            (0.0, "0 %"), (0.000_01, "0.1 %"), (0.001, "0.1 %"), (0.25, "25 %"), (0.999_99, "99.9 %"), (1, "100 %"),
        ])
    func percents(share: Double, text: String) { #expect(Words.percent(share) == text) }

    @Test(
        "Durations",
        arguments: [
            (UInt64(0), "0 s"), (89, "89 s"), (90, "2 min"), (240, "4 min"), (5_399, "90 min"), (5_400, "2 h"),
            (172_799, "48 h"), (172_800, "2 days"),
        ])
    func durations(seconds: UInt64, text: String) { #expect(Words.duration(seconds) == text) }
}
