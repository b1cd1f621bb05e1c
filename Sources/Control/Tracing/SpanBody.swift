import JSONText
import Traffic

/// Spans as OTLP over HTTP has them in JSON: identifiers as hexadecimal digits, integers of 64 bits as strings (the mapping of
/// proto3). Pure.
struct SpanBody {
    let service: String
    let version: String
    /// Microseconds that the wall clock is ahead of the monotonic one.
    let wallOffset: Int64

    func bytes(_ spans: [SpanRecord]) -> [UInt8] {
        let resource = [self.text("service.name", self.service), self.text("service.version", self.version)]
        let scope = JSONValue.object([("name", .text("balancer")), ("version", .text(self.version))])
        return JSONValue.object([
            (
                "resourceSpans",
                self.list([
                    .object([
                        ("resource", .object([("attributes", self.list(resource))])),
                        (
                            "scopeSpans",
                            self.list([.object([("scope", scope), ("spans", self.list(spans.map(self.span)))])])
                        ),
                    ])
                ])
            )
        ]).bytes
    }

    private func span(_ span: SpanRecord) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("traceId", .text(Self.hex(span.trace.high) + Self.hex(span.trace.low))),
            ("spanId", .text(Self.hex(span.span))),
        ]
        if span.parent != 0 { members.append(("parentSpanId", .text(Self.hex(span.parent)))) }
        let (name, kind) =
            switch span.kind {
            case .request: ("request", 2)
            case .attempt: ("attempt", 3)
            case .copy: ("copy", 3)
            }
        members += [
            ("flags", .number(span.flags)), ("name", .text(name)), ("kind", .number(kind)),
            ("startTimeUnixNano", .text(self.nanoseconds(span.began))),
            ("endTimeUnixNano", .text(self.nanoseconds(max(span.began, span.ended)))),
            ("attributes", self.list(self.attributes(span))),
        ]
        if span.link != 0 {
            let link: [(String, JSONValue)] = [
                ("traceId", .text(Self.hex(span.trace.high) + Self.hex(span.trace.low))),
                ("spanId", .text(Self.hex(span.link))),
            ]
            members.append(("links", self.list([.object(link)])))
        }
        if span.isError {
            var status: [(String, JSONValue)] = [("code", .number(2))]
            if !span.reason.isEmpty { status.append(("message", .text(span.reason))) }
            members.append(("status", .object(status)))
        }
        return .object(members)
    }

    private func attributes(_ span: SpanRecord) -> [JSONValue] {
        var attributes = [self.text("http.request.method", span.method)]
        if !span.path.isEmpty {
            attributes.append(self.text("url.path", String(decoding: span.path, as: UTF8.self)))
        }
        if span.status != 0 { attributes.append(self.number("http.response.status_code", span.status)) }
        if span.grpc >= 0 { attributes.append(self.number("rpc.grpc.status_code", span.grpc)) }
        if span.isError {
            // Low in number, as the conventions want it: why, or the status.
            let status = span.status < 500 && span.grpc > 0 ? "\(span.grpc)" : "\(span.status)"
            attributes.append(self.text("error.type", span.reason.isEmpty ? status : span.reason))
        }
        if span.resends > 0 { attributes.append(self.number("http.request.resend_count", span.resends)) }
        if let peer = span.peer { attributes.append(self.text("network.peer.address", "\(peer)")) }
        if let endpoint = span.endpoint {
            attributes += [
                self.text("server.address", "\(endpoint.ip)"), self.number("server.port", endpoint.port),
                self.text("network.peer.address", "\(endpoint.ip)"), self.number("network.peer.port", endpoint.port),
                self.text("balancer.endpoint", "\(endpoint)"),
            ]
        }
        for (key, value) in [
            ("balancer.route", span.route), ("balancer.upstream", span.upstream), ("balancer.mirror", span.mirror),
            ("balancer.reason", span.reason),
        ] where !value.isEmpty {
            attributes.append(self.text(key, value))
        }
        if span.stage > 0 { attributes.append(self.number("balancer.stage", span.stage)) }
        if span.epoch > 0 { attributes.append(self.number("balancer.epoch", span.epoch)) }
        return attributes
    }

    private func list(_ values: [JSONValue]) -> JSONValue { JSONValue(.array(values)) }

    private func text(_ key: String, _ value: String) -> JSONValue {
        .object([("key", .text(key)), ("value", .object([("stringValue", .text(value))]))])
    }

    private func number(_ key: String, _ value: some FixedWidthInteger) -> JSONValue {
        .object([("key", .text(key)), ("value", .object([("intValue", .text("\(value)"))]))])
    }

    private func nanoseconds(_ microseconds: UInt64) -> String {
        "\(UInt64(max(0, Int64(clamping: microseconds) &+ self.wallOffset)) &* 1_000)"
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
