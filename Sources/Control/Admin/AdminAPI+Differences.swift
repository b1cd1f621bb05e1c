import Hummingbird
import Traffic

extension AdminAPI {
    /// What the sides of plans differ in. Examples are for operators, which `AccessCheck` sees to.
    func addDifferences(to router: Router<AdminRequestContext>) {
        let plane = self.plane
        router.get("/api/v1/migrations/:name/differences") { _, context in
            let name = try Self.segment("name", context)
            return try AdminJSON.response(try await plane.differences(name))
        }
        router.get("/api/v1/migrations/:name/differences/:class") { _, context in
            let name = try Self.segment("name", context)
            return try AdminJSON.response(
                try await plane.differenceClass(try Self.segment("class", context), of: name))
        }
        router.post("/api/v1/migrations/:name/differences/:class/accept") { request, context in
            try Self.check(request, parameters: [])
            let reason = try await AdminJSON.input(request).neededReason()
            return try await Self.judge(plane, context, reason: reason, accepts: true)
        }
        router.post("/api/v1/migrations/:name/differences/:class/reopen") { request, context in
            try Self.check(request, parameters: [])
            let reason = try await AdminJSON.input(request).neededReason()
            return try await Self.judge(plane, context, reason: reason, accepts: false)
        }
    }

    private static func judge(
        _ plane: ControlPlane, _ context: AdminRequestContext, reason: String, accepts: Bool
    ) async throws -> Response {
        let name = try Self.segment("name", context)
        let number = try Self.segment("class", context)
        // It may have been found by another replica alone.
        _ = try await plane.differenceClass(number, of: name)
        let replicas = try await plane.publisher.judge(
            number, of: name, accepts: accepts, reason: reason, origin: context.origin)
        if replicas == nil {
            _ = await plane.comparisons?.accept(number, of: name, reason: accepts ? reason : nil)
        } else {
            // What all have agreed on by now: the others were waited for, and somebody may have said the opposite meanwhile.
            let said = await plane.publisher.current.state.shared?.differences[name] ?? [:]
            await plane.comparisons?.agree(on: said, of: name)
        }
        var body = try await plane.differenceClass(number, of: name)
        body.replicas = replicas
        return try AdminJSON.response(body)
    }
}

extension ControlPlane {
    func compared(_ migration: String) async throws(AdminFailure) -> ComparedPlan {
        guard let plan = await self.comparisons?.plan(migration) else {
            throw AdminFailure(status: .notFound, "no migration \"\(migration)\"")
        }
        return plan
    }

    /// With what has become of the copies that they were learnt from.
    func differences(_ migration: String) async throws(AdminFailure) -> DifferencesBody {
        var body = try await self.compared(migration).body
        let records = await self.publisher.current.table.routes.lazy.compactMap(\.mirror)
        guard let record = records.first(where: { $0.migration == migration }) else { return body }
        body.copied = record.copies.values.reduce(0) { $1.statusClasses.reduce($0, &+) }
        body.dropped = Dictionary(uniqueKeysWithValues: record.dropped.filter { $0.count > 0 })
        return body
    }

    func differenceClass(_ number: String, of migration: String) async throws(AdminFailure) -> DifferenceClassBody {
        guard let body = try await self.compared(migration).body(of: number) else {
            throw AdminFailure(status: .notFound, "the plan \"\(migration)\" has no class \"\(number)\"")
        }
        return body
    }
}
