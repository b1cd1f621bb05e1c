import HTTPWire
import Testing
import Traffic

@testable import Proxy

/// Answers of the balancer's own: what each reason stands for, and every byte of them.
@Suite("The balancer's own answers") struct OwnAnswerTests {
    struct Row: Sendable {
        var reason: LocalReason
        var word: String
        var status: UInt16
        var failure = AttemptFailure.final
        var isPassing = false
    }

    private static let rows: [Row] = [
        Row(reason: .noRoute, word: "no-route", status: 404), Row(reason: .redirect, word: "redirect", status: 308),
        Row(reason: .respond, word: "answered-by-route", status: 404),
        Row(reason: .connectRefused, word: "connect-method", status: 405),
        Row(reason: .badRequest, word: "bad-request", status: 400),
        Row(reason: .bodyTooLarge, word: "body-too-large", status: 413),
        Row(reason: .headerTimeout, word: "request-header-timeout", status: 408),
        Row(reason: .bodyTimeout, word: "request-body-timeout", status: 408),
        Row(reason: .badChunk, word: "bad-chunk", status: 400),
        Row(reason: .clientClosed, word: "client-closed", status: 499),
        Row(reason: .noEndpoint, word: "no-endpoint-available", status: 503, isPassing: true),
        Row(reason: .queueFull, word: "queue-full", status: 503, isPassing: true),
        Row(reason: .queueTimeout, word: "queue-timeout", status: 503, isPassing: true),
        Row(reason: .refused, word: "connection-refused", status: 502, failure: .refused),
        Row(reason: .reset, word: "connection-reset", status: 502, failure: .lost),
        Row(reason: .connectTimeout, word: "connect-timeout", status: 504, failure: .notConnected),
        Row(reason: .unreachable, word: "unreachable", status: 502, failure: .notConnected),
        Row(reason: .closedEarly, word: "closed-before-response", status: 502, failure: .lost),
        Row(reason: .responseTimeout, word: "response-header-timeout", status: 504),
        Row(reason: .badResponse, word: "bad-response", status: 502, failure: .lost),
        Row(reason: .unexpectedUpgrade, word: "unexpected-upgrade", status: 502),
        Row(reason: .uploadStalled, word: "upload-stalled", status: 504),
        Row(reason: .endpointDown, word: "endpoint-went-down", status: 502, failure: .lost),
        Row(reason: .truncated, word: "response-truncated", status: 502),
        Row(reason: .shutdown, word: "shutdown", status: 503, isPassing: true),
        Row(reason: .shortage, word: "limit", status: 503, isPassing: true),
        Row(reason: .bodyTooSlow, word: "request-body-too-slow", status: 408),
        Row(reason: .answerTooLarge, word: "response-head-too-large", status: 502),
        Row(reason: .loop, word: "loop", status: 508), Row(reason: .noForwards, word: "max-forwards", status: 200),
        Row(reason: .traceRefused, word: "max-forwards", status: 405),
        Row(reason: .badFieldName, word: "underscore-in-field-name", status: 400),
        Row(reason: .heldTooMuch, word: "client-too-slow", status: 499),
        Row(reason: .misdirected, word: "misdirected", status: 421),
        Row(reason: .handshakeFailed, word: "tls-handshake-failed", status: 502, failure: .notConnected),
        Row(reason: .certificateInvalid, word: "certificate-invalid", status: 502, failure: .notConnected),
        Row(reason: .notNegotiated, word: "protocol-not-negotiated", status: 502, failure: .notConnected),
        Row(reason: .streamReset, word: "stream-reset", status: 502, failure: .lost),
        Row(reason: .streamRefused, word: "stream-reset", status: 502, failure: .refusedRequest),
        Row(reason: .leftBehind, word: "stream-reset", status: 502, failure: .leftBehind),
        Row(reason: .unfitForGRPC, word: "grpc-needs-http2", status: 502),
        Row(reason: .addressDenied, word: "address-denied", status: 403),
        Row(reason: .rateLimited, word: "rate-limited", status: 429),
        Row(reason: .unauthorized, word: "unauthorized", status: 401),
        Row(reason: .authFailures, word: "auth-failures", status: 429),
        Row(reason: .authBusy, word: "auth-busy", status: 503, isPassing: true),
        Row(reason: .headTooLarge, word: "too-large-for-endpoint", status: 431),
    ]

    @Test("Each reason has its word, its status, what it means for another attempt, and when to come again")
    func reasons() {
        for row in Self.rows {
            #expect("\(row.reason.word)" == row.word)
            #expect(row.reason.status == row.status, "\(row.word)")
            #expect(row.reason.attemptFailure == row.failure, "\(row.word)")
            #expect(row.reason.retryAfter == (row.isPassing ? 1 : nil), "\(row.word)")
        }
        // All there are: their raw values have no gap.
        #expect(Set(Self.rows.map(\.reason.rawValue)) == Set(0..<UInt8(Self.rows.count)))
        #expect(LocalReason(rawValue: UInt8(Self.rows.count)) == nil)
    }

    private func fields(_ answer: LocalAnswer) -> String {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 1)
        defer { room.deallocate() }
        var writer = ByteWriter(room)
        answer.writeFields(date: DateField(seconds: 0), into: &writer)
        return String(decoding: room[..<writer.count], as: UTF8.self)
    }

    private func body(_ answer: LocalAnswer) -> String {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 1)
        defer { room.deallocate() }
        var writer = ByteWriter(room)
        answer.writeBody(into: &writer)
        return String(decoding: room[..<writer.count], as: UTF8.self)
    }

    private static let start = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    private static let id = "X-Request-ID: 00000000000000010000000000000002\r\n"
    private static let text = "Content-Type: text/plain; charset=utf-8\r\n"

    @Test("A body is as long as is announced, whatever it explains and in whatever form", arguments: [nil, "bare-lf"])
    func lengths(detail: String?) {
        for status in [200, 308, 404, 413, 421, 499, 502, 503] as [UInt16] {
            for (explains, takesJSON) in [(true, true), (true, false), (false, true), (false, false)] {
                let answer = LocalAnswer(
                    status: status, word: "no-route", detail: detail, requestID: (1, 2), explains: explains,
                    takesJSON: takesJSON)
                #expect(self.body(answer).utf8.count == answer.bodyLength, "\(status) \(explains) \(takesJSON)")
            }
        }
        let refusal = LocalAnswer(
            status: 200, word: "no-route", grpc: LocalAnswer.GRPCStatus(number: 14), requestID: (1, 2), explains: true,
            takesJSON: false)
        #expect(refusal.bodyLength == 0)
    }

    @Test("Bodies say status and reason, or the status alone")
    func bodies() {
        func body(_ explains: Bool, _ takesJSON: Bool, detail: String? = nil) -> String {
            self.body(
                LocalAnswer(
                    status: 404, word: "no-route", detail: detail, requestID: (1, 2), explains: explains,
                    takesJSON: takesJSON))
        }
        #expect(body(true, false) == "404 Not Found: no-route\n")
        #expect(body(true, false, detail: "bare-lf") == "404 Not Found: bare-lf\n")
        #expect(body(false, false, detail: "bare-lf") == "404 Not Found\n")
        #expect(body(true, true) == "{\"status\":404,\"error\":\"Not Found\",\"reason\":\"no-route\"}\n")
        #expect(body(true, true, detail: "x") == "{\"status\":404,\"error\":\"Not Found\",\"reason\":\"x\"}\n")
        #expect(body(false, true) == "{\"status\":404,\"error\":\"Not Found\",\"reason\":\"\"}\n")
    }

    @Test("Fields are in this order, and no other stands among them")
    func lines() {
        var answer = LocalAnswer(status: 503, word: "queue-full", requestID: (1, 2), explains: true, takesJSON: false)
        #expect(self.fields(answer) == Self.start + "X-Balancer-Reason: queue-full\r\n" + Self.id + Self.text)
        answer.explains = false
        #expect(self.fields(answer) == Self.start + Self.id + Self.text)
        answer.retryAfter = 7
        answer.takesJSON = true
        #expect(
            self.fields(answer)
                == Self.start + Self.id + "Retry-After: 7\r\nContent-Type: application/json\r\n")
        answer.lines = Array("A: b\r\n".utf8)
        answer.limit = LocalAnswer.Limit(name: "each", quota: 5, window: 60, left: 3, wait: 12)
        #expect(
            self.fields(answer)
                == Self.start + Self.id + "Retry-After: 7\r\nRateLimit-Policy: \"each\";q=5;w=60\r\n"
                + "RateLimit: \"each\";r=3;t=12\r\nA: b\r\nContent-Type: application/json\r\n")
        Array("https://h/".utf8).withUnsafeBytes { location in
            var moved = LocalAnswer(status: 308, word: "redirect", requestID: (1, 2), explains: true, takesJSON: false)
            moved.location = location
            moved.detail = "why"
            #expect(
                self.fields(moved)
                    == Self.start + "X-Balancer-Reason: why\r\n" + Self.id + "Location: https://h/\r\n" + Self.text)
        }
    }

    @Test("Which methods there are is said where one is refused, and to OPTIONS", arguments: [200, 204, 404, 405, 501])
    func allow(status: UInt16) {
        let answer = LocalAnswer(status: status, word: "limit", requestID: (1, 2), explains: false, takesJSON: false)
        let allow = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
        #expect(self.fields(answer) == Self.start + Self.id + (status == 200 || status == 405 ? allow : "") + Self.text)
    }

    @Test("gRPC is refused by a head alone, in gRPC's own words")
    func grpc() {
        var answer = LocalAnswer(
            status: 200, word: "rate-limited", grpc: LocalAnswer.GRPCStatus(number: 8, pushback: 3_000),
            requestID: (1, 2), explains: true, takesJSON: true)
        let type = "Content-Type: application/grpc\r\n"
        #expect(
            self.fields(answer)
                == Self.start + "X-Balancer-Reason: rate-limited\r\n" + Self.id + type
                + "grpc-status: 8\r\ngrpc-message: rate-limited\r\ngrpc-retry-pushback-ms: 3000\r\n")
        answer.grpc?.pushback = nil
        answer.explains = false
        #expect(
            self.fields(answer)
                == Self.start + Self.id + type + "grpc-status: 8\r\ngrpc-message: refused by the balancer\r\n")
        answer.explains = true
        answer.detail = "100 %"
        #expect(self.fields(answer).hasSuffix("grpc-message: 100 %25\r\n"))
    }

    @Test(
        "A refusal of gRPC has the status that HTTP's means, and is late only by the client's own time",
        arguments: [
            (LocalReason.rateLimited, UInt16(429), false, UInt8(8)), (.noEndpoint, 503, false, 14),
            (.responseTimeout, 504, false, 14), (.responseTimeout, 504, true, 4), (.noEndpoint, 503, true, 14),
            (.unauthorized, 401, false, 16), (.addressDenied, 403, false, 7), (.noRoute, 404, false, 12),
        ])
    func grpcStatus(reason: LocalReason, status: UInt16, isLate: Bool, number: UInt8) throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let exchange = stage.core.openExchange().object
        exchange.isGRPC = true
        exchange.grpcDeadline = isLate ? stage.core.now : stage.core.now + 60_000
        let refusal = exchange.refusal(status, reason, retryAfter: status == 429 ? 3 : nil)
        #expect(refusal.number == number && exchange.grpcStatus == Int8(number))
        #expect(refusal.pushback == (status == 429 ? 3_000 : nil))
        #expect(exchange.refusal(429, .rateLimited, retryAfter: nil).pushback == 1_000)
        stage.core.closeExchange(exchange)
    }
}
