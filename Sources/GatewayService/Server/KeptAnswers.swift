import HTTPTypes
import NIOCore
import NIOHTTP1
import Synchronization

/// Answers that need no work: what the cache holds. Shared by the connections' event loops and the responder.
final class KeptAnswers: Sendable {
    private let cache: ResponseCache<Reply>?
    private let metrics: GatewayMetrics
    private let identity: String?
    private let log: RequestLog?
    private let clock = DateText.HeaderClock()

    /// - Parameters:
    ///   - cache: nil for a service that keeps nothing.
    ///   - identity: the value of `X-Served-By`, nil for no such header.
    ///   - log: where requests are logged, nil for nowhere.
    init(cache: ResponseCache<Reply>?, metrics: GatewayMetrics, identity: String?, log: RequestLog?) {
        self.cache = cache
        self.metrics = metrics
        self.identity = identity
        self.log = log
    }

    /// The answer kept for a request, if it is a plain read: no body, no condition, no wish about the connection.
    func reply(to head: HTTPRequestHead) -> Reply? {
        guard let cache, head.method == .GET || head.method == .HEAD, head.version == .http1_1 else { return nil }
        for (name, _) in head.headers {
            switch name.utf8.count {
            case 10 where name.utf8.lowercasedEquals("connection"): return nil
            case 13 where name.utf8.lowercasedEquals("if-none-match"): return nil
            case 14 where name.utf8.lowercasedEquals("content-length"): return nil
            case 17 where name.utf8.lowercasedEquals("transfer-encoding"): return nil
            default: break
            }
        }
        let reply = cache.body(for: head.uri, now: .now)
        guard let reply else { return nil }
        metrics.countHit(reply.route)
        log?.record(
            RequestLog.Entry(
                method: head.method.rawValue, target: head.uri, route: metrics.label(reply.route), status: 200,
                bytes: head.method == .GET ? reply.body?.readableBytes ?? 0 : 0, duration: .zero,
                requestID: head.headers.first(name: "X-Request-ID"),
                traceParent: head.headers.first(name: "traceparent")))
        return reply
    }

    /// The head that goes before the reply's body.
    func head(of reply: Reply, to request: HTTPRequestHead) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(8)
        headers.add(name: "Vary", value: "Origin, Accept-Encoding")
        headers.add(name: "Access-Control-Allow-Origin", value: request.headers.first(name: "Origin") ?? "*")
        headers.add(name: "Connection", value: "keep-alive")
        headers.add(name: "Keep-Alive", value: "timeout=5")
        if let contentType = reply.contentType { headers.add(name: "Content-Type", value: contentType) }
        headers.add(name: "Content-Length", value: String(reply.body?.readableBytes ?? 0))
        headers.add(name: "Date", value: clock.now())
        if let identity { headers.add(name: "X-Served-By", value: identity) }
        return HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
    }
}

extension String.UTF8View {
    /// Whether these bytes are `text`, which is in lower case, in any letter case.
    func lowercasedEquals(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { expected in
            count == expected.count && zip(self, expected).allSatisfy { $0.lowercasedASCII == $1 }
        }
    }
}
