import HTTPTypes
import Hummingbird
import NIOCore

/// Answers without any database: health checks, and for a retired core where the API went.
package struct BareResponder: HTTPResponder {
    package typealias Context = BasicRequestContext

    private let health: Reply
    private let other: Reply
    private let operations: Operations
    private let identity: HTTPField?

    init(_ configuration: GatewayConfiguration, metrics: GatewayMetrics, drain: Drain) {
        operations = Operations(store: nil, metrics: metrics, drain: drain, deadline: configuration.deadline)
        health = Health.gateway
        other =
            configuration.service == .retired
            ? Reply(
                status: .notFound, contentType: Reply.text,
                body: ByteBuffer(
                    string: "The API is served by the gateway now; this process only answers /healthcheck.\n"))
            : .notFound
        identity = Preflight.identity(configuration)
    }

    /// Asked when a response is ready, not when its request came.
    private var isLast: Bool { operations.drain.isBegun }

    package func respond(to request: Request, context: Context) async throws -> Response {
        var response = try await answer(request)
        if let identity { response.headers.append(identity) }
        return response
    }

    private func answer(_ request: Request) async throws -> Response {
        if let response = Preflight.response(to: request, isLast: isLast) { return response }
        switch try await BodyCheck.verdict(on: request) {
        case .acceptable: break
        case .malformed: return Reply.badRequest.response(to: request, varyEncoding: false, isLast: isLast)
        case .tooLarge: return Reply.tooLarge.response(to: request, varyEncoding: false, isLast: isLast)
        }
        var path = RequestTarget.path(request.head.path ?? "/")
        // In this mode nothing stands before the router, which forgives one slash at the end.
        if path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        return await reply(path, request.method).response(to: request, varyEncoding: false, isLast: isLast)
    }

    private func reply(_ path: Substring, _ method: HTTPRequest.Method) async -> Reply {
        guard method == .get || method == .head else { return other }
        if path.utf8.lowercasedEquals("/healthcheck") { return health }
        return await operations.reply(path) ?? other
    }
}
