import Hummingbird
import RoutesFile
import Traffic

/// The admin API: every path, what it asks of the control plane, and how the answer is said.
package struct AdminAPI: Sendable {
    let plane: ControlPlane
    let scope: AdminScope
    private let names: AdminNames

    package init(plane: ControlPlane, names: AdminNames, scope: AdminScope = .everything) {
        self.plane = plane
        self.names = names
        self.scope = scope
    }

    func router() -> Router<AdminRequestContext> {
        let router = Router(context: AdminRequestContext.self, options: .autoGenerateHeadEndpoints)
        router.middlewares.add(FailureAnswers())
        router.middlewares.add(HostCheck(names: self.names))
        router.middlewares.add(AccessCheck(plane: self.plane))
        self.addHealth(to: router)
        if self.scope == .everything {
            self.addRoutes(to: router)
            self.addUpstreams(to: router)
            self.addJournal(to: router)
            self.addInsight(to: router)
            self.addDifferences(to: router)
            self.addEvents(to: router)
            self.addDashboard(to: router)
            self.addMigrations(to: router)
        }
        router.middlewares.add(MethodCheck(router.routes))
        return router
    }

    private static func text(_ text: String, status: HTTPResponse.Status = .ok, type: String = "text/plain")
        -> Response
    {
        Response(
            status: status, headers: [.contentType: type, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    private func addHealth(to router: Router<AdminRequestContext>) {
        let plane = self.plane
        router.get("/healthz") { _, _ in Self.text("ok\n") }
        router.get("/readyz") { _, _ in
            if let reason = await plane.unreadyReason() {
                return Self.text("\(reason)\n", status: .serviceUnavailable)
            }
            return Self.text("ready\(await plane.clusterRemark())\n")
        }
        router.get("/metrics") { _, _ in
            Self.text(await plane.metrics().render(), type: MetricsText.contentType)
        }
    }

    private func addRoutes(to router: Router<AdminRequestContext>) {
        let plane = self.plane
        // Shares in the body follow endpoint health without a new table, so the tag guards changes (If-Match) but never
        // answers 304.
        router.get("/api/v1/routes") { _, _ in
            let view = await plane.publisher.current
            return try AdminJSON.response(plane.routesBody(view), headers: [.eTag: view.etag])
        }
        router.get("/api/v1/routes/:name") { _, context in
            let view = await plane.publisher.current
            let name = try Self.segment("name", context)
            guard let body = plane.routeBody(named: name, view) else {
                throw AdminFailure(status: .notFound, "no route \"\(name)\"")
            }
            return try AdminJSON.response(body, headers: [.eTag: view.etag])
        }
        router.put("/api/v1/routes/:name/weights") { request, context in
            let name = try Self.segment("name", context)
            try Self.check(request, parameters: ["dryRun"])
            let dryRun = try Self.flag("dryRun", request)
            let input = try await AdminJSON.input(request)
            let wanted = try input.weightChange()
            let change = WeightChange(
                route: name, weights: wanted.weights, reason: wanted.reason,
                ifMatch: Self.tags(request.headers[.ifMatch]),
                dryRun: dryRun, force: wanted.force, local: wanted.local)
            let outcome =
                wanted.save
                ? try await plane.reloader.changeAndSave(change, origin: context.origin, by: plane.publisher)
                : try await plane.publisher.setWeights(change, origin: context.origin)
            return try AdminJSON.response(outcome, headers: [.eTag: outcome.etag])
        }
    }

    private func addUpstreams(to router: Router<AdminRequestContext>) {
        let plane = self.plane
        router.get("/api/v1/upstreams") { request, _ in
            try Self.check(request, parameters: ["upstream", "from", "limit"], "nothing is answered")
            var range = EndpointRange()
            range.upstream = request.uri.queryParameters["upstream"].map { String($0) }
            range.from = Int(try Self.number("from", request, 0...1_000_000) ?? 0)
            range.limit = try Self.number("limit", request, 1...1_000_000).map { Int($0) } ?? .max
            return try AdminJSON.response(await plane.upstreamsBody(range))
        }
        router.put("/api/v1/endpoints/:address") { request, context in
            try Self.check(request, parameters: [])
            let text = try Self.segment("address", context)
            let wanted = try await AdminJSON.input(request).administrativeChange()
            let addresses = await plane.endpoints(at: text)
            guard !addresses.isEmpty else {
                throw AdminFailure(
                    status: .notFound, "\"\(text)\" is not an address with a port, nor a name with a port that is known"
                )
            }
            let change = AdministrativeChange(
                state: wanted.state, addresses: addresses, name: text, upstream: wanted.upstream,
                reason: wanted.reason, force: wanted.force, ifMatch: Self.tags(request.headers[.ifMatch]))
            let outcome = try await plane.publisher.setAdministrative(change, origin: context.origin)
            return try AdminJSON.response(
                AdministrativeBody(
                    address: addresses.count == 1 ? addresses[0].description : text,
                    administrative: wanted.state.word, upstreams: outcome.upstreams, warnings: outcome.warnings,
                    replicas: outcome.replicas))
        }
    }

    private func addJournal(to router: Router<AdminRequestContext>) {
        let plane = self.plane
        router.get("/api/v1/journal") { request, _ in
            try Self.check(request, parameters: ["before", "limit", "subject"], "nothing is answered")
            let before = try Self.number("before", request, 0...UInt64(Int64.max)) ?? UInt64(Int64.max)
            let limit = try Self.number("limit", request, 1...UInt64(JournalEntry.pageLimit))
            let subject = request.uri.queryParameters["subject"].map { String($0) }
            return try AdminJSON.response(
                JournalBody(
                    await plane.publisher.page(
                        before: before, subject: subject, limit: limit.map { Int($0) } ?? Journal.capacity)))
        }
        router.post("/api/v1/undo") { request, context in
            try Self.check(request, parameters: ["dryRun"])
            var wanted = try await AdminJSON.input(request).undoRequest()
            wanted.dryRun = try Self.flag("dryRun", request)
            wanted.ifMatch = Self.tags(request.headers[.ifMatch])
            let outcome = try await plane.publisher.undo(wanted, origin: context.origin)
            return try AdminJSON.response(outcome, headers: [.eTag: outcome.etag])
        }
    }

    private func addInsight(to router: Router<AdminRequestContext>) {
        let plane = self.plane
        router.get("/api/v1/status") { _, _ in try AdminJSON.response(await plane.statusBody()) }
        router.get("/api/v1/cluster") { _, _ in
            guard let agreement = plane.publisher.agreement else {
                throw AdminFailure(status: .notFound, "this balancer is alone: its file has no \"cluster\"")
            }
            return try AdminJSON.response(await agreement.body())
        }
        router.get("/api/v1/certificates") { _, _ in try AdminJSON.response(await plane.certificatesBody()) }
        router.get("/api/v1/explain") { request, _ in
            let parameters = request.uri.queryParameters
            // In a field a plus sign is a blank, as forms and most clients write it: a field has blanks, a path has none.
            let question = try RouteQuestion(
                host: parameters["host"].map { String($0) } ?? "", path: parameters["path"].map { String($0) } ?? "/",
                method: parameters["method"].map { String($0) } ?? "GET",
                headers: Self.values(of: "header", in: request.uri.query ?? ""),
                client: parameters["client"].map { String($0) },
                listener: parameters["listener"].map { String($0) })
            let view = await plane.publisher.current
            var explanation = question.answer(view.table, now: plane.clock.monotonic())
            if let route = explanation.route, let words = view.state.planWords(of: route) {
                explanation.reasons.append(words)
            }
            if let name = parameters["serverName"] {
                let question = CertificateQuestion(
                    serverName: String(name), host: parameters["host"].map { String($0) } ?? "",
                    listener: parameters["listener"].map { String($0) })
                let listeners = await plane.reloader.listeners
                let certificates = await plane.reloader.certificates
                explanation.reasons.insert(contentsOf: question.answer(listeners, certificates), at: 0)
            }
            return try AdminJSON.response(explanation)
        }
        router.get("/api/v1/limits") { request, _ in
            let question = try Self.limitQuestion(request)
            let view = await plane.publisher.current
            return try AdminJSON.response(question.answer(view.table, now: plane.clock.monotonic()))
        }
        router.delete("/api/v1/limits") { request, context in
            try Self.check(request, parameters: ["route", "rule", "key"])
            let question = try Self.limitQuestion(request)
            return try AdminJSON.response(await plane.publisher.forgive(question, origin: context.origin))
        }
        router.get("/api/v1/openapi.json") { _, _ in
            Self.text(OpenAPIDocument.text, type: "application/json")
        }
    }

    private struct AdministrativeBody: Encodable {
        var address: String
        var administrative: String
        /// Upstreams of which the address is an endpoint.
        var upstreams: [String]
        /// What an operator should know before relying on it.
        var warnings: [String]
        /// nil: there are no others.
        var replicas: ReplicaCount?
    }

    // MARK: fields and parameters

    private static func limitQuestion(_ request: Request) throws(ChangeRefused) -> LimitQuestion {
        let parameters = request.uri.queryParameters
        return try LimitQuestion(
            route: parameters["route"].map { String($0) }, rule: parameters["rule"].map { String($0) },
            key: parameters["key"].map { String($0) })
    }

    /// A segment of the path, decoded: clients may write the colon of an address either way.
    static func segment(_ name: String, _ context: AdminRequestContext) throws -> String {
        let text = try context.parameters.require(name)
        return PercentCoding.decoded(text) ?? text
    }

    /// Every value of a parameter of a query, decoded as forms are: a plus sign is a blank, `%2B` is a plus sign.
    private static func values(of name: String, in query: String) -> [String] {
        query.split(separator: "&").compactMap { pair in
            guard pair.hasPrefix(name + "=") else { return nil }
            let value = String(pair.dropFirst(name.count + 1).map { $0 == "+" ? " " : $0 })
            return PercentCoding.decoded(value) ?? value
        }
    }

    /// Entity tags of an If-Match field. A weak tag is kept as written: it equals no strong one (RFC 9110 13.1.1).
    static func tags(_ field: String?) -> [String] {
        guard let field else { return [] }
        return field.split(separator: ",", omittingEmptySubsequences: false).map { tag in
            String(tag.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
        }
    }

    /// Refuses a change with parameters that are not known or given twice: a misspelt `dryRun` must not change anything.
    static func check(
        _ request: Request, parameters known: [String], _ error: String = "nothing was changed"
    ) throws {
        var seen: Set<String> = []
        let problems = request.uri.queryParameters.compactMap { name, _ -> ControlProblem? in
            let name = String(name)
            let fault: String? =
                if !known.contains(name) {
                    "unknown parameter" + Suggestion.text(for: name, among: known)
                } else {
                    seen.insert(name).inserted ? nil : "was already given"
                }
            return fault.map { ControlProblem(path: "?\(name)", message: $0) }
        }
        guard problems.isEmpty else {
            throw AdminFailure(status: .unprocessableContent, error, problems: problems)
        }
    }

    private static func number(
        _ name: String, _ request: Request, _ range: ClosedRange<UInt64>
    ) throws -> UInt64? {
        guard let text = request.uri.queryParameters[Substring(name)] else { return nil }
        guard let number = UInt64(text), range.contains(number) else {
            throw AdminFailure(
                status: .unprocessableContent, "nothing is answered",
                problems: [
                    ControlProblem(
                        path: "?\(name)",
                        message: "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
                ])
        }
        return number
    }

    static func flag(_ name: String, _ request: Request) throws -> Bool {
        switch request.uri.queryParameters[Substring(name)] {
        case nil, "false"?: return false
        case "true"?, ""?: return true
        default:
            throw AdminFailure(
                status: .unprocessableContent, "nothing was changed",
                problems: [ControlProblem(path: "?\(name)", message: "expected true or false")])
        }
    }
}
