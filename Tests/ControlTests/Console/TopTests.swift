@testable import Balancer
@testable import Control
import Testing

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
        #expect(model.take(.state(EventFixture.event())) == nil)
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
