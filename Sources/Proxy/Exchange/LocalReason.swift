import HTTPWire
import Traffic

/// Why the balancer answered by itself: status and the word that `X-Balancer-Reason` and the access log carry.
enum LocalReason: UInt8 {
    case noRoute, redirect, respond, connectRefused
    case badRequest, bodyTooLarge, headerTimeout, bodyTimeout, badChunk, clientClosed
    case noEndpoint, queueFull, queueTimeout
    case refused, reset, connectTimeout, unreachable, closedEarly, responseTimeout, badResponse
    case unexpectedUpgrade, uploadStalled, endpointDown, truncated, shutdown, shortage
    case bodyTooSlow, answerTooLarge, loop, noForwards, traceRefused, badFieldName, heldTooMuch, misdirected,
        handshakeFailed, certificateInvalid, notNegotiated
    case streamReset, streamRefused, leftBehind, unfitForGRPC
    case addressDenied, rateLimited, unauthorized, authFailures, authBusy
    case headTooLarge

    var word: StaticString {
        switch self {
        case .noRoute: "no-route"
        case .redirect: "redirect"
        case .respond: "answered-by-route"
        case .connectRefused: "connect-method"
        case .badRequest: "bad-request"
        case .bodyTooLarge: "body-too-large"
        case .headerTimeout: "request-header-timeout"
        case .bodyTimeout: "request-body-timeout"
        case .badChunk: "bad-chunk"
        case .clientClosed: "client-closed"
        case .noEndpoint: "no-endpoint-available"
        case .queueFull: "queue-full"
        case .queueTimeout: "queue-timeout"
        case .refused: "connection-refused"
        case .reset: "connection-reset"
        case .connectTimeout: "connect-timeout"
        case .unreachable: "unreachable"
        case .closedEarly: "closed-before-response"
        case .responseTimeout: "response-header-timeout"
        case .badResponse: "bad-response"
        case .unexpectedUpgrade: "unexpected-upgrade"
        case .uploadStalled: "upload-stalled"
        case .endpointDown: "endpoint-went-down"
        case .truncated: "response-truncated"
        case .shutdown: "shutdown"
        case .shortage: "limit"
        case .bodyTooSlow: "request-body-too-slow"
        case .headTooLarge: "too-large-for-endpoint"
        case .answerTooLarge: "response-head-too-large"
        case .loop: "loop"
        case .noForwards, .traceRefused: "max-forwards"
        case .heldTooMuch: "client-too-slow"
        case .misdirected: "misdirected"
        case .handshakeFailed: "tls-handshake-failed"
        case .certificateInvalid: "certificate-invalid"
        case .notNegotiated: "protocol-not-negotiated"
        case .streamReset, .streamRefused, .leftBehind: "stream-reset"
        case .unfitForGRPC: "grpc-needs-http2"
        case .addressDenied: "address-denied"
        case .rateLimited: "rate-limited"
        case .unauthorized: "unauthorized"
        case .authFailures: "auth-failures"
        case .authBusy: "auth-busy"
        case .badFieldName: "underscore-in-field-name"
        }
    }

    var status: UInt16 {
        switch self {
        case .noRoute, .respond: 404
        case .redirect: 308
        case .connectRefused, .traceRefused: 405
        case .badRequest, .badChunk, .badFieldName: 400
        case .addressDenied: 403
        case .rateLimited, .authFailures: 429
        case .unauthorized: 401
        case .bodyTooLarge: 413
        case .headerTimeout, .bodyTimeout, .bodyTooSlow: 408
        case .clientClosed, .heldTooMuch: 499
        case .noEndpoint, .queueFull, .queueTimeout, .shutdown, .shortage, .authBusy: 503
        case .refused, .reset, .unreachable, .closedEarly, .badResponse, .unexpectedUpgrade,
            .endpointDown, .truncated, .answerTooLarge, .handshakeFailed, .certificateInvalid, .notNegotiated,
            .streamReset, .streamRefused, .leftBehind, .unfitForGRPC:
            502
        case .headTooLarge: 431
        case .loop: 508
        case .misdirected: 421
        case .noForwards: 200
        case .connectTimeout, .responseTimeout, .uploadStalled: 504
        }
    }

    /// What it means for another attempt.
    var attemptFailure: AttemptFailure {
        switch self {
        case .refused: .refused
        case .connectTimeout, .unreachable, .handshakeFailed, .certificateInvalid, .notNegotiated: .notConnected
        case .reset, .closedEarly, .endpointDown, .badResponse, .streamReset: .lost
        case .streamRefused: .refusedRequest
        case .leftBehind: .leftBehind
        default: .final
        }
    }

    /// Seconds for `Retry-After`; nil where trying again soon would not help.
    var retryAfter: UInt64? {
        switch self {
        case .noEndpoint, .queueFull, .queueTimeout, .shutdown, .shortage, .authBusy: 1
        default: nil
        }
    }
}
