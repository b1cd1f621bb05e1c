import FoundationEssentials
import Ledger
import Migration
import Traffic

/// Between what the control plane knows and what the ledger keeps.
enum LedgerRows {
    private static func json(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Nothing that these types have cannot be encoded.
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private static func value<Value: Decodable>(_ text: String) -> Value? {
        text.isEmpty ? nil : try? JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }

    // MARK: changes

    static func row(_ entry: JournalEntry, replica: String) -> ChangeRow {
        ChangeRow(
            sequence: entry.sequence, id: entry.id, at: Timestamp.milliseconds(entry.at) ?? 0,
            replica: entry.replica ?? replica,
            door: entry.origin.rawValue, who: entry.who, what: entry.what.rawValue, subject: entry.subject,
            detail: entry.detail, before: entry.before.map { Self.json($0) } ?? "",
            after: entry.after.map { Self.json($0) } ?? "", reason: entry.reason, evidence: entry.evidence,
            forced: entry.forced, undoes: entry.undoes, generationBefore: entry.generationBefore,
            generationAfter: entry.generationAfter, revision: entry.revision.map { "\($0)" }, state: entry.state)
    }

    /// nil: a word in it is not known.
    static func entry(_ row: ChangeRow) -> JournalEntry? {
        guard let origin = ChangeOrigin.Door(rawValue: row.door), let what = JournalEntry.What(rawValue: row.what)
        else {
            return nil
        }
        return JournalEntry(
            sequence: row.sequence, id: row.id, at: Timestamp.iso8601(row.at), origin: origin, who: row.who, what: what,
            subject: row.subject, detail: row.detail, reason: row.reason, generationBefore: row.generationBefore,
            generationAfter: row.generationAfter, before: Self.value(row.before), after: Self.value(row.after),
            forced: row.forced, undoes: row.undoes, state: row.state, evidence: row.evidence,
            replica: row.revision == nil ? nil : row.replica, revision: row.revision.flatMap { UInt64($0) })
    }

    // MARK: live state

    private static func key(_ route: String) -> String { "route/\(route)" }
    private static func key(_ endpoint: EndpointKey) -> String { "endpoint/\(endpoint.upstream)/\(endpoint.address)" }

    private static func key(plan name: String) -> String { "migration/\(name)" }

    private static func row(_ plan: PlanRecord, _ change: String) -> LiveRow {
        LiveRow(key: Self.key(plan: plan.name), value: Self.json(plan), change: change)
    }

    private static func row(_ weights: LiveState.Weights, _ change: String) -> LiveRow {
        LiveRow(key: Self.key(weights.route), value: Self.json(weights), change: change)
    }

    private static func row(_ key: EndpointKey, _ state: Administrative, _ change: String) -> LiveRow {
        let value = LiveState.AdministrativeState(
            upstream: key.upstream, address: "\(key.address)", state: state.word)
        return LiveRow(key: Self.key(key), value: Self.json(value), change: change)
    }

    /// What differs. `entries` are the changes that made the difference; there is at least one if there is one.
    static func edit(from before: RoutingState, to after: RoutingState, by entries: [JournalEntry]) -> LiveWrite {
        let first = entries.first?.id ?? ""
        let ids = Dictionary(entries.map { ($0.subject, $0.id) }, uniquingKeysWith: { first, _ in first })
        var set: [LiveRow] = []
        var remove: [String] = []
        for (route, weights) in after.live where before.live[route] != weights {
            set.append(Self.row(weights, ids[route] ?? first))
        }
        for route in before.live.keys where after.live[route] == nil { remove.append(Self.key(route)) }
        for (key, state) in after.administrative where before.administrative[key] != state {
            set.append(Self.row(key, state, ids["\(key.address)"] ?? first))
        }
        for key in before.administrative.keys where after.administrative[key] == nil { remove.append(Self.key(key)) }
        for (name, standing) in after.plans {
            let record = PlanRecord(standing)
            guard before.plans[name].map({ PlanRecord($0) != record }) ?? (standing.state != PlanState()) else {
                continue
            }
            set.append(Self.row(record, ids[name] ?? first))
        }
        for name in Set(before.plans.keys).union(before.inheritedPlans.keys)
        where after.plans[name] == nil && after.inheritedPlans[name] == nil {
            remove.append(Self.key(plan: name))
        }
        return .edit(set: set, remove: remove)
    }

    /// All of it.
    static func all(_ state: RoutingState, by change: String) -> LiveWrite {
        .replace(
            state.live.values.map { Self.row($0, change) }
                + state.administrative.map { Self.row($0.key, $0.value, change) }
                + (state.liveState.plans ?? []).map { Self.row($0, change) })
    }

    /// Where these plans stand, of which nothing else has changed.
    static func standings(_ state: RoutingState, by changes: [String: String]) -> LiveWrite {
        .edit(
            set: state.plans.values.compactMap { standing in
                changes[standing.plan.name].map { Self.row(PlanRecord(standing), $0) }
            }, remove: [])
    }

    /// What rows tell; rows of kinds that are not known are passed over.
    static func liveState(_ contents: LedgerFile.Contents) -> LiveState {
        var state = LiveState()
        state.generation = contents.lastGeneration
        for row in contents.live {
            if row.key.hasPrefix("route/") {
                if let weights: LiveState.Weights = Self.value(row.value) { state.weights.append(weights) }
            } else if row.key.hasPrefix("endpoint/") {
                if let endpoint: LiveState.AdministrativeState = Self.value(row.value) {
                    state.administrative.append(endpoint)
                }
            } else if row.key.hasPrefix("migration/") {
                if let plan: PlanRecord = Self.value(row.value) { state.plans = (state.plans ?? []) + [plan] }
            }
        }
        return state
    }
}
