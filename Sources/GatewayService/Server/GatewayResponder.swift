import Documents
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Answers every request: the stages of the legacy server, outermost first.
package struct GatewayResponder: HTTPResponder {
    package typealias Context = GatewayContext

    /// An answer, before it is known which requests get it.
    private struct Made: Sendable {
        let reply: Reply
        let isKept: Bool
    }

    /// Longer targets than these are made anew each time: keys are memory too.
    private static let longestKey = 16 * 1024

    private let resources: Resources
    private let routes = RouteTable()
    private let cache: ResponseCache<Reply>
    private let flights = SingleFlight<Made>()
    private let budget: MemoryBudget
    private let costs = AnswerCosts()
    /// How long a request may wait for all its queries.
    private let deadline: Duration
    private let metrics: GatewayMetrics
    private let operations: Operations
    private let documentation: DocumentationPage
    private let encoding: BodyEncoding
    /// How long an answer may be used that is told from others by its tag; nil when answers have no tags.
    private let freshFor: Duration?
    let health: Reply
    /// nil when the process does not stand in for the core.
    private let core: CoreStandIn?
    private let ledger: Ledger
    private let failures: FailureLog
    private let identity: HTTPField?

    init(
        _ configuration: GatewayConfiguration, store: any DocumentStore, cache: ResponseCache<Reply>,
        connections: Connections, ledger: Ledger, drain: Drain, upSince: Int64, failures: FailureLog
    ) {
        self.ledger = ledger
        budget = connections.budget
        let metrics = ledger.metrics
        resources = Resources(
            store: store,
            options: .init(limitCap: configuration.limitCap, redactsAddresses: configuration.redactsAddresses))
        encoding = BodyEncoding(
            configuration.codings, budget: connections.budget, metrics: metrics, limit: configuration.deadline)
        documentation = DocumentationPage(encoding)
        freshFor = configuration.sendsValidators ? configuration.cacheLifetime : nil
        self.cache = cache
        self.metrics = metrics
        self.failures = failures
        operations = Operations(
            store: store, mustHave: configuration.mustHave, metrics: metrics, drain: drain,
            deadline: configuration.deadline, connections: connections, cache: cache, failures: failures)
        deadline = configuration.deadline
        core = configuration.role == .core ? CoreStandIn(upSince: upSince) : nil
        health = core?.health ?? Health.gateway
        identity = Preflight.identity(configuration)
    }

    /// Asked when a response is ready, not when its request came.
    private var isLast: Bool { operations.drain.isBegun }

    package func respond(to request: Request, context: Context) async throws -> Response {
        let start = ContinuousClock.now
        metrics.beginRequest()
        defer { metrics.endRequest() }
        let (reply, response) = try await answer(request, context.channel)
        ledger.record(request, reply, response, .now - start)
        guard let identity else { return response }
        var named = response
        named.headers.append(identity)
        return named
    }

    private func answer(_ request: Request, _ channel: any Channel) async throws -> (Reply, Response) {
        if let response = Preflight.response(to: request, isLast: isLast) { return (.noContent, response) }
        let refusal: Reply? =
            switch try await BodyCheck.verdict(on: request) {
            case .acceptable: nil
            case .malformed: .badRequest
            case .tooLarge: .tooLarge
            }
        if let refusal {
            return (refusal, refusal.response(to: request, varyEncoding: true, isLast: isLast, over: channel))
        }

        let target = request.head.path ?? "/"
        let isRead = request.method == .get || request.method == .head
        var reply: Reply
        var left = Duration.zero
        if isRead, let kept = cache.entry(for: target, now: .now) {
            metrics.countHit(kept.body.route)
            reply = kept.body
            left = kept.left
        } else {
            reply = await self.reply(target, request.method)
            if case .route(let route) = reply.route, route.isCached { left = freshFor ?? .zero }
        }
        if isRead, reply.status == .ok {
            var unchanged = Reply(status: .notModified)
            var isFresh = Conditional.isFresh(request.headers)
            if let tag = reply.body?.tag, reply.more.isEmpty {
                reply.more.append(Reply.maxAge(left))
                let known = Conditional.known(tag, request.headers)
                isFresh = isFresh || known != nil
                unchanged.more = [HTTPField(name: .eTag, value: "\"\(known ?? tag)\"")] + reply.more
            }
            if isFresh {
                return (
                    reply, unchanged.response(to: request, varyEncoding: true, isLast: isLast, over: channel)
                )
            }
        }
        reply = await encoding.reply(reply, accepting: request.headers[values: .acceptEncoding])
        return (reply, reply.response(to: request, varyEncoding: true, isLast: isLast, over: channel))
    }

    private func reply(_ target: String, _ method: HTTPRequest.Method) async -> Reply {
        // Any answer of 200 would open a tunnel (RFC 9110, section 9.3.6).
        if method == .connect { return .notFound }
        let isRead = method == .get || method == .head
        let path = RequestTarget.path(target)
        // Before the API, and for every method: the documentation owns whatever ends in a slash.
        if path.utf8.last == UInt8(ascii: "/") { return documentation.page }
        if path == "/favicon.png", let icon = documentation.file(path) { return icon }
        guard isRead else { return .notFound }
        if let match = routes.match(path) { return await answer(match, target) }
        if path.utf8.lowercasedEquals("/healthcheck") { return health }
        if let reply = core?.reply(path) { return reply }
        if let reply = await operations.reply(path) { return reply }
        return documentation.file(path) ?? .notFound
    }

    private func answer(_ match: RouteTable.Match, _ target: String) async -> Reply {
        let question = match.question
        do {
            let made = try await flights.value(for: question, within: deadline) { try await make(match, question) }
            if made.isKept, target.utf8.count <= Self.longestKey {
                cache.store(made.reply, for: target, question: question, now: .now)
            }
            return made.reply
        } catch {
            return failure(error, match, target)
        }
    }

    /// Makes an answer once for all who ask the same at the same time, in whatever words.
    private func make(_ match: RouteTable.Match, _ question: String) async throws -> Made {
        let end = ContinuousClock.now + deadline
        guard let lease = await budget.lease(costs.expected(match.route), within: deadline / 2) else {
            throw ResourceError.outOfMemory
        }
        defer { costs.record(lease.taken, of: match.route) }
        let answer = try await QueryMemory.$current.withValue(lease) {
            try await QueryDeadline.$current.withValue(end) { try await resources.answer(match) }
        }
        switch answer {
        case .nothing:
            return Made(reply: Reply(status: .noContent, route: .route(match.route)), isKept: false)
        case .json(var body, let isKept):
            // As long as nothing has changed, all who have asked share the memory of one answer.
            if let known = cache.newest(to: question), known.body == body { body = known.body ?? body }
            if body.lease == nil { body.lease = budget.charge(body.storage) }
            body = encoding.prepared(body)
            if freshFor != nil, body.tag == nil { body.tag = BodyHash.text(of: body) }
            return Made(
                reply: Reply.ok(Reply.json, body, .route(match.route)), isKept: isKept && match.route.isCached)
        }
    }

    private func failure(_ error: any Error, _ match: RouteTable.Match, _ target: String) -> Reply {
        let cause = Cause(error)
        if error is StoreError || cause == .database, cause != .busy { metrics.count(DatabaseFailure(error)) }
        if cause == .busy { metrics.countRefusal() }
        failures.record(error, route: match.route.template)
        if cause != .answer, let stale = cache.stale(for: target, now: .now) {
            metrics.countStale()
            var reply = stale.body
            reply.more = Self.staleness(stale.age)
            return reply
        }
        var reply = cause == .busy ? Reply.busy : Reply.failure
        // The one route whose failures have always looked like an absence. That we have no time is no absence.
        if match.route == .candidate, cause != .busy { reply = .noContent }
        reply.route = .route(match.route)
        return reply
    }

    private static func staleness(_ age: Duration) -> [HTTPField] {
        var fields = [HTTPField(name: .age, value: String(age.components.seconds))]
        if let name = HTTPField.Name("Warning") {
            fields.append(HTTPField(name: name, value: #"110 - "Response is Stale""#))
        }
        return fields
    }

    /// What is behind a request without an answer.
    private enum Cause {
        /// Too much is going on: nothing was asked.
        case busy
        /// The database was not there in time.
        case database
        /// There is an answer, and it is an error.
        case answer

        init(_ error: any Error) {
            self =
                switch error {
                case StoreError.overloaded, StoreError.outOfMemory, ResourceError.outOfMemory: .busy
                case StoreError.unavailable, StoreError.unauthorized, StoreError.timedOut, ResourceError.deadline:
                    .database
                default: .answer
                }
        }
    }
}

extension RouteTable.Match {
    /// The same for all targets that ask the same.
    fileprivate var question: String {
        parameters.reduce(into: route.rawValue) { text, parameter in
            // No parameter can be mistaken for two.
            text += " \(parameter.utf8.count) \(parameter)"
        }
    }
}

/// What is known of a request beside itself: where it came from.
package struct GatewayContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    let channel: any Channel

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

extension Substring.UTF8View {
    /// Whether these bytes are `text`, which is in lower case, in any letter case.
    func lowercasedEquals(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { expected in
            count == expected.count && zip(self, expected).allSatisfy { $0.lowercasedASCII == $1 }
        }
    }
}

/// The legacy server's one conditional answer: its responses carry no validators, so only the wildcard can match.
enum Conditional {
    static func isFresh(_ headers: HTTPFields) -> Bool {
        guard headers[.ifNoneMatch] == "*", headers[.ifModifiedSince] == nil else { return false }
        guard let control = headers[.cacheControl] else { return true }
        return !control.split(separator: ",").contains { $0.allSatisfy(\.isASCII) && $0.trimmingSpace == "no-cache" }
    }

    /// The tag by which a client knows the body, in its own form or another.
    ///
    /// - Parameter tag: the body's own, without quotes.
    static func known(_ tag: String, _ headers: HTTPFields) -> String? {
        let ours = [tag] + ContentCoding.allCases.map { "\(tag)-\($0.rawValue)" }
        for field in headers[values: .ifNoneMatch] {
            for member in field.split(separator: ",") {
                // Whether a client holds it for weak changes nothing here, RFC 9110 §13.1.2.
                var name = member.trimmingSpace
                if name.hasPrefix("W/") { name = name.dropFirst(2) }
                guard name.count > 2, name.first == "\"", name.last == "\"" else { continue }
                if let known = ours.first(where: { $0 == name.dropFirst().dropLast() }) { return known }
            }
        }
        return nil
    }
}

extension Substring {
    fileprivate var trimmingSpace: Substring {
        var rest = drop(while: \.isWhitespace)
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return rest
    }
}

/// CORS preflights, which are answered on every path before anything else is looked at.
enum Preflight {
    static func response(to request: Request, isLast: Bool) -> Response? {
        guard request.method == .options, request.headers[.accessControlRequestMethod]?.isEmpty == false else {
            return nil
        }
        return Reply.noContent.response(
            to: request, varyEncoding: false, isLast: isLast, over: nil,
            more: [
                HTTPField(name: .accessControlAllowMethods, value: "GET,PUT,POST,PATCH,DELETE,HEAD,OPTIONS"),
                HTTPField(
                    name: .accessControlAllowHeaders, value: request.headers[.accessControlRequestHeaders] ?? ""),
            ])
    }

    /// The header that tells replicas apart, nil unless it was asked for.
    static func identity(_ configuration: GatewayConfiguration) -> HTTPField? {
        guard let identity = configuration.identity, let name = HTTPField.Name("X-Served-By") else { return nil }
        return HTTPField(name: name, value: identity)
    }
}
