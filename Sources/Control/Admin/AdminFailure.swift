import Hummingbird

/// An answer that says no: `{"error": …, "problems": […]}`.
struct AdminFailure: Error {
    var status: HTTPResponse.Status
    var body: ErrorBody
    var headers: HTTPFields = [:]

    init(status: HTTPResponse.Status, _ error: String, problems: [ControlProblem] = []) {
        self.status = status
        self.body = ErrorBody(error: error, problems: problems)
    }

    init(_ refused: ChangeRefused) {
        switch refused {
        case .notFound(let what): self.init(status: .notFound, what)
        case .invalid(let problems): self.init(status: .unprocessableContent, "nothing was changed", problems: problems)
        case .needsForce(let problems):
            self.init(
                status: .conflict, "nothing was changed; if that is meant, ask with \"force\": true", problems: problems
            )
        case .stale(let current):
            self.init(status: .preconditionFailed, "the state is not the one that If-Match names; nothing was changed")
            self.headers[.eTag] = current
        case .guarded(let problems):
            self.init(
                status: .conflict,
                "the guard objects; nothing was changed; if it is meant, ask with \"force\": true and a reason",
                problems: problems)
        case .gone(let problems):
            self.init(
                status: .conflict, "nothing was changed; to do what can be done, ask with \"partial\": true",
                problems: problems)
        case .journal(let reason):
            self.init(
                status: .serviceUnavailable,
                "journal: it cannot be written, and the change would be lost; nothing was changed: \(reason)")
        case .unsaved(let reason):
            self.init(status: .conflict, "it cannot be saved; nothing was changed: \(reason)")
        case .owned(let migration):
            self.init(
                status: .conflict,
                "owned by migration \(migration): nothing was changed; less of the new side is always taken, and more with "
                    + "\"force\": true and a reason",
                problems: [ControlProblem(path: "$.weights", message: "owned by migration \(migration)")])
        case .plan(let refusal, let migration): self = PlanWords.refusal(refusal, migration)
        case .unreachable(let since, let reason):
            self.init(
                status: .serviceUnavailable,
                "cluster-unreachable: nothing is changed without the other replicas; since "
                    + "\(since.map { Timestamp.iso8601($0) } ?? "the start"): \(reason)")
        case .handingOver: self.init(status: .conflict, "another process is taking over; ask that one")
        }
    }
}

/// Turns every failure into JSON, those of the framework too.
struct FailureAnswers<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let failure as AdminFailure {
            return try AdminJSON.response(failure.body, status: failure.status, headers: failure.headers)
        } catch let refused as ChangeRefused {
            let failure = AdminFailure(refused)
            return try AdminJSON.response(failure.body, status: failure.status, headers: failure.headers)
        } catch let error as HTTPError {
            let text = error.body ?? error.status.reasonPhrase
            return try AdminJSON.response(ErrorBody(error: text, problems: []), status: error.status)
        }
    }
}
