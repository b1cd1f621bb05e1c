@testable import Control
import Hummingbird
import Migration
import Testing

/// Which status and which words a refused change has.
@Suite("Refused changes as answers") struct AdminFailureTests {
    private static let problems = [ControlProblem(path: "$.weights", message: "wrong")]

    @Test("Status, words and problems of every refusal")
    func refusals() {
        let rows: [(ChangeRefused, HTTPResponse.Status, String, [ControlProblem])] = [
            (.notFound("no route x"), .notFound, "no route x", []),
            (.invalid(Self.problems), .unprocessableContent, "nothing was changed", Self.problems),
            (
                .needsForce(Self.problems), .conflict,
                "nothing was changed; if that is meant, ask with \"force\": true", Self.problems
            ),
            (
                .stale(current: "\"t\""), .preconditionFailed,
                "the state is not the one that If-Match names; nothing was changed", []
            ),
            (
                .guarded(Self.problems), .conflict,
                "the guard objects; nothing was changed; if it is meant, ask with \"force\": true and a reason",
                Self.problems
            ),
            (
                .gone(Self.problems), .conflict,
                "nothing was changed; to do what can be done, ask with \"partial\": true", Self.problems
            ),
            (
                .journal("disk full"), .serviceUnavailable,
                "journal: it cannot be written, and the change would be lost; nothing was changed: disk full", []
            ), (.unsaved("read-only"), .conflict, "it cannot be saved; nothing was changed: read-only", []),
            (
                .owned(migration: "move"), .conflict,
                "owned by migration move: nothing was changed; less of the new side is always taken, and more with "
                    + "\"force\": true and a reason",
                [ControlProblem(path: "$.weights", message: "owned by migration move")]
            ), (.plan(.gatesFail, migration: "move"), .conflict, "migration move: a gate fails", []),
            (
                .unreachable(since: 1_767_323_045_000, reason: "no quorum"), .serviceUnavailable,
                "cluster-unreachable: nothing is changed without the other replicas; since 2026-01-02T03:04:05.000Z: "
                    + "no quorum", []
            ),
            (
                .unreachable(since: nil, reason: "no quorum"), .serviceUnavailable,
                "cluster-unreachable: nothing is changed without the other replicas; since the start: no quorum", []
            ), (.handingOver, .conflict, "another process is taking over; ask that one", []),
        ]
        for (refused, status, text, problems) in rows {
            let failure = AdminFailure(refused)
            #expect(failure.status == status, "\(refused)")
            #expect(failure.body.error == text)
            #expect(failure.body.problems == problems, "\(refused)")
            let tag = if case .stale(let current) = refused { current } else { String?.none }
            #expect(failure.headers[.eTag] == tag && failure.headers.count == (tag == nil ? 0 : 1))
        }
    }
}
