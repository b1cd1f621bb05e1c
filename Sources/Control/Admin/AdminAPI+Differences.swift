import Comparison
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
        return try AdminJSON.response(
            try await plane.judge(
                try Self.segment("class", context), of: name, accepts: accepts, reason: reason, origin: context.origin))
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
        if let body = try await self.compared(migration).body(of: number) { return body }
        let found = await self.migrations?.readings[migration]?.peers?.finders(of: number) ?? []
        let elsewhere =
            found.isEmpty ? "" : " on this replica: \(found.joined(separator: ", ")) found it, and examples are there"
        throw AdminFailure(
            status: .notFound, "the plan \"\(migration)\" has no class \"\(number)\"\(elsewhere)")
    }

    /// Lets a class stay, or takes that back: here, or where replicas share what is live, on all of them, whichever of them found it.
    func judge(
        _ number: String, of migration: String, accepts: Bool, reason: String, origin: ChangeOrigin
    ) async throws -> DifferenceClassBody {
        let isFoundHere = try await self.compared(migration).body(of: number) != nil
        let agreement = self.publisher.agreement
        guard isFoundHere || (agreement != nil && LiveDocument.isClassNumber(number)) else {
            throw AdminFailure(status: .notFound, "the plan \"\(migration)\" has no class \"\(number)\"")
        }
        let peers = await self.migrations?.readings[migration]?.peers
        var known = peers?.toldClasses ?? []
        if isFoundHere { known.insert(number) }
        // Who cannot be asked may have found it since: that is said below.
        if let agreement, !known.contains(number), await agreement.obstacle() == nil {
            let others = await agreement.present.present.filter { $0 != agreement.replica }
            let isSaid = await self.publisher.current.state.shared?.differences[migration]?[number] != nil
            // Who has told of all that it found has not found this one; of the others that is not known.
            guard isSaid || !(others.isEmpty || peers?.tellAllClasses == true) else {
                throw AdminFailure(
                    status: .notFound,
                    "no replica that is there has found class \"\(number)\" of the plan \"\(migration)\"")
            }
        }
        known.formUnion(try await self.compared(migration).book.records.map(\.key.number))
        let replicas = try await self.publisher.judge(
            number, of: migration, accepts: accepts, reason: reason, origin: origin, known: known)
        if replicas == nil {
            _ = await self.comparisons?.accept(number, of: migration, reason: accepts ? reason : nil)
        } else {
            // What all have agreed on by now: the others were waited for, and somebody may have said the opposite meanwhile.
            let said = await self.publisher.current.state.shared?.differences[migration] ?? [:]
            await self.comparisons?.agree(on: said, of: migration)
        }
        var body: DifferenceClassBody
        if let found = try await self.compared(migration).body(of: number) {
            body = found
        } else {
            let said = await self.publisher.current.state.shared?.differences[migration]?[number]
            body = DifferenceClassBody(number, told: peers?.told(class: number) ?? [], accepted: said ?? "")
        }
        body.replicas = replicas
        return body
    }
}
