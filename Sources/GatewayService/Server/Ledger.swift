import HTTPTypes
import Hummingbird
import NIOHTTP1

/// Counts and logs what was answered, whoever answers it.
struct Ledger: Sendable {
    let metrics: GatewayMetrics
    /// nil when requests are not logged.
    let log: RequestLog?

    private static let requestID = HTTPField.Name("X-Request-ID") ?? .userAgent
    private static let traceParent = HTTPField.Name("traceparent") ?? .userAgent

    func record(_ request: Request, _ reply: Reply, _ response: Response, _ duration: Duration) {
        metrics.count(reply.route, status: Int(response.status.code), duration: duration)
        log?.record(
            RequestLog.Entry(
                method: request.method.rawValue, target: request.head.path ?? "", route: metrics.label(reply.route),
                status: Int(response.status.code), bytes: response.body.contentLength ?? 0, duration: duration,
                requestID: request.headers[Self.requestID], traceParent: request.headers[Self.traceParent]))
    }

    /// A read that was answered from the cache.
    func record(_ head: HTTPRequestHead, kept reply: Reply) {
        metrics.countImmediate(metrics.index(of: reply.route), isHit: true)
        log?.record(
            RequestLog.Entry(
                method: head.method.rawValue, target: head.uri, route: metrics.label(reply.route), status: 200,
                bytes: head.method == .GET ? reply.body?.count ?? 0 : 0, duration: .zero,
                requestID: head.headers.first(name: "X-Request-ID"),
                traceParent: head.headers.first(name: "traceparent")))
    }

    /// A connection that ended before there was a request: what was sent is no HTTP, or did not come to an end.
    func record(refusal status: HTTPResponseStatus) {
        metrics.count(.unknown, status: Int(status.code), duration: .zero)
        log?.record(
            RequestLog.Entry(
                method: "", target: "", route: metrics.label(.unknown), status: Int(status.code), bytes: 0,
                duration: .zero, requestID: nil, traceParent: nil))
    }
}
