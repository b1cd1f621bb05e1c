@testable import Balancer
@testable import Control
import Testing

/// A plan that has passed its first stage's gates, and waits.
private enum PlanFixture {
    static var waiting: MigrationBody {
        func stage(_ number: Int, _ share: Double, _ state: String) -> MigrationBody.Stage {
            MigrationBody.Stage(
                stage: number, kind: "share", share: share, mirror: 0, holdSeconds: 60, approval: number > 1,
                state: state)
        }
        let gate = GateBody(
            gate: "errors", route: nil, verdict: "pass", unit: "percent",
            new: GateBody.Side(bad: 1, of: 400, value: 0.25), old: GateBody.Side(bad: 0, of: 4_000, value: 0),
            estimate: 0.25, interval: nil, tolerance: 0.1, margin: 0.5,
            retreat: PlanEvidence.Test(evidence: 1.234, threshold: 8.19),
            advance: PlanEvidence.Test(evidence: 3.2, threshold: 3), minimum: 100, remainingSeconds: nil,
            differenceClass: nil)
        return MigrationBody(
            name: "api-to-gateway", routes: ["api"], from: "core", to: "gateway", state: "waiting", since: nil,
            stage: 1,
            stageSince: nil, stages: [stage(1, 5, "present"), stage(2, 25, "ahead")], epoch: 1, share: 5, mirror: 0,
            heldSeconds: 60, holdSeconds: 60, next: "approval", remainingSeconds: nil, reason: nil,
            responsible: "alice",
            approvedBy: nil, enforces: true, fourEyes: false, frozen: false, toAvailable: true, fromAvailable: true,
            gates: [gate], thinRoutes: [], retreat: nil, wouldHaveRetreated: false)
    }
}

@Suite("balancer top") struct TopTests {
    private static func text(_ lines: [TopScreen.Line]) -> String { lines.map(\.text).joined(separator: "\n") }

    private static func press(_ model: inout TopModel, _ text: String) -> [TopModel.Action] {
        text.utf8.compactMap { model.take(.key($0)) }
    }

    private static func model(_ change: (inout EventBody) -> Void = { _ in }) -> TopModel {
        var model = TopModel()
        _ = model.take(.state(EventFixture.event(change)))
        return model
    }

    @Test("One screen: the sentence, what each side was given beside what is set, sides, who is not up, last changes")
    func screen() {
        let event = EventFixture.event {
            $0.routes[0].sides[0].requestsPerSecond = 300
            $0.routes[0].sides[1].requestsPerSecond = 100
            $0.sides[0].flow.p99Milliseconds = 1_234
            $0.troubles = [EventFixture.trouble("gateway", "10.1.2.3:3301")]
            $0.sentence = Sentence($0)
        }
        let text = Self.text(TopScreen(event: event).lines(columns: nil))
        #expect(text.hasPrefix("[look] Serving 412 requests/s. core 75 %, gateway 25 % as set. gateway: 1 of 3"))
        let bar = String(repeating: "█", count: 18) + "|" + String(repeating: "·", count: 6)
        #expect(text.contains("api    400         core     75 %  75 %  75 %   \(bar)"))
        #expect(text.contains("1.2 s"))
        #expect(text.contains("10.1.2.3:3301  gateway  down   4 min  connection refused"))
    }

    @Test("A long sentence is broken at blanks; what a terminal would obey is made visible")
    func safe() {
        let event = EventFixture.event {
            $0.sentence = Sentence(level: .calm, text: "a\u{1B}[31m " + String(repeating: "word ", count: 40))
        }
        let lines = TopScreen(event: event).lines(columns: 60)
        #expect(lines.prefix(4).allSatisfy { $0.text.count <= 60 })
        #expect(lines[0].text.hasPrefix("[well] a\\u001b[31m word"))
    }

    @Test(
        "Bars have their mark where the weight is set", arguments: [(0.5, 0.5, 12, 12), (0, 1, 0, 24), (1, 0, 24, 0)])
    func bars(share: Double, set: Double, filled: Int, mark: Int) {
        var cells = Array(repeating: "█", count: filled) + Array(repeating: "·", count: 24 - filled)
        cells.insert("|", at: mark)
        #expect(TopScreen.bar(share, set: set) == cells.joined())
    }

    @Test("q and Ctrl-C quit; the journal is read when it has changed, and only then")
    func keys() {
        var model = TopModel()
        #expect(model.take(.state(EventFixture.event())) == .readJournal)
        #expect(model.take(.state(EventFixture.event())) != .readJournal)
        #expect(model.take(.state(EventFixture.event { $0.journal = 8 })) == .readJournal)
        #expect(model.take(.key(UInt8(ascii: "q"))) == .quit)
        #expect(model.take(.key(3)) == .quit)
        #expect(model.take(.stop) == .quit)
    }

    @Test("r asks why, and takes everything to the side that works; nothing happens without a reason")
    func retreat() throws {
        var model = Self.model()
        #expect(Self.press(&model, "r\r").isEmpty)
        #expect(Self.text(model.lines(columns: 80, rows: 40)).hasSuffix("api: everything to core. Why? (Esc: not) _"))
        // What is typed is text here: q is no key, and a character of several bytes is taken back as a whole.
        #expect(Self.press(&model, "qö\u{7F}").isEmpty)
        let actions = Self.press(&model, "uick\r")
        let offer = try #require(RetreatOffer(EventFixture.event()))
        #expect(offer == RetreatOffer(EventFixture.event()) && offer.to == "core")
        #expect(offer.routes == [RetreatOffer.Route(name: "api", weights: ["core": 100, "gateway": 0])])
        #expect(actions == [.retreat(offer, reason: "quick", force: false)])
        #expect(model.take(.retreated(["api: the guard objects"])) == nil)
        #expect(
            Self.text(model.lines(columns: 80, rows: 40)).hasSuffix("the guard objects. Do it in spite of that? y/n"))
        #expect(Self.press(&model, "y") == [.retreat(offer, reason: "quick", force: true)])
        _ = model.take(.retreated([]))
        #expect(Self.text(model.lines(columns: 80, rows: 40)).contains("everything is sent to core · q quits"))
    }

    @Test("Escape asks no more; a viewer, a lost connection and a retreat that has happened have their words")
    func noRetreat() {
        var model = Self.model()
        #expect(Self.press(&model, "rno\u{1B}q") == [.quit])
        _ = model.take(.lost("connection refused"))
        _ = model.take(.tick)
        #expect(Self.press(&model, "r").isEmpty)
        let text = Self.text(model.lines(columns: 80, rows: 40))
        #expect(
            text.contains("connection lost for 1 s (connection refused)")
                && text.contains("not while the connection is lost"))
        var done = Self.model { $0.routes = [EventFixture.route(core: (1, 1), gateway: (0, 0))] }
        #expect(Self.press(&done, "r").isEmpty)
        #expect(Self.text(done.lines(columns: 80, rows: 40)).contains("nothing to retreat from"))
        #expect(
            !Self.text(Self.model().lines(columns: 80, rows: 3)).contains("SIDE "),
            "no more lines than there is room for")
    }

    @Test("On a narrow terminal a question keeps its end, and what is typed is seen")
    func narrow() {
        var model = Self.model {
            $0.routes = (0..<12).map { EventFixture.route("route-with-a-name-\($0)") }
        }
        _ = Self.press(&model, "r" + String(repeating: "x", count: 100) + "end")
        let lines = model.lines(columns: 40, rows: 20)
        #expect(lines.count <= 20 && lines.allSatisfy { $0.text.count <= 40 || !$0.text.contains("x") })
        #expect(lines.last?.text.hasSuffix("end_") == true)
        _ = Self.press(&model, "\r")
        _ = model.take(.retreated([String(repeating: "the guard objects ", count: 20)]))
        #expect(Self.text(model.lines(columns: 40, rows: 20)).hasSuffix("y/n"))
        #expect(model.lines(columns: 40, rows: 3).count == 3)
        #expect(Self.text(model.lines(columns: 40, rows: 3)).hasSuffix("y/n"))
    }

    @Test("A retreat that the other replicas cannot be asked for is offered for this one alone")
    func alone() throws {
        var model = Self.model()
        _ = Self.press(&model, "rwhy\r")
        _ = model.take(.retreated(["api: cluster-unreachable: nothing is changed without the other replicas"]))
        #expect(
            Self.text(model.lines(columns: 200, rows: 40)).hasSuffix("Everything to core on this balancer alone? y/n"))
        let offer = try #require(RetreatOffer(EventFixture.event()))
        #expect(Self.press(&model, "y") == [.retreat(offer, reason: "why", force: false, alone: true)])
    }

    @Test("Plans are read while there are some; a approves the one that waits, after a question")
    func approval() {
        var model = Self.model()
        #expect(model.take(.state(EventFixture.event())) == .readPlans(3))
        #expect(Self.press(&model, "a").isEmpty)
        #expect(Self.text(model.lines(columns: 80, rows: 40)).contains("no plan waits for approval"))
        #expect(model.take(.plans([PlanFixture.waiting], generation: 3)) == nil)
        let text = Self.text(model.lines(columns: 200, rows: 40))
        #expect(text.contains("api-to-gateway  waiting  stage 1 of 2") && text.contains("a approves api-to-gateway"))
        #expect(text.contains("errors  pass") && text.contains("0.25 %"))
        #expect(Self.press(&model, "an").isEmpty)
        #expect(Self.text(model.lines(columns: 80, rows: 40)).contains("nothing was approved"))
        #expect(Self.press(&model, "a").isEmpty)
        #expect(
            Self.text(model.lines(columns: 80, rows: 40)).hasSuffix("api-to-gateway takes 25 % live. Approve? y/n"))
        #expect(Self.press(&model, "y") == [.approve("api-to-gateway")])
        #expect(model.take(.approved(["api-to-gateway: four eyes"])) == .readPlans(3))
        #expect(Self.text(model.lines(columns: 80, rows: 40)).contains("four eyes"))
        _ = model.take(.state(EventFixture.event()))
        #expect(model.take(.state(EventFixture.event())) == .readPlans(3))
        // None is left, and none is asked for until there is another table.
        _ = model.take(.plans([], generation: 3))
        for _ in 0..<5 { #expect(model.take(.state(EventFixture.event())) == nil) }
        #expect(model.take(.state(EventFixture.event { $0.generation = 4 })) == .readPlans(4))
    }

    @Test("Replicas are told of: how many have what is in force, who leads, what differs")
    func replicas() {
        let event = EventFixture.event {
            $0.cluster = EventBody.Cluster(
                replica: "b", leader: "a", present: 3, settled: 2, cutOffSeconds: nil, reason: "",
                remarks: ["c has another file than b"])
        }
        let text = Self.text(TopScreen(event: event).lines(columns: nil))
        #expect(text.contains("replicas: 3, 2 of them with the last change in force; a leads; this is b"))
        #expect(text.contains("  c has another file than b"))
    }

    @Test("A retreat leads to the other side where the first is the one that is ill")
    func ill() {
        let dead = EventFixture.event { $0.sides[0].availableEndpoints = 0 }
        #expect(RetreatOffer(dead)?.to == "gateway")
        let failing = EventFixture.event { $0.sides[0].flow.errors = 0.5 }
        #expect(RetreatOffer(failing)?.to == "gateway")
        let both = EventFixture.event {
            $0.sides[0].availableEndpoints = 0
            $0.sides[1].availableEndpoints = 0
        }
        #expect(RetreatOffer(both)?.to == "core")
    }

    @Test("A stream is cut into messages, however its bytes come; comments are none")
    func cutting() throws {
        let text = "retry: 1000\n\nevent: welcome\ndata: {\"a\":1}\n\n: hello\n\nevent: state\ndata: x\ndata: y\n\n"
        let expected = [
            EventCutter.Message(event: "welcome", data: Array("{\"a\":1}".utf8)),
            EventCutter.Message(event: "state", data: Array("xy".utf8)),
        ]
        for size in [1, 7, 1_000] {
            var cutter = EventCutter()
            var found: [EventCutter.Message] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                found += try cutter.take(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            #expect(found == expected)
        }
        var small = EventCutter(limit: 8)
        let long = Result { try small.take(Array("data: 123".utf8)) }
        #expect((try? long.get()) == nil)
    }
}
