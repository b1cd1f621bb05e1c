@testable import Control
import JSONText
import TestSupport
import Testing
import Traffic

@Suite("The document that replicas share")
struct LiveDocumentTests {
    static func change(_ id: String, detail: String = "core 1→2") -> SharedChange {
        SharedChange(
            id: id, at: 1_767_323_045_000, replica: "a", origin: ChangeOrigin(.api, who: "alice"), what: .weights,
            subject: "api", detail: detail, reason: "because",
            before: Position(weights: ["core": 1], fileWeights: ["core": 1]),
            after: Position(weights: ["core": 2], fileWeights: ["core": 1]))
    }

    static let key = EndpointKey(upstream: "core", address: Sample.address(3300))

    private func sample() -> LiveDocument {
        var edit = SharedEdit()
        edit.routes["api"] = LiveDocument.Split(weights: ["core": 2], fileWeights: ["core": 1])
        edit.endpoints[Self.key] = .drain
        return LiveDocument().edited(by: edit, changes: [Self.change("one"), Self.change("two")])
    }

    @Test("What is written is read again, and changes have numbers that grow")
    func roundTrip() throws {
        let document = self.sample()
        #expect(document.sequence == 2 && document.change == "two")
        let again = try LiveDocument(try document.text())
        #expect(try again.text() == document.text())
        #expect(again.routes["api"]?.weights == ["core": 2] && again.endpoints[Self.key]?.administrative == .drain)
        let (changes, areAll) = again.changes(after: 1)
        #expect(changes.map(\.id) == ["two"] && areAll && changes.first?.after?.weights == ["core": 2])
        #expect(again.tells(of: "one") && again.tells(of: "two") && !again.tells(of: "three"))
    }

    @Test("What is taken back is not there any more")
    func removal() throws {
        var edit = SharedEdit()
        edit.routes["api"] = .some(nil)
        edit.endpoints[Self.key] = .ready
        let document = self.sample().edited(by: edit, changes: [Self.change("three")], term: 7)
        #expect(document.routes.isEmpty && document.endpoints.isEmpty && document.term == 7)
    }

    @Test("Members that are not known are kept at every place")
    func unknownMembers() throws {
        let text = """
            {"format": 2, "minimum": 1, "term": 3, "sequence": 9, "change": "x", "later": {"a": [1.50]},
             "routes": {"api": {"weights": {"core": 1}, "fileWeights": {"core": 2}, "note": "n"}},
             "endpoints": {"core/127.0.0.1:3300": {"administrative": "drain", "until": 5}},
             "migrations": {"m": {\(Self.plan), "new": true}}}
            """
        var edit = SharedEdit()
        edit.routes["api"] = LiveDocument.Split(weights: ["core": 5], fileWeights: ["core": 2])
        edit.endpoints[Self.key] = .maintenance
        var record = try #require(PlanRecord(JSONReader.read(Array("{\(Self.plan)}".utf8))))
        record.pause = nil
        record.phase = "waiting"
        edit.migrations["m"] = .some(record.json)
        let document = try LiveDocument(Array(text.utf8)).edited(by: edit, changes: [Self.change("y")])
        let written = String(decoding: try document.text(), as: UTF8.self)
        for part in [
            #""later":{"a":[1.50]}"#, #""note":"n""#, #""until":5"#, #""new":true"#, #""format":2"#, #""sequence":10"#,
            #""administrative":"maintenance""#, #""core":5"#,
            #""phase":"waiting""#,
        ] { #expect(written.contains(part), "\(part) in \(written)") }
        // What this version knows and has taken away is no member that it does not know.
        #expect(!written.contains("by-hand"))
    }

    /// Where a plan stands.
    private static let plan = """
        "name": "m", "fingerprint": "f", "phase": "paused", "stage": 1, "epoch": 2, "share": 50000, "held": 10,
        "patienceFrom": 0, "pause": "by-hand", "responsible": "ann", "hasRetreated": false, "wouldHaveRetreated": false,
        "since": 1, "stageSince": 1
        """

    @Test(
        "What is damaged is told by its place",
        arguments: [
            ("", "not JSON"), ("[]", "expected"), ("{}", "$.minimum"),
            (#"{"minimum":1}"#, "missing"), (#"{"minimum":1,"minimum":1}"#, "twice"),
            (
                Self.text(routes: #"{"api":{"weights":{"core":-1},"fileWeights":{"core":1}}}"#),
                "$.routes.api.weights.core"
            ),
            (Self.text(routes: #"{"api":{"weights":{"core":1000001},"fileWeights":{"core":1}}}"#), "0 to 1000000"),
            (Self.text(routes: #"{"api":{"weights":{"core":1}}}"#), "$.routes.api.fileWeights"),
            (Self.text(routes: #"{"api":{"weights":{},"fileWeights":{"core":1}}}"#), "names no upstream"),
            (Self.text(endpoints: #"{"core":{"administrative":"drain"}}"#), "$.endpoints.core"),
            (Self.text(endpoints: #"{"core/127.0.0.1:1":{"administrative":"ready"}}"#), "maintenance"),
            (Self.text(more: #","recent":[{"sequence":1},{"sequence":1}]"#), "does not grow"),
            (Self.text(more: #","recent":[{"sequence":1}]"#), "does not end with change 4"),
            (Self.text(more: #","recent":{}"#), "$.recent"),
            (Self.text(more: #","migrations":{"m":1}"#), "$.migrations.m"),
            (Self.text(more: #","migrations":{"m":{"phase":"running"}}"#), "$.migrations.m"),
            (Self.text(more: ",\"migrations\":{\"n\":{\(Self.plan)}}"), "$.migrations.n"),
        ])
    func damaged(text: String, place: String) {
        do {
            _ = try LiveDocument(Array(text.utf8))
            Issue.record("it was read")
        } catch {
            #expect(error.cause == .damaged && error.reason.contains(place), "\(error)")
        }
    }

    private static func text(routes: String = "{}", endpoints: String = "{}", more: String = "") -> String {
        #"{"format":1,"minimum":1,"term":0,"sequence":4,"change":"x","routes":\#(routes),"endpoints":\#(endpoints)\#(more)}"#
    }

    @Test("A document from the future is not read, whatever else it has")
    func future() {
        do {
            _ = try LiveDocument(Array(#"{"minimum": 2, "routes": 7}"#.utf8))
            Issue.record("it was read")
        } catch {
            #expect(error.cause == .tooNew && error.reason.contains("format 2"))
        }
    }

    @Test("It stays within its size: old changes go, then it is refused")
    func size() throws {
        var document = LiveDocument()
        for number in 1...200 {
            document = document.edited(
                by: SharedEdit(), changes: [Self.change("\(number)", detail: String(repeating: "x", count: 500))])
        }
        #expect(document.sequence == 200 && document.changes(after: 0).changes.count == 64)
        #expect(!document.changes(after: 0).areAll && document.changes(after: 136).areAll)
        var edit = SharedEdit()
        for route in 0..<10_000 {
            edit.routes["route-with-a-name-\(route)"] = LiveDocument.Split(
                weights: ["core": 1, "gateway": 2], fileWeights: ["core": 1, "gateway": 3])
        }
        document = document.edited(by: edit, changes: [Self.change("last")])
        #expect((try? document.text()) == nil)
    }

    @Test("A document that is nearly full tells of fewer changes rather than refuse one")
    func nearlyFull() throws {
        var edit = SharedEdit()
        for route in 0..<5_300 {
            edit.routes["route-with-a-name-\(route)"] = LiveDocument.Split(
                weights: ["core": 1, "gateway": 2], fileWeights: ["core": 1, "gateway": 3])
        }
        var document = LiveDocument().edited(by: edit, changes: [Self.change("first")])
        for number in 0..<30 {
            document = document.edited(
                by: SharedEdit(), changes: [Self.change("\(number)", detail: String(repeating: "x", count: 500))])
        }
        #expect(try document.text().count <= LiveDocument.sizeLimit)
        #expect((1..<20).contains(document.changes(after: 0).changes.count) && document.tells(of: "29"))
    }

    @Test("What one write brings stays whole until the next, as far as there is room")
    func bulk() throws {
        let many = (0..<2_000).map { Self.change("m\($0)", detail: String(repeating: "x", count: 200)) }
        let few = self.sample().edited(by: SharedEdit(), changes: Array(many.prefix(300)))
        #expect(few.changes(after: 2).changes.count == 300 && few.changes(after: 2).areAll)
        let most = self.sample().edited(by: SharedEdit(), changes: many)
        #expect(try most.text().count <= LiveDocument.sizeLimit)
        #expect(most.sequence == 2_002 && most.changes(after: 0).changes.count > 700)
        #expect(most.edited(by: SharedEdit(), changes: [Self.change("next")]).changes(after: 0).changes.count <= 64)
    }

    @Test("Whether a document came of another is told by their changes")
    func history() {
        let base = self.sample()
        let later = base.edited(by: SharedEdit(), changes: [Self.change("three"), Self.change("four")])
        let other = base.edited(by: SharedEdit(), changes: [Self.change("3"), Self.change("4"), Self.change("5")])
        #expect(later.continues(base) && later.continues(later) && base.continues(LiveDocument()))
        #expect(!base.continues(later) && !other.continues(later) && !later.continues(other))
        #expect(other.common(with: later) == 2 && later.common(with: base) == 2 && base.common(with: later) == 2)
        #expect(LiveDocument().edited(by: SharedEdit(), changes: [Self.change("x")]).common(with: base) == 0)
        let far = later.edited(by: SharedEdit(), changes: (0..<64).map { Self.change("\($0)") })
        #expect(far.continues(base))
    }

    @Test("Seeded damage never reads as something else than a document")
    func fuzz() throws {
        let bytes = try self.sample().text()
        var random = SplitMix(7)
        for _ in 0..<3_000 {
            var text = bytes
            for _ in 0...Int(random.next() % 4) {
                text[Int(random.next() % UInt64(text.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            guard let document = try? LiveDocument(text) else { continue }
            let again = try LiveDocument(try document.text())
            #expect(try again.text() == document.text())
        }
    }
}
