@testable import Control
import Testing

/// What a look at the file leads to, by table.
struct ReloadStepTests {
    private static let a = Array("a".utf8)
    private static let b = Array("b".utf8)
    private static let now: UInt64 = 100_000

    /// What was wrong last, seen so long ago that another try is due, or just now.
    private static func trouble(
        _ file: ConfigurationFile, _ cause: ReloadTrouble.Cause, isDue: Bool = false
    ) -> ReloadTrouble {
        ReloadTrouble(file, cause, now: isDue ? 0 : Self.now)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var what: String
        var file: ConfigurationFile
        var trouble: ReloadTrouble?
        var step: ReloadStep
        /// When an operator asks.
        var demanded: ReloadStep

        var testDescription: String { self.what }
    }

    /// `a` is in force.
    private static let rows: [Row] = [
        Row(what: "the file in force", file: .bytes(a), step: .upToDate, demanded: .load(a)),
        Row(
            what: "the file in force, put back after a bad one", file: .bytes(a),
            trouble: trouble(.bytes(b), .content), step: .upToDate, demanded: .load(a)),
        Row(
            what: "the file in force, back after it was missing", file: .bytes(a),
            trouble: trouble(.missing, .passing), step: .upToDate, demanded: .load(a)),
        Row(
            what: "the file in force, back after a directory", file: .bytes(a),
            trouble: trouble(.unreadable("it is a directory"), .passing), step: .upToDate, demanded: .load(a)),
        Row(what: "another file", file: .bytes(b), step: .load(b), demanded: .load(b)),
        Row(
            what: "another file after a bad one", file: .bytes(b), trouble: trouble(.bytes([1]), .content),
            step: .load(b), demanded: .load(b)),
        Row(
            what: "another file after one whose right to be read was missing", file: .bytes(b),
            trouble: trouble(.unreadable("open: Permission denied"), .passing), step: .load(b), demanded: .load(b)),
        Row(
            what: "another file after an empty moment", file: .bytes(b), trouble: trouble(.empty, .unsettled),
            step: .load(b), demanded: .load(b)),
        Row(
            what: "the bad file, touched", file: .bytes(b), trouble: trouble(.bytes(b), .content, isDue: true),
            step: .wait, demanded: .load(b)),
        Row(
            what: "a good file whose port is taken, just tried", file: .bytes(b),
            trouble: trouble(.bytes(b), .passing), step: .wait, demanded: .load(b)),
        Row(
            what: "a good file whose port was taken a while ago", file: .bytes(b),
            trouble: trouble(.bytes(b), .passing, isDue: true), step: .load(b), demanded: .load(b)),
        Row(what: "no file", file: .missing, step: .lookAgain, demanded: .refuse("there is no such file")),
        Row(what: "an empty file", file: .empty, step: .lookAgain, demanded: .refuse("it is empty")),
        Row(
            what: "no file yet", file: .missing, trouble: trouble(.missing, .unsettled), step: .wait,
            demanded: .refuse("there is no such file")),
        Row(
            what: "still no file", file: .missing, trouble: trouble(.missing, .unsettled, isDue: true),
            step: .refuse("there is no such file"), demanded: .refuse("there is no such file")),
        Row(
            what: "still an empty file", file: .empty, trouble: trouble(.empty, .unsettled, isDue: true),
            step: .refuse("it is empty"), demanded: .refuse("it is empty")),
        Row(
            what: "no file, as was told", file: .missing, trouble: trouble(.missing, .passing, isDue: true),
            step: .wait, demanded: .refuse("there is no such file")),
        Row(
            what: "no file after an empty one", file: .missing, trouble: trouble(.empty, .passing, isDue: true),
            step: .lookAgain, demanded: .refuse("there is no such file")),
        Row(
            what: "a directory", file: .unreadable("it is a directory"), step: .refuse("it is a directory"),
            demanded: .refuse("it is a directory")),
        Row(
            what: "a directory, as was told", file: .unreadable("it is a directory"),
            trouble: trouble(.unreadable("it is a directory"), .passing, isDue: true), step: .wait,
            demanded: .refuse("it is a directory")),
        Row(
            what: "a link loop after a directory", file: .unreadable("stat: Too many levels of symbolic links"),
            trouble: trouble(.unreadable("it is a directory"), .passing),
            step: .refuse("stat: Too many levels of symbolic links"),
            demanded: .refuse("stat: Too many levels of symbolic links")),
    ]

    @Test("What is there, what is in force and what was wrong decide, and nothing else", arguments: Self.rows)
    func decide(row: Row) {
        for (isDemanded, step) in [(false, row.step), (true, row.demanded)] {
            #expect(
                ReloadStep.decide(
                    row.file, inForce: Self.a, trouble: row.trouble, isDemanded: isDemanded, now: Self.now) == step,
                "demanded: \(isDemanded)")
        }
    }

    @Test("Before anything is in force every file is loaded")
    func first() {
        let step = ReloadStep.decide(.bytes(Self.a), inForce: nil, trouble: nil, isDemanded: false, now: 0)
        #expect(step == .load(Self.a))
    }

    @Test("What may pass is tried again, later each time, up to a bound; what the file says is not")
    func pauses() {
        #expect(ReloadTrouble(.bytes(Self.b), .content, now: 0).due == nil)
        var trouble = ReloadTrouble(.bytes(Self.b), .passing, now: 0)
        var pauses: [UInt64] = []
        var now: UInt64 = 0
        for _ in 0..<8 {
            let due = trouble.due ?? 0
            trouble.postpone(now: now)
            #expect(trouble.due == due, "looking too early changes nothing")
            pauses.append(due - now)
            now = due
            trouble.postpone(now: now)
        }
        #expect(pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
    }
}
