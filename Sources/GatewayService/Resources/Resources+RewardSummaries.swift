import Documents

/// Rewards of one validator or nominator, summed up in stored order.
private struct RewardGroup: Sendable {
    /// A reward that names the group; nil for the group of rewards that name nobody.
    let name: String?
    var count = 0
    var total = 0.0
    var efficiency = 0.0
    var stake = 0.0
    var eraMinStake = 0.0
    var commission = 0.0
}

/// Groups in the order first seen.
private struct RewardGroups: Sendable {
    private(set) var all: [RewardGroup] = []
    private var places: [Scalar: Int] = [:]

    mutating func update(_ name: String?, _ change: (inout RewardGroup) -> Void) {
        let key = name.map { Scalar.string($0) } ?? .null
        let place = places[key] ?? all.count
        if place == all.count {
            places[key] = place
            all.append(RewardGroup(name: name))
        }
        change(&all[place])
    }
}

extension Resources {
    private static let fields = FieldPicker([
        "validator", "nominator", "rewardAmount", "validatorStakeEfficiency", "totalStake", "erasMinStake",
        "commission",
    ])

    func allValidatorTotals() async throws -> Answer {
        let groups = try await groups(role: "validator") { groups, fields, bytes in
            guard let name = bytes.name(fields[0]), JavaScriptValue.isTruthy(fields[2], in: bytes) else { return }
            let amount = JavaScriptValue.parsedFloat(fields[2], in: bytes)
            groups.update(name) { $0.total += amount }
        }
        return try await answer(groups, key: "validator")
    }

    /// Each further reward doubles what the earlier ones came to: the legacy service adds the running sum to itself. Clients
    /// see these figures, so they stay; the order of the additions decides the last digits.
    func allNominatorTotals() async throws -> Answer {
        let groups = try await groups(role: "nominator") { groups, fields, bytes in
            guard let name = bytes.name(fields[1]), !name.isEmpty, JavaScriptValue.isTruthy(fields[2], in: bytes) else {
                return
            }
            let amount = JavaScriptValue.parsedFloat(fields[2], in: bytes)
            groups.update(name) { $0.total = $0.total + ($0.total + amount) }
        }
        return try await answer(groups, key: "nominator")
    }

    private func answer(_ groups: RewardGroups, key: StaticString) async throws -> Answer {
        try await withIdentities(of: groups) { identities, pace in
            try Self.totals(groups, key, identities, &pace)
        }
    }

    private func withIdentities(
        of groups: RewardGroups, _ body: @escaping @Sendable (IdentityIndex, inout Pace) throws -> Body
    ) async throws -> Answer {
        let batch = try await store.find(Query(.identities))
        // A group is a fraction of what its rewards were, and of what it becomes.
        return try await Composer.run(over: batch.bytes.count + groups.all.count * 256) { pace in
            .json(try body(try IdentityIndex(batch, &pace), &pace))
        }
    }

    private static func totals(
        _ groups: RewardGroups, _ key: StaticString, _ identities: IdentityIndex, _ pace: inout Pace
    ) throws -> Body {
        var writer = JSONWriter()
        writer.beginArray()
        for index in descending(groups.all.map(\.total)) {
            try pace.step()
            let group = groups.all[index]
            writer.beginObject()
            writer.key(key)
            writer.string(group.name ?? "")
            writer.key("total")
            writer.number(group.total)
            writer.key("identity")
            try identities.write(group.name, to: &writer)
            writer.endObject()
            try writer.cut()
        }
        writer.endArray()
        return writer.body()
    }

    func allValidatorStats() async throws -> Answer {
        let groups = try await groups(role: "validator") { groups, fields, bytes in
            if JavaScriptValue.isNullish(fields[2]) { return }
            let values = (2..<7).map { index in
                let value = JavaScriptValue.parsedFloat(fields[index], in: bytes)
                return value.isNaN ? 0 : value
            }
            groups.update(bytes.name(fields[0])) { group in
                group.count += 1
                group.total += values[0]
                group.efficiency += values[1]
                group.stake += values[2]
                group.eraMinStake += values[3]
                group.commission += values[4]
            }
        }
        return try await withIdentities(of: groups) { identities, pace in
            try Self.stats(groups, identities, &pace)
        }
    }

    private static func stats(
        _ groups: RewardGroups, _ identities: IdentityIndex, _ pace: inout Pace
    ) throws -> Body {
        var writer = JSONWriter()
        writer.beginArray()
        for index in descending(groups.all.map { $0.efficiency / Double($0.count) }) {
            try pace.step()
            let group = groups.all[index]
            let count = Double(group.count)
            writer.beginObject()
            if let name = group.name {
                writer.key("validator")
                writer.string(name)
            }
            writer.key("numRewards")
            writer.number(group.count)
            writer.key("totalRewards")
            writer.number(group.total)
            writer.key("avgEfficiency")
            writer.number(group.efficiency / count)
            writer.key("avgStake")
            writer.number(group.stake / count)
            writer.key("avgEraMinStake")
            writer.number(group.eraMinStake / count)
            writer.key("avgCommission")
            writer.number(group.commission / count)
            writer.key("identity")
            try identities.write(group.name, to: &writer)
            writer.endObject()
            try writer.cut()
        }
        writer.endArray()
        return writer.body()
    }

    private func groups(
        role: String, _ add: @escaping @Sendable (inout RewardGroups, [BSONElement?], Span<UInt8>) -> Void
    ) async throws -> RewardGroups {
        let rewards = Query.matching(.rewards, "role", .string(role), fields: Self.fields.names)
        return try await store.reduce(rewards, into: RewardGroups()) { groups, document in
            add(&groups, try Self.fields.pick(document: 0, in: document), document)
        }
    }
}

extension Span<UInt8> {
    /// The text that names a group; nil when there is none.
    fileprivate func name(_ element: BSONElement?) -> String? {
        guard let element else { return nil }
        return string(of: element)
    }
}

/// All identities, found by their own address first and by those of their sub-identities second.
private struct IdentityIndex: Sendable {
    private let batch: DocumentBatch
    private let own: [Scalar: Int]
    private let sub: [Scalar: Int]

    init(_ identities: DocumentBatch, _ pace: inout Pace) throws {
        var own: [Scalar: Int] = [:]
        var sub: [Scalar: Int] = [:]
        let bytes = identities.bytes.span
        for start in identities.starts {
            try pace.step()
            if let address = try bytes.element("address", inDocument: start), let text = bytes.string(of: address) {
                if own[.string(text)] == nil { own[.string(text)] = start }
            }
            guard let list = try bytes.element("subIdentities", inDocument: start), list.type == .array else {
                continue
            }
            var items = try BSONScanner(document: list.value.lowerBound, in: bytes)
            while let item = try items.next(in: bytes) {
                guard item.type == .document,
                    let address = try bytes.element("address", inDocument: item.value.lowerBound),
                    let text = bytes.string(of: address)
                else { continue }
                if sub[.string(text)] == nil { sub[.string(text)] = start }
            }
        }
        batch = identities
        self.own = own
        self.sub = sub
    }

    func write(_ address: String?, to writer: inout JSONWriter) throws(BSONError) {
        guard let address, let start = own[.string(address)] ?? sub[.string(address)] else { return writer.null() }
        try writer.document(at: start, in: batch.bytes.span, withoutIdentity: true)
    }
}
