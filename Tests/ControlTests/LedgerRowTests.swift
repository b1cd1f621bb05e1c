@testable import Control
@testable import Ledger
import Migration
import RoutesFile
import Testing
import Traffic

/// What the ledger keeps is what was known, field by field.
@Suite("Rows of the ledger") struct LedgerRowTests {
    private static func entry(revision: UInt64?) -> JournalEntry {
        JournalEntry(
            sequence: 7, id: "id-7", at: "2026-01-02T03:04:05.678Z", origin: .api, who: "ann", what: .weights,
            subject: "api", detail: "core 1→2", reason: "why", generationBefore: 3, generationAfter: 4,
            before: Position(weights: ["core": 1], fileWeights: ["core": 3]),
            after: Position(weights: ["core": 2], fileWeights: ["core": 3]), forced: true, undoes: "id-6",
            state: .failed, evidence: "numbers", replica: revision == nil ? nil : "b", revision: revision)
    }

    @Test("An entry of the journal comes back as it was") func entries() throws {
        for revision in [nil, 9] as [UInt64?] {
            let entry = Self.entry(revision: revision)
            let row = LedgerRows.row(entry, replica: "a")
            #expect(row.replica == (revision == nil ? "a" : "b") && row.at == 1_767_323_045_678)
            #expect(row.revision == revision.map { "\($0)" })
            #expect(row.before == #"{"fileWeights":{"core":3},"weights":{"core":1}}"#)
            #expect(LedgerRows.entry(row) == entry)
        }
        var least = Self.entry(revision: nil)
        (least.before, least.after, least.undoes, least.evidence, least.forced) = (nil, nil, nil, nil, false)
        let row = LedgerRows.row(least, replica: "a")
        #expect(row.before.isEmpty && row.after.isEmpty && LedgerRows.entry(row) == least)
        // Of words that are not known there is no entry.
        for (door, what) in [("window", "weights"), ("api", "whim")] {
            let strange = ChangeRow(
                sequence: 1, id: "x", at: 1, replica: "a", door: door, who: "", what: what, subject: "", detail: "",
                before: "", after: "", reason: "", generationBefore: 0, generationAfter: 0, state: .applied)
            #expect(LedgerRows.entry(strange) == nil)
        }
    }

    @Test("Live weights, endpoints and plans come back, several of each; rows that are not known are passed over")
    func live() throws {
        let weights = ["a", "b"].map { LiveState.Weights(route: $0, weights: ["core": 1], fileWeights: ["core": 2]) }
        let endpoints = ["127.0.0.1:1", "127.0.0.1:2"].map {
            LiveState.AdministrativeState(upstream: "core", address: $0, state: "drain")
        }
        var plan = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway", stages: [.init(.share(1_000_000), hold: 1)])
        plan.gates.mismatches = nil
        var record = PlanRecord(try #require(PlanStanding(MigrationSpec(plan: plan), state: PlanState())))
        let plans = ["p", "q"].map { name in
            record.name = name
            return record
        }
        var rows: [LiveRow] = []
        for row in weights { rows.append(LiveRow(key: "route/\(row.route)", value: wholeJSON(row), change: "c")) }
        for row in endpoints {
            rows.append(LiveRow(key: "endpoint/core/\(row.address)", value: wholeJSON(row), change: "c"))
        }
        for row in plans { rows.append(LiveRow(key: "migration/\(row.name)", value: wholeJSON(row), change: "c")) }
        rows += ["route/x", "endpoint/x", "migration/x", "whim/x"].map { LiveRow(key: $0, value: "{}", change: "c") }
        let state = LedgerRows.liveState(
            LedgerFile.Contents(
                live: rows, lastSequence: 1, lastGeneration: 5, lastRevision: 2, unfinished: 0, damaged: nil))
        #expect(state.generation == 5 && state.weights == weights && state.administrative == endpoints)
        #expect(state.plans == plans)
    }
}
