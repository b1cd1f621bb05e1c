import HTTPTypes
import Hummingbird
import NIOCore

/// What goes back to the client, before the headers that depend on the request.
struct Reply: Sendable {
    var status: HTTPResponse.Status
    /// nil for no Content-Type.
    var contentType: String?
    /// nil for no body and no Content-Length.
    var body: Body?
    /// Whether CORS and Vary headers survive; errors wipe them.
    var isError = false
    /// What is said beside what every answer says.
    var more: [HTTPField] = []
    /// The form that the body has; nil for its own.
    var coding: ContentCoding?
    /// What was asked for, as the metrics count it.
    var route = GatewayMetrics.Kind.unknown

    private static let keepAlive = HTTPField.Name("Keep-Alive") ?? .connection

    static let json = "application/json; charset=utf-8"
    static let text = "text/plain; charset=utf-8"
    static let html = "text/html; charset=utf-8"

    static let notFound = Reply(status: .notFound, contentType: text, body: Body("Not Found"))
    static let noContent = Reply(status: .noContent)
    static let failure = Reply(
        status: .internalServerError, contentType: text, body: Body("Internal Server Error"),
        isError: true)
    static let badRequest = Reply(
        status: .badRequest, contentType: text, body: Body("Bad Request"), isError: true)
    static let tooLarge = Reply(
        status: .contentTooLarge, contentType: text, body: Body("request entity too large"), isError: true
    )

    /// Refused because too much is going on; worth another try.
    static let busy = Reply(
        status: .serviceUnavailable, contentType: text, body: Body("Service Unavailable"), isError: true,
        more: [HTTPField(name: .retryAfter, value: "2")])

    static func ok(_ type: String, _ body: Body, _ route: GatewayMetrics.Kind) -> Reply {
        Reply(status: .ok, contentType: type, body: body, route: route)
    }

    /// The response to `request`: without the body for HEAD, with CORS and Vary unless the reply is an error.
    ///
    /// The fields stand in the order in which the legacy server sends them.
    ///
    /// - Parameters:
    ///   - isLast: the connection ends after it.
    ///   - channel: where it goes, told of large bodies; nil when nobody there counts them.
    ///   - more: what else is said about other origins.
    func response(
        to request: Request, varyEncoding: Bool, isLast: Bool, over channel: (any Channel)?, more: [HTTPField] = []
    ) -> Response {
        var headers = HTTPFields()
        if !isError {
            headers[.vary] = varyEncoding ? "Origin, Accept-Encoding" : "Origin"
            headers[.accessControlAllowOrigin] = Self.allowedOrigin(request.headers[.origin])
        }
        for field in more + self.more { headers.append(field) }
        let isHead = request.method == .head
        // A HEAD that finds no route tells nothing of the body it does not send.
        let isBare = body == nil || isHead && status == .notFound
        if let contentType, !isBare { headers[.contentType] = contentType }
        if let coding, !isBare { headers[.contentEncoding] = coding.rawValue }
        if let tag = body?.tag, status == .ok { headers[.eTag] = "\"\(tag)\"" }
        if let body, !isBare { headers[.contentLength] = String(body.count) }
        // Its place only: the time is filled in last.
        headers[.date] = ""
        // In one form only: see ExchangeHandler.
        if isLast || request.headers[.connection] == "close" {
            headers[.connection] = "close"
        } else {
            headers[.connection] = "keep-alive"
            headers[Self.keepAlive] = "timeout=5"
        }
        if let body, !isHead {
            return Response(status: status, headers: headers, body: Self.stream(body, over: channel))
        }
        var response = Response(status: status, headers: headers)
        if isBare { response.headers[.contentLength] = nil }
        return response
    }

    /// How long it may be used without asking again.
    static func maxAge(_ left: Duration) -> HTTPField {
        HTTPField(name: .cacheControl, value: "max-age=\(max(0, left.components.seconds))")
    }

    /// Whoever asks; everybody when nobody says who asks.
    static func allowedOrigin(_ origin: String?) -> String {
        guard let origin, !origin.isEmpty else { return "*" }
        return origin
    }

    /// A body that is sent a piece at a time, as the client takes it.
    private static func stream(_ body: Body, over channel: (any Channel)?) -> ResponseBody {
        guard let channel, body.lease != nil, body.count >= Connections.watchedBody else {
            if body.pieces.count < 2 { return ResponseBody(byteBuffer: body.pieces.first ?? ByteBuffer()) }
            return ResponseBody(contentLength: body.count) { writer in
                for piece in body.pieces { try await writer.write(piece) }
                try await writer.finish(nil)
            }
        }
        return ResponseBody(contentLength: body.count) { writer in
            channel.triggerUserOutboundEvent(BodyBegins(), promise: nil)
            for piece in body.pieces { try await writer.write(piece) }
            try await writer.finish(nil)
            channel.triggerUserOutboundEvent(BodyEnds(body: body), promise: nil)
        }
    }
}
