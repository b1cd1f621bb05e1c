import Documents
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Answers every request: the stages of the legacy server, outermost first.
package struct GatewayResponder: HTTPResponder {
    package typealias Context = BasicRequestContext

    private let resources: Resources
    private let routes = RouteTable()
    private let cache: ResponseCache<Reply>
    private let flights = SingleFlight<Reply>()
    /// How long a request may wait for all its queries.
    private let deadline: Duration
    private let metrics: GatewayMetrics
    private let operations: Operations
    private let documentation = DocumentationPage()
    let health: Reply
    /// nil when the process does not stand in for the core.
    private let core: CoreStandIn?
    private let ledger: Ledger
    private let failures: FailureLog
    private let identity: HTTPField?

    init(
        _ configuration: GatewayConfiguration, store: any DocumentStore, cache: ResponseCache<Reply>,
        ledger: Ledger, drain: Drain, upSince: Int64, logger: Logger
    ) {
        self.ledger = ledger
        let metrics = ledger.metrics
        resources = Resources(
            store: store,
            options: .init(limitCap: configuration.limitCap, redactsAddresses: configuration.redactsAddresses))
        self.cache = cache
        self.metrics = metrics
        failures = FailureLog(logger)
        operations = Operations(
            store: store, metrics: metrics, drain: drain, deadline: configuration.deadline, failures: failures)
        deadline = configuration.deadline
        core = configuration.role == .core ? CoreStandIn(upSince: upSince) : nil
        health = core?.health ?? Health.gateway
        identity = Preflight.identity(configuration)
    }

    /// Asked when a response is ready, not when its request came.
    private var isLast: Bool { operations.drain.isBegun }

    package func respond(to request: Request, context: Context) async throws -> Response {
        let start = ContinuousClock.now
        let (reply, response) = try await answer(request)
        ledger.record(request, reply, response, .now - start)
        guard let identity else { return response }
        var named = response
        named.headers.append(identity)
        return named
    }

    private func answer(_ request: Request) async throws -> (Reply, Response) {
        if let response = Preflight.response(to: request, isLast: isLast) { return (.noContent, response) }
        let refusal: Reply? =
            switch try await BodyCheck.verdict(on: request) {
            case .acceptable: nil
            case .malformed: .badRequest
            case .tooLarge: .tooLarge
            }
        if let refusal { return (refusal, refusal.response(to: request, varyEncoding: true, isLast: isLast)) }

        let target = request.head.path ?? "/"
        let isRead = request.method == .get || request.method == .head
        let reply: Reply
        if isRead, let kept = cache.body(for: target, now: .now) {
            metrics.countHit(kept.route)
            reply = kept
        } else {
            reply = await self.reply(target, isRead: isRead)
        }
        if isRead, reply.status == .ok, Conditional.isFresh(request.headers) {
            return (reply, Reply(status: .notModified).response(to: request, varyEncoding: true, isLast: isLast))
        }
        return (reply, reply.response(to: request, varyEncoding: true, isLast: isLast))
    }

    private func reply(_ target: String, isRead: Bool) async -> Reply {
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
        do {
            return try await flights.value(for: target, within: deadline) {
                let answer = try await QueryDeadline.$current.withValue(.now + deadline) {
                    try await resources.answer(match)
                }
                switch answer {
                case .nothing:
                    return Reply(status: .noContent, route: .route(match.route))
                case .json(let body, let isKept):
                    let reply = Reply.ok(Reply.json, body, .route(match.route))
                    if isKept && match.route.isCached { cache.store(reply, for: target, now: .now) }
                    return reply
                }
            }
        } catch {
            if error is StoreError || error as? ResourceError == .deadline { metrics.countDatabaseError() }
            failures.record(error, route: match.route.template)
            // The one route whose failures have always looked like an absence.
            if match.route == .candidate { return Reply(status: .noContent, route: .route(match.route)) }
            var failure = Reply.failure
            failure.route = .route(match.route)
            return failure
        }
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
            to: request, varyEncoding: false, isLast: isLast,
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
