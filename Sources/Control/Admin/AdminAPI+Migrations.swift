import Hummingbird
import Migration

/// What an operator may say to a plan.
extension PlanVerb {
    /// Keys of its document beside `reason`.
    var keys: [String] {
        switch self {
        case .start: ["stage", "force"]
        case .advance: ["force"]
        case .stop: ["restore"]
        case .retreat: ["local"]
        case .pause, .resume, .approve: []
        }
    }
}

/// Plans.
extension AdminAPI {
    func addMigrations(to router: Router<AdminRequestContext>) {
        let plane = self.plane
        router.get("/api/v1/migrations") { _, _ in
            let bodies = await plane.migrations?.bodies() ?? MigrationsBody(migrations: [])
            return try AdminJSON.response(bodies, headers: [.eTag: await plane.publisher.current.etag])
        }
        router.get("/api/v1/migrations/:name") { _, context in
            let engine = try Self.engine(plane)
            let body = try await engine.body(try Self.segment("name", context))
            return try AdminJSON.response(body, headers: [.eTag: await plane.publisher.current.etag])
        }
        router.get("/api/v1/migrations/:name/verdict") { _, context in
            let engine = try Self.engine(plane)
            return try AdminJSON.response(try await engine.verdict(try Self.segment("name", context)))
        }
        for verb in PlanVerb.allCases {
            router.post(RouterPath("/api/v1/migrations/:name/\(verb.rawValue)")) { request, context in
                let name = try Self.segment("name", context)
                try Self.check(request, parameters: ["dryRun"])
                let dryRun = try Self.flag("dryRun", request)
                let input = try await AdminJSON.input(request)
                let event = try input.planEvent(verb, by: context.origin.who)
                let answer = try await Self.engine(plane).answer(
                    name, event, reason: input.reason, origin: context.origin,
                    ifMatch: Self.tags(request.headers[.ifMatch]), dryRun: dryRun, local: input.local)
                return try AdminJSON.response(answer.body, headers: [.eTag: answer.etag])
            }
        }
    }

    private static func engine(_ plane: ControlPlane) throws(AdminFailure) -> MigrationEngine {
        guard let engine = plane.migrations else { throw AdminFailure(status: .notFound, "no migrations") }
        return engine
    }
}

extension JSONInput {
    /// What an object has as `reason`; empty: none.
    fileprivate var reason: String {
        guard case .object(let members) = self, case .string(let text)? = members["reason"] else { return "" }
        return text
    }

    /// What an object has as `local`.
    fileprivate var local: Bool {
        guard case .object(let members) = self, case .bool(let isLocal)? = members["local"] else { return false }
        return isLocal
    }

    /// `{"reason": TEXT, "force": BOOL, "stage": N, "restore": BOOL, "local": BOOL}`, of which each verb knows some; all may be left out where
    /// the verb does not need them.
    func planEvent(_ verb: PlanVerb, by who: String) throws(ChangeRefused) -> PlanEvent {
        guard case .object(let members) = self else {
            throw .invalid([ControlProblem(path: "$", message: "expected an object, found \(self.kind)")])
        }
        var problems = Self.unknown(members, known: ["reason"] + verb.keys)
        let reason = Self.text(members["reason"], path: "$.reason", &problems) ?? ""
        let force = Self.flag(members["force"], path: "$.force", &problems)
        let restore = Self.flag(members["restore"], path: "$.restore", &problems)
        _ = Self.flag(members["local"], path: "$.local", &problems)
        let stage = Self.count(members["stage"], path: "$.stage", &problems)
        guard problems.isEmpty else { throw .invalid(problems) }
        return switch verb {
        case .start: .start(stage: stage.map { Int(clamping: $0) }, by: who, force: force, reason: reason)
        case .pause: .pause(.byHand, by: who)
        case .resume: .resume(by: who)
        case .approve: .approve(by: who)
        case .advance: .advance(by: who, force: force, reason: reason)
        case .retreat: .retreat(by: who, reason: reason)
        case .stop: .stop(restore: restore, by: who)
        }
    }
}
