@testable import Control
import JSONText
import Migration
import RoutesFile
import Testing
import Traffic

/// What bodies of changes may say, and every word about what is wrong in them.
@Suite("Bodies of changes") struct JSONInputTests {
    private static func input(_ text: String) throws -> JSONInput {
        JSONInput(try RoutesFile.json(Array(text.utf8)).value)
    }

    private static func problems(_ body: () throws -> Void) -> [String] {
        do {
            try body()
            return []
        } catch let ChangeRefused.invalid(problems) {
            return problems.map { "\($0.path) \($0.message)" }
        } catch {
            return ["\(error)"]
        }
    }

    @Test("Kinds of values, and numbers that are whole however they are written")
    func kinds() throws {
        let rows: [(String, JSONInput, String)] = [
            ("null", .null, "null"), ("true", .bool(true), "a boolean"), ("1.0", .integer(1), "a number"),
            ("1e2", .integer(100), "a number"), ("-7", .integer(-7), "a number"), ("1.5", .number(1.5), "a number"),
            ("9223372036854775807", .integer(.max), "a number"), ("1e999", .number(.infinity), "a number"),
            ("\"a\"", .string("a"), "a string"), ("[1]", .array([.integer(1)]), "an array"),
            ("{\"a\":null}", .object(["a": .null]), "an object"),
        ]
        for (text, value, kind) in rows {
            let input = try Self.input(text)
            #expect(input == value && input.kind == kind, "\(text)")
        }
    }

    @Test("Weights: what is taken")
    func weights() throws {
        let all = try Self.input(
            #"{"weights":{"a":0,"b":1000000,"c":1e2},"reason":"r","force":true,"save":false,"local":true}"#
        ).weightChange()
        #expect(all.weights == ["a": 0, "b": 1_000_000, "c": 100] && all.reason == "r")
        #expect(all.force && !all.save && all.local)
        let saved = try Self.input(#"{"weights":{},"save":true}"#).weightChange()
        #expect(saved.weights.isEmpty && saved.reason.isEmpty)
        #expect(!saved.force && saved.save && !saved.local)
    }

    private static let unknown = "unknown key; known are weights, reason, force, save, local"
    private static let whole = "expected a whole number from 0 to 1000000"

    @Test(
        "Weights: what is wrong",
        arguments: [
            ("[]", ["$ expected an object, found an array"]),
            ("{}", ["$.weights is missing"]),
            (#"{"weights":7}"#, ["$.weights expected an object, found a number"]),
            (#"{"weights":{},"reason":null}"#, ["$.reason expected a string, found null"]),
            (
                #"{"weights":{"b":1000001,"a":-1,"d":"x","c":0.5},"x":1,"a":2}"#,
                [
                    "$.a \(Self.unknown)", "$.x \(Self.unknown)", "$.weights.a \(Self.whole)",
                    "$.weights.b \(Self.whole)", "$.weights.c \(Self.whole)", "$.weights.d \(Self.whole)",
                ]
            ),
            (
                #"{"weights":{},"reason":1,"force":"yes","save":null,"local":[]}"#,
                [
                    "$.reason expected a string, found a number", "$.force expected true or false, found a string",
                    "$.save expected true or false, found null", "$.local expected true or false, found an array",
                ]
            ),
        ])
    func wrongWeights(text: String, problems: [String]) throws {
        let input = try Self.input(text)
        #expect(Self.problems { _ = try input.weightChange() } == problems)
    }

    @Test("Undoing: what is taken, and what is wrong")
    func undo() throws {
        let change = try Self.input(#"{"sequence":3,"reason":"r","force":true}"#).undoRequest()
        #expect(change.target == .change(3) && change.reason == "r" && change.force && !change.partial)
        let generation = try Self.input(#"{"toGeneration":0,"reason":"r","partial":true}"#).undoRequest()
        #expect(generation.target == .generation(0) && !generation.force && generation.partial)
        #expect(!generation.dryRun && generation.ifMatch.isEmpty)
        let either = "$ expected either \"sequence\" or \"toGeneration\""
        let reason = "$.reason is missing: an undo needs one"
        let unknown = "$.x unknown key; known are sequence, toGeneration, reason, force, partial"
        for (text, problems) in [
            ("1", ["$ expected an object, found a number"]), ("{}", [either, reason]),
            (#"{"sequence":1,"toGeneration":2,"reason":""}"#, [either, reason]),
            (
                #"{"sequence":-1,"reason":"r","x":1}"#,
                [unknown, "$.sequence expected a whole number, 0 or more, found a number"]
            ),
            (
                #"{"toGeneration":"x","reason":"r","force":1,"partial":2}"#,
                [
                    "$.toGeneration expected a whole number, 0 or more, found a string",
                    "$.force expected true or false, found a number",
                    "$.partial expected true or false, found a number",
                ]
            ),
        ] as [(String, [String])] {
            let input = try Self.input(text)
            #expect(Self.problems { _ = try input.undoRequest() } == problems, "\(text)")
        }
    }

    @Test("Administrative states: what is taken, and what is wrong")
    func administrative() throws {
        for (word, state) in [
            ("ready", Administrative.ready), ("drain", .drain), ("maintenance", .maintenance),
        ] {
            let change = try Self.input(
                #"{"administrative":"\#(word)","upstream":"core","reason":"r","force":true}"#
            ).administrativeChange()
            #expect(change.state == state && change.upstream == "core" && change.reason == "r" && change.force)
        }
        let least = try Self.input(#"{"administrative":"drain"}"#).administrativeChange()
        #expect(least.upstream == nil && least.reason.isEmpty && !least.force)
        let state = "$.administrative expected \"ready\", \"drain\" or \"maintenance\""
        for (text, problems) in [
            ("null", ["$ expected an object, found null"]), ("{}", [state]), (#"{"administrative":"off"}"#, [state]),
            (
                #"{"administrative":1,"upstream":2,"reason":3,"force":4,"x":5}"#,
                [
                    "$.x unknown key; known are administrative, upstream, reason, force", state,
                    "$.upstream expected a string, found a number", "$.reason expected a string, found a number",
                    "$.force expected true or false, found a number",
                ]
            ),
        ] as [(String, [String])] {
            let input = try Self.input(text)
            #expect(Self.problems { _ = try input.administrativeChange() } == problems, "\(text)")
        }
    }

    @Test("A reason that must say something")
    func reason() throws {
        #expect(try Self.input(#"{"reason":"r"}"#).neededReason() == "r")
        for (text, problems) in [
            ("true", ["$ expected an object, found a boolean"]), ("{}", ["$.reason must say why"]),
            (#"{"reason":""}"#, ["$.reason must say why"]),
            (#"{"reason":7}"#, ["$.reason expected a string, found a number"]),
            (#"{"reason":"r","force":true}"#, ["$.force unknown key; known are reason"]),
        ] as [(String, [String])] {
            let input = try Self.input(text)
            #expect(Self.problems { _ = try input.neededReason() } == problems, "\(text)")
        }
    }

    @Test("What each verb of a plan takes, and no other member")
    func plans() throws {
        let full = #"{"reason":"r","force":true,"stage":2,"restore":true}"#
        let rows: [(PlanVerb, String, PlanEvent)] = [
            (.start, #"{"reason":"r","force":true,"stage":2}"#, .start(stage: 2, by: "ann", force: true, reason: "r")),
            (.start, "{}", .start(stage: nil, by: "ann", force: false, reason: "")),
            (.pause, #"{"reason":"r"}"#, .pause(.byHand, by: "ann")), (.resume, "{}", .resume(by: "ann")),
            (.approve, "{}", .approve(by: "ann")),
            (.advance, #"{"reason":"r","force":true}"#, .advance(by: "ann", force: true, reason: "r")),
            (.retreat, #"{"reason":"r"}"#, .retreat(by: "ann", reason: "r")),
            (.stop, #"{"restore":true}"#, .stop(restore: true, by: "ann")),
            (.stop, "{}", .stop(restore: false, by: "ann")),
        ]
        for (verb, text, event) in rows {
            #expect(try Self.input(text).planEvent(verb, by: "ann") == event, "\(verb) \(text)")
        }
        for (verb, known) in [
            (PlanVerb.start, ["stage", "force"]), (.pause, []), (.resume, []), (.approve, []), (.advance, ["force"]),
            (.retreat, ["local"]), (.stop, ["restore"]),
        ] as [(PlanVerb, [String])] {
            let input = try Self.input(full)
            let words = (["reason"] + known).joined(separator: ", ")
            let expected = ["force", "restore", "stage"].filter { !known.contains($0) }
                .map { "$.\($0) unknown key; known are \(words)" }
            #expect(Self.problems { _ = try input.planEvent(verb, by: "ann") } == expected, "\(verb)")
        }
        let wrong = try Self.input(#"{"reason":1,"force":2,"stage":-3}"#)
        #expect(
            Self.problems { _ = try wrong.planEvent(.start, by: "ann") } == [
                "$.reason expected a string, found a number", "$.force expected true or false, found a number",
                "$.stage expected a whole number, 0 or more, found a number",
            ])
        #expect(
            Self.problems { _ = try JSONInput.null.planEvent(.start, by: "ann") }
                == ["$ expected an object, found null"])
    }

    @Test("Of many problems a bounded number is told")
    func many() throws {
        let names = (0..<200).map { "\"k\($0)\":1" }.joined(separator: ",")
        let unknown = try Self.input("{\(names)}")
        #expect(Self.problems { _ = try unknown.weightChange() }.count == ControlProblem.limit + 2)
        let wrong = (0..<200).map { "\"k\($0)\":-1" }.joined(separator: ",")
        let weights = try Self.input("{\"weights\":{\(wrong)}}")
        #expect(Self.problems { _ = try weights.weightChange() }.count == ControlProblem.limit + 1)
        let body = ErrorBody(
            error: "e", problems: (0..<150).map { ControlProblem(path: "$.\($0)", message: "wrong") })
        #expect(body.problems.count == ControlProblem.limit + 1 && body.problems[99].path == "$.99")
        #expect(body.problems[100] == ControlProblem(path: "$", message: "further problems are not listed"))
        let whole = (0..<ControlProblem.limit).map { ControlProblem(path: "$.\($0)", message: "wrong") }
        #expect(ControlProblem.bounded(whole) == whole)
    }

    @Test("Paths and messages are bounded, and say that they are cut")
    func bounds() {
        func cut(_ limit: Int) -> String {
            String(repeating: "a", count: limit - BoundedText.mark.utf8.count) + BoundedText.mark
        }
        let fits = ControlProblem(
            path: String(repeating: "a", count: 200), message: String(repeating: "b", count: 1_000), line: 3)
        #expect(fits.path.utf8.count == 200 && !fits.path.contains(BoundedText.mark))
        #expect(fits.message == String(repeating: "b", count: 1_000))
        #expect(fits.description == "line 3: \(fits.path): \(fits.message)")
        let long = ControlProblem(
            path: String(repeating: "a", count: 201), message: String(repeating: "a", count: 1_001))
        #expect(long.path == cut(200) && long.message == cut(1_000))
        #expect(long.description == "\(long.path): \(long.message)")
    }
}
