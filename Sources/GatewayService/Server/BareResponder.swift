import HTTPTypes
import Hummingbird
import NIOCore

/// Answers without any database: health checks, and for a retired core where the API went.
package struct BareResponder: HTTPResponder {
    package typealias Context = GatewayContext

    private let isRetired: Bool
    private let operations: Operations
    private let ledger: Ledger
    private let identity: HTTPField?

    private static let gone = Reply(
        status: .notFound, contentType: Reply.text,
        body: Body("The API is served by the gateway now; this process only answers health checks.\n"))

    init(_ configuration: GatewayConfiguration, connections: Connections, ledger: Ledger, drain: Drain) {
        // A gateway without its API has nothing for whoever is sent to it. A core has done with the API on purpose.
        let isUseless = configuration.role == .gateway && configuration.service == .healthOnly
        operations = Operations(
            store: nil, mustHave: [], metrics: ledger.metrics, drain: drain, deadline: configuration.deadline,
            connections: connections,
            obstacle: isUseless ? "health checks only, by server.enable or server.onlyHealth" : nil)
        self.ledger = ledger
        isRetired = configuration.service == .retired
        identity = Preflight.identity(configuration)
    }

    /// Asked when a response is ready, not when its request came.
    private var isLast: Bool { operations.drain.isBegun }

    package func respond(to request: Request, context: Context) async throws -> Response {
        let start = ContinuousClock.now
        var (reply, response) = try await answer(request)
        ledger.record(request, reply, response, .now - start)
        if let identity { response.headers.append(identity) }
        return response
    }

    private func answer(_ request: Request) async throws -> (Reply, Response) {
        let reply: Reply
        if isRetired {
            // No API, hence nothing to be asked of it from elsewhere, and no body to be understood.
            reply = await self.reply(request)
        } else {
            if let response = Preflight.response(to: request, isLast: isLast) { return (.noContent, response) }
            switch try await BodyCheck.verdict(on: request) {
            case .acceptable: reply = await self.reply(request)
            case .malformed: reply = .badRequest
            case .tooLarge: reply = .tooLarge
            }
        }
        return (reply, reply.response(to: request, varyEncoding: false, isLast: isLast, over: nil))
    }

    private func reply(_ request: Request) async -> Reply {
        let other = isRetired ? Self.gone : .notFound
        guard request.method == .get || request.method == .head else { return other }
        var path = RequestTarget.path(request.head.path ?? "/")
        // In this mode nothing stands before the router, which forgives one slash at the end.
        if path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        if path.utf8.lowercasedEquals("/healthcheck") { return Health.gateway }
        // Of a retired core nothing is left that could be ready or be measured.
        if isRetired { return path == "/livez" ? Operations.alive : other }
        return await operations.reply(path) ?? other
    }
}
