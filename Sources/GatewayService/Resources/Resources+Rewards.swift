import Documents

extension Resources {
    /// Sums in stored order: double additions do not commute in their last digits.
    private struct Sums {
        var count = 0
        var amount = 0.0
        var efficiency = 0.0
        var stake = 0.0
    }

    private static let reward = FieldPicker(["rewardAmount", "validatorStakeEfficiency", "totalStake"])

    private func sums(_ field: String, _ address: String) async throws -> Sums {
        let rewards = Query(
            .rewards, [.init(field, .equals(.string(address))), .init("role", .equals(.string(field)))],
            fields: Self.reward.names)
        return try await store.reduce(rewards, into: Sums()) { sums, document in
            let fields = try Self.reward.pick(document: 0, in: document)
            sums.count += 1
            sums.amount += JavaScriptValue.number(fields[0], in: document)
            sums.efficiency += JavaScriptValue.number(fields[1], in: document)
            sums.stake += JavaScriptValue.number(fields[2], in: document)
        }
    }

    func validatorTotal(_ address: String) async throws -> Answer {
        let sums = try await sums("validator", address)
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("validator")
        writer.string(address)
        Self.writeTotal(sums, to: &writer)
        writer.endObject()
        return .json(writer.body())
    }

    func nominatorTotal(_ address: String) async throws -> Answer {
        let sums = try await sums("nominator", address)
        var writer = JSONWriter()
        writer.beginObject()
        Self.writeTotal(sums, to: &writer)
        writer.endObject()
        return .json(writer.body())
    }

    func validatorStats(_ address: String) async throws -> Answer {
        let sums = try await sums("validator", address)
        var writer = JSONWriter()
        writer.beginObject()
        Self.writeTotal(sums, to: &writer)
        // Without rewards these are 0 ÷ 0, which JSON shows as null.
        writer.key("avgEfficiency")
        writer.number(sums.efficiency / Double(sums.count))
        writer.key("avgStake")
        writer.number(sums.stake / Double(sums.count))
        writer.endObject()
        return .json(writer.body())
    }

    private static func writeTotal(_ sums: Sums, to writer: inout JSONWriter) {
        writer.key("total")
        writer.number(sums.amount)
        writer.key("rewardCount")
        writer.number(sums.count)
    }
}
