import HTTPWire

/// An answer of the balancer's own, before it is put into a protocol's form.
struct LocalAnswer {
    var status: UInt16
    /// The word of `X-Balancer-Reason`.
    var word: StaticString
    /// In its place, where the word says what exactly is wrong.
    var detail: String?
    /// It refuses gRPC: then `status` is 200, and there is no body.
    var grpc: GRPCStatus?
    /// Seconds.
    var retryAfter: UInt64?
    /// The limit that refuses the request.
    var limit: Limit?
    /// Further whole lines.
    var lines: [UInt8]?
    /// Bytes of the Location field, valid during the call.
    var location: UnsafeRawBufferPointer?
    var requestID: (UInt64, UInt64)
    /// `X-Balancer-Reason`, and the reason in the body.
    var explains: Bool
    var takesJSON: Bool
    /// A HEAD gets the head alone.
    var hasBody = true
    /// The connection cannot go on behind this request.
    var endsConnection = false

    struct GRPCStatus {
        var number: UInt8
        /// Milliseconds after which it may be tried again.
        var pushback: UInt64?
    }

    /// As draft-ietf-httpapi-ratelimit-headers-11 tells of it.
    struct Limit {
        var name: String
        /// Requests, and the seconds in which so many may come.
        var quota: UInt64
        var window: UInt64
        /// Requests that may still come at once.
        var left: UInt64
        /// Seconds until one more may come than now.
        var wait: UInt64

        func write(into writer: inout ByteWriter) {
            writer.append("RateLimit-Policy: \"")
            writer.append(utf8: self.name)
            writer.append("\";q=")
            writer.append(decimal: self.quota)
            writer.append(";w=")
            writer.append(decimal: self.window)
            writer.append("\r\nRateLimit: \"")
            writer.append(utf8: self.name)
            writer.append("\";r=")
            writer.append(decimal: self.left)
            writer.append(";t=")
            writer.append(decimal: self.wait)
            writer.append("\r\n")
        }
    }

    private var reasonLength: Int {
        guard self.explains else { return 0 }
        return self.detail?.utf8.count ?? self.word.utf8CodeUnitCount
    }

    private func writeReason(_ writer: inout ByteWriter) {
        guard self.explains else { return }
        if let detail { writer.append(utf8: detail) } else { writer.append(self.word) }
    }

    /// The field lines, without framing and connection, each with its line end.
    func writeFields(date: DateField, into writer: inout ByteWriter) {
        date.write(into: &writer)
        if self.explains {
            writer.append("X-Balancer-Reason: ")
            self.writeReason(&writer)
            writer.append("\r\n")
        }
        writer.append("X-Request-ID: ")
        writer.append(paddedHex: self.requestID.0)
        writer.append(paddedHex: self.requestID.1)
        writer.append("\r\n")
        if let retryAfter {
            writer.append("Retry-After: ")
            writer.append(decimal: retryAfter)
            writer.append("\r\n")
        }
        limit?.write(into: &writer)
        if let lines { writer.append(bytes: lines) }
        if let location {
            writer.append("Location: ")
            writer.append(raw: location)
            writer.append("\r\n")
        }
        if let grpc { return self.write(grpc, into: &writer) }
        if self.status == 405 || self.status == 200 {
            writer.append("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n")
        }
        writer.append(
            self.takesJSON
                ? "Content-Type: application/json\r\n" : "Content-Type: text/plain; charset=utf-8\r\n")
    }

    /// Trailers alone, as gRPC calls a head that ends everything.
    private func write(_ grpc: GRPCStatus, into writer: inout ByteWriter) {
        writer.append("Content-Type: application/grpc\r\ngrpc-status: ")
        writer.append(decimal: UInt64(grpc.number))
        writer.append("\r\ngrpc-message: ")
        if !self.explains {
            writer.append("refused by the balancer")
        } else if let detail {
            GRPC.writeMessage(detail, into: &writer)
        } else {
            GRPC.writeMessage(self.word, into: &writer)
        }
        writer.append("\r\n")
        if let pushback = grpc.pushback {
            writer.append("grpc-retry-pushback-ms: ")
            writer.append(decimal: pushback)
            writer.append("\r\n")
        }
    }

    /// Bytes of the body that `writeBody` writes.
    var bodyLength: Int {
        guard self.grpc == nil else { return 0 }
        let phrase = StatusText.phrase(self.status).utf8CodeUnitCount
        if self.takesJSON {
            // {"status":S,"error":"P","reason":"W"}
            return #"{"status":,"error":"","reason":""}"#.utf8.count + 3 + phrase + 1 + self.reasonLength
        }
        return 4 + phrase + (self.explains ? 2 + self.reasonLength : 0) + 1
    }

    func writeBody(into writer: inout ByteWriter) {
        let phrase = StatusText.phrase(self.status)
        if self.takesJSON {
            writer.append("{\"status\":")
            writer.append(decimal: UInt64(self.status))
            writer.append(",\"error\":\"")
            writer.append(phrase)
            writer.append("\",\"reason\":\"")
            self.writeReason(&writer)
            writer.append("\"}\n")
        } else {
            writer.append(decimal: UInt64(self.status))
            writer.append(0x20)
            writer.append(phrase)
            if self.explains {
                writer.append(": ")
                self.writeReason(&writer)
            }
            writer.append("\n")
        }
    }
}
