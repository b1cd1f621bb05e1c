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
        let batch = try await store.find(
            Query(
                .rewards, [.init(field, .equals(.string(address))), .init("role", .equals(.string(field)))],
                fields: Self.reward.names))
        return try await Composer.run(over: batch.bytes.count) { pace in
            let bytes = batch.bytes.span
            var sums = Sums()
            for start in batch.starts {
                try pace.step()
                let fields = try Self.reward.pick(document: start, in: bytes)
                sums.count += 1
                sums.amount += JavaScriptValue.number(fields[0], in: bytes)
                sums.efficiency += JavaScriptValue.number(fields[1], in: bytes)
                sums.stake += JavaScriptValue.number(fields[2], in: bytes)
            }
            return sums
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
        return .json(writer.bytes)
    }

    func nominatorTotal(_ address: String) async throws -> Answer {
        let sums = try await sums("nominator", address)
        var writer = JSONWriter()
        writer.beginObject()
        Self.writeTotal(sums, to: &writer)
        writer.endObject()
        return .json(writer.bytes)
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
        return .json(writer.bytes)
    }

    private static func writeTotal(_ sums: Sums, to writer: inout JSONWriter) {
        writer.key("total")
        writer.number(sums.amount)
        writer.key("rewardCount")
        writer.number(sums.count)
    }
}
