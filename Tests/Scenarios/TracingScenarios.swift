import Foundation
import Glibc
import TestSupport
import Testing

/// Spans of requests, with a real balancer between clients, upstreams and a collector.
@Suite("Tracing", .serialized) struct TracingScenarios {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let parent = "b7ad6b7169203331"
    private static let brought = "traceparent: 00-\(trace)-\(parent)-01\r\ntracestate: vendor=1\r\n"

    /// A span as a collector reads it.
    private struct Span {
        var trace = ""
        var id = ""
        var parent = ""
        var name = ""
        var kind = 0
        var isError = false
        var began: UInt64 = 0
        var ended: UInt64 = 0
        var attributes: [String: String] = [:]

        init(_ value: [String: Any]) {
            self.trace = value["traceId"] as? String ?? ""
            self.id = value["spanId"] as? String ?? ""
            self.parent = value["parentSpanId"] as? String ?? ""
            self.name = value["name"] as? String ?? ""
            self.kind = value["kind"] as? Int ?? 0
            self.isError = (value["status"] as? [String: Any])?["code"] as? Int == 2
            self.began = UInt64(value["startTimeUnixNano"] as? String ?? "") ?? 0
            self.ended = UInt64(value["endTimeUnixNano"] as? String ?? "") ?? 0
            for attribute in value["attributes"] as? [[String: Any]] ?? [] {
                let given = attribute["value"] as? [String: Any]
                self.attributes[attribute["key"] as? String ?? ""] =
                    given?["stringValue"] as? String ?? given?["intValue"] as? String
            }
        }
    }

    private static func collector(_ status: String = "200 OK") throws -> ScriptedUpstream {
        try .answering { _, _ in
            "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        }
    }

    private static func spans(_ collector: ScriptedUpstream) throws -> [Span] {
        try collector.requests.flatMap { request -> [Span] in
            let root = try JSONSerialization.jsonObject(with: Data(request.body)) as? [String: Any]
            let resources = root?["resourceSpans"] as? [[String: Any]] ?? []
            let scopes = resources.flatMap { $0["scopeSpans"] as? [[String: Any]] ?? [] }
            return scopes.flatMap { $0["spans"] as? [[String: Any]] ?? [] }.map(Span.init)
        }
    }

    private static func tracing(_ port: UInt16, _ more: String = "") -> String {
        "\"tracing\": {\"endpoint\": \"http://127.0.0.1:\(port)/v1/traces\"\(more)}"
    }

    private static func awaitSpans(_ count: Int, _ collector: ScriptedUpstream) throws -> [Span] {
        var found: [Span] = []
        let isThere = try eventually(seconds: 60) {
            found = try self.spans(collector)
            return found.count >= count
        }
        guard isThere else { throw TestFailure("\(found.count) of \(count) spans") }
        return found
    }

    @Test(
        "A client's trace goes on: the upstream hangs below the attempt, that below the request, and no secret is told")
    func continued() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let collector = try Self.collector()
        let balancer = try BalancerProcess(
            before: upstream, top: Self.tracing(collector.port, ", \"service\": \"edge\""))
        let before = UInt64(Date().timeIntervalSince1970 * 1_000_000_000)
        let secret = "hunter2-swordfish"
        let answer = try balancer.request(
            "/a/b?token=\(secret)",
            fields: Self.brought
                + "Authorization: Bearer \(secret)\r\nCookie: s=\(secret)\r\nX-\(secret): \(secret)\r\n")
        #expect(answer.status == 200)
        let spans = try Self.awaitSpans(2, collector)
        let request = try #require(spans.first { $0.name == "request" })
        let attempt = try #require(spans.first { $0.name == "attempt" })
        #expect(spans.count == 2 && spans.allSatisfy { $0.trace == Self.trace && $0.id.utf8.count == 16 })
        #expect(request.parent == Self.parent && request.kind == 2)
        #expect(attempt.parent == request.id && attempt.kind == 3 && attempt.id != request.id)
        let seen = try #require(upstream.requests.first)
        #expect(seen.field("traceparent") == "00-\(Self.trace)-\(attempt.id)-01")
        #expect(seen.fields.count { $0.name.lowercased() == "traceparent" } == 1)
        #expect(seen.field("tracestate") == "vendor=1")
        #expect(
            request.attributes == [
                "http.request.method": "GET", "url.path": "/a/b", "http.response.status_code": "200",
                "network.peer.address": "127.0.0.1", "balancer.route": "api", "balancer.upstream": "core",
            ])
        #expect(attempt.attributes["server.port"] == "\(upstream.port)")
        #expect(attempt.attributes["balancer.endpoint"] == "127.0.0.1:\(upstream.port)")
        let after = UInt64(Date().timeIntervalSince1970 * 1_000_000_000)
        for span in spans {
            // The clocks are read at different moments.
            #expect(
                span.began > before - 1_000_000_000 && span.began <= span.ended && span.ended < after + 1_000_000_000)
            #expect(!span.isError)
        }
        let told = try #require(collector.requests.first)
        #expect(told.start == "POST /v1/traces HTTP/1.1" && told.field("content-type") == "application/json")
        #expect(told.text.contains("\"service.name\"") && told.text.contains("\"edge\""))
        #expect(!told.text.contains("hunter2") && !told.text.contains("vendor=1"))
        #expect(try eventually { try balancer.metric("balancer_spans_total") == 2 })
    }

    @Test(
        "What a client says of its own trace decides; what makes no sense begins a new one, without what it has noted")
    func words() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let collector = try Self.collector()
        let balancer = try BalancerProcess(before: upstream, top: Self.tracing(collector.port))
        let unsampled = "00-\(Self.trace)-\(Self.parent)-00"
        _ = try balancer.request("/unsampled", fields: "traceparent: \(unsampled)\r\ntracestate: a=b\r\n")
        _ = try balancer.request(
            "/invalid", fields: "traceparent: 00-\(Self.trace)-\(Self.parent)\r\ntracestate: a=b\r\n")
        _ = try balancer.request("/none", fields: "tracestate: a=b\r\n")
        let seen = upstream.requests
        #expect(seen.count == 3)
        #expect(seen[0].field("traceparent") == unsampled && seen[0].field("tracestate") == "a=b")
        #expect(seen[1].field("tracestate") == nil && seen[2].field("tracestate") == nil)
        let spans = try Self.awaitSpans(4, collector)
        #expect(balancer.stop() == 0)
        #expect(spans.count == 4 && spans.allSatisfy { $0.attributes["url.path"] != "/unsampled" })
        for (message, path) in [(seen[1], "/invalid"), (seen[2], "/none")] {
            let request = try #require(spans.first { $0.name == "request" && $0.attributes["url.path"] == path })
            let attempt = try #require(spans.first { $0.parent == request.id })
            #expect(request.parent.isEmpty && request.trace != Self.trace && request.trace.utf8.count == 32)
            #expect(message.field("traceparent") == "00-\(request.trace)-\(attempt.id)-01", "\(path)")
            #expect(message.fields.count { $0.name.lowercased() == "traceparent" } == 1)
        }
    }

    @Test("Each attempt has a span and its own child; failures are told, with what the balancer answers by itself")
    func attempts() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            let request = try reader.message(seconds: 60)
            let isFirst = upstream.requests.isEmpty
            upstream.record(request)
            if !isFirst { connection.send("HTTP/1.1 503 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno") }
        }
        let collector = try Self.collector()
        let balancer = try BalancerProcess(
            before: upstream,
            keys: "\"passive\": {\"enabled\": false}, \"retry\": {\"attempts\": 1, \"minimumPerSecond\": 1000}",
            routes: #"{"name": "api", "match": {"path": "/api"}, "split": {"core": 1}}"#,
            top: Self.tracing(collector.port))
        #expect(try balancer.request("/api", fields: Self.brought).status == 503)
        #expect(try balancer.request("/elsewhere", fields: Self.brought).status == 404)
        let spans = try Self.awaitSpans(4, collector)
        #expect(spans.count == 4)
        let request = try #require(spans.first { $0.attributes["url.path"] == "/api" && $0.name == "request" })
        let attempts = spans.filter { $0.name == "attempt" }.sorted { $0.began < $1.began }
        #expect(attempts.count == 2 && attempts.allSatisfy { $0.parent == request.id && $0.isError })
        #expect(attempts.filter { $0.attributes["balancer.reason"] == "closed-before-response" }.count == 1)
        let answered = try #require(attempts.first { $0.attributes["http.response.status_code"] == "503" })
        #expect(answered.attributes["http.request.resend_count"] == "1")
        #expect(request.isError && request.attributes["http.response.status_code"] == "503")
        // Each in its own attempt's place.
        let children = upstream.requests.compactMap {
            $0.field("traceparent")?.split(separator: "-").dropFirst(2).first
        }
        #expect(Set(children.map(String.init)) == Set(attempts.map(\.id)) && children.count == 2)
        #expect(children.last.map(String.init) == answered.id)
        let lost = try #require(spans.first { $0.attributes["url.path"] == "/elsewhere" })
        #expect(lost.name == "request" && !lost.isError && lost.attributes["balancer.reason"] == "no-route")
    }

    @Test("sample 0 begins no trace, a client's own goes on; a reload switches tracing on and off")
    func reload() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let collector = try Self.collector()
        func text(_ top: String) -> String { Routes.configuration(upstreams: [("core", [upstream.port])], top: top) }
        let balancer = try BalancerProcess(text(""))
        var generation = 1
        func load(_ top: String) throws {
            generation += 1
            try BalancerProcess.write(text(top), to: balancer.file)
            balancer.program.signal(SIGHUP)
            let words = "generation=\(generation)"
            #expect(eventually { balancer.program.errors.contains { $0.contains(words) } })
        }
        _ = try balancer.request("/off", fields: Self.brought)
        #expect(upstream.requests.last?.field("traceparent") == "00-\(Self.trace)-\(Self.parent)-01")
        #expect(try !balancer.admin("/metrics").text.contains("balancer_spans_"))
        try load(Self.tracing(collector.port, ", \"sample\": 0"))
        _ = try balancer.request("/none")
        #expect(upstream.requests.last?.field("traceparent") == nil)
        // A stranger's flag asks, and nobody is chosen.
        _ = try balancer.request("/stranger", fields: Self.brought)
        #expect(upstream.requests.last?.field("traceparent") == "00-\(Self.trace)-\(Self.parent)-01")
        try load(Self.tracing(collector.port, ", \"sample\": 0") + ", \"trustedProxies\": [\"127.0.0.1\"]")
        _ = try balancer.request("/on", fields: Self.brought)
        let child = try #require(upstream.requests.last?.field("traceparent"))
        #expect(child.hasPrefix("00-\(Self.trace)-") && !child.contains(Self.parent))
        let spans = try Self.awaitSpans(2, collector)
        #expect(spans.count == 2 && spans.allSatisfy { $0.attributes["url.path"] == "/on" })
        try load("")
        _ = try balancer.request("/off", fields: Self.brought)
        #expect(upstream.requests.last?.field("traceparent") == "00-\(Self.trace)-\(Self.parent)-01")
        #expect(balancer.stop() == 0)
        #expect(try Self.spans(collector).count == 2)
    }

    @Test("A collector that hangs, refuses or is away costs no request anything, and what it costs spans is counted")
    func troubles() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let hanging = try ScriptedUpstream { connection, _ in _ = connection.readAll(seconds: 120) }
        let refusing = try Self.collector("400 Bad Request")
        let nowhere = try ReservedPort()
        for (name, port, reason) in [
            ("hanging", hanging.port, "queue"), ("refusing", refusing.port, "refused"),
            ("away", nowhere.number, "queue"),
        ] {
            let balancer = try BalancerProcess(before: upstream, top: Self.tracing(port))
            let load = LoadClient(port: balancer.port)
            load.start(connections: 4, limit: 3_000)
            try load.finish()
            #expect(load.failures.isEmpty, "\(name): \(load.failures.prefix(3))")
            let metric = "balancer_spans_dropped_total{reason=\"\(reason)\"}"
            #expect(try eventually(seconds: 60) { try balancer.metric(metric) > 0 }, "\(name)")
            #expect(try balancer.metric("balancer_spans_total") == 0)
            #expect(try balancer.request("/after").text == "ok")
            #expect(balancer.stop() == 0, "\(name)")
        }
    }

    /// What was told until the process ended: nothing is waited for.
    private static func spans(_ collector: ScriptedUpstream, after balancer: BalancerProcess) throws -> [Span] {
        #expect(balancer.stop() == 0)
        return try self.spans(collector)
    }

    @Test(
        "Over HTTP/2 the upstream's stream hangs below its attempt; gRPC's statuses are told, and the server's are errors"
    )
    func http2() throws {
        let upstream = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event, let request = connection.requests[stream] else { return }
            guard request.path.hasPrefix("/test.") else { return connection.answer(stream, body: Array("ok".utf8)) }
            let status = request.path.hasSuffix("Lost") ? "15" : "5"
            connection.answer(
                stream, fields: [("content-type", "application/grpc")], body: [0, 0, 0, 0, 0],
                trailers: [("grpc-status", status)])
        }
        let collector = try Self.collector()
        let balancer = try BalancerProcess(before: upstream, top: Self.tracing(collector.port))
        #expect(try balancer.request("/plain", fields: Self.brought).status == 200)
        let peer = try HTTP2Peer(balancer)
        for path in ["/test.Peer/Missing", "/test.Peer/Lost"] {
            let answer = try peer.answer(
                peer.request(
                    path, method: "POST",
                    fields: [
                        ("content-type", "application/grpc"), ("te", "trailers"),
                        ("traceparent", "00-\(Self.trace)-\(Self.parent)-01"), ("tracestate", "vendor=1"),
                    ]))
            #expect(answer.status == "200" && answer.trailers.contains { $0.name == "grpc-status" })
        }
        let spans = try Self.spans(collector, after: balancer)
        #expect(spans.count == 6 && spans.allSatisfy { $0.trace == Self.trace })
        for (path, status) in [("/plain", nil), ("/test.Peer/Missing", "5"), ("/test.Peer/Lost", "15")] {
            let request = try #require(spans.first { $0.name == "request" && $0.attributes["url.path"] == path })
            let attempt = try #require(spans.first { $0.parent == request.id })
            #expect(request.parent == Self.parent)
            let seen = try #require(upstream.requests.first { $0.path == path })
            #expect(seen.field("traceparent") == "00-\(Self.trace)-\(attempt.id)-01", "\(path)")
            #expect(seen.fields.count { $0.name == "traceparent" } == 1 && seen.field("tracestate") == "vendor=1")
            for span in [request, attempt] {
                #expect(span.attributes["rpc.grpc.status_code"] == status, "\(path): \(span.attributes)")
                #expect(span.attributes["http.response.status_code"] == "200")
                // DATA_LOSS is the server's, NOT_FOUND is not.
                #expect(span.isError == (status == "15"), "\(path)")
            }
        }
    }

    @Test("A tunnel's spans end with it")
    func tunnel() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.head())
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            _ = connection.read(until: "bye", seconds: 10)
        }
        let collector = try Self.collector()
        let balancer = try BalancerProcess(before: upstream, top: Self.tracing(collector.port))
        let connection = try balancer.connect()
        connection.send(
            "GET /ws HTTP/1.1\r\nHost: h\r\n\(Self.brought)Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        #expect(connection.read(until: "\r\n\r\n", seconds: 10)?.hasPrefix("HTTP/1.1 101 ") == true)
        let switched = UInt64(Date().timeIntervalSince1970 * 1_000_000_000)
        connection.send("bye")
        #expect(connection.readAll(seconds: 10).end != .timeout)
        connection.hangUp()
        let spans = try Self.spans(collector, after: balancer)
        let request = try #require(spans.first { $0.name == "request" })
        let attempt = try #require(spans.first { $0.name == "attempt" })
        #expect(spans.count == 2 && attempt.parent == request.id)
        #expect(upstream.requests.first?.field("traceparent") == "00-\(Self.trace)-\(attempt.id)-01")
        for span in spans {
            #expect(span.attributes["http.response.status_code"] == "101" && !span.isError, "\(span)")
            // The wall clock and the workers' are read at different moments.
            #expect(span.ended > switched - 5_000_000, "\(span.name) ended before the tunnel")
        }
    }

    @Test("A collector by TLS is believed if its certificate is one of caFile's, and only then")
    func authority() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let collector = try Self.collector()
        let made = try TestCertificates()
        let terminator = try TLSTerminator(
            http1: collector.port, http2: collector.port, protocols: [], made.make("collector", names: ["127.0.0.1"]))
        func traced(_ more: String) throws -> [Span] {
            let balancer = try BalancerProcess(
                before: upstream,
                top: "\"tracing\": {\"endpoint\": \"https://127.0.0.1:\(terminator.port)/v1/traces\"\(more)}")
            #expect(try balancer.request().status == 200)
            return try Self.spans(collector, after: balancer)
        }
        #expect(try traced("").isEmpty)
        #expect(try traced(", \"caFile\": \"\(made.authority)\"").count == 2)
    }
}
