@testable import Control
import JSONText
import Logging
import Synchronization
import Testing
import Traffic

/// Answers as a test says, and keeps what it got.
private final class FakeCollector: Sendable {
    let replies = Mutex<[SpanCollector.Reply]>([])
    private let bodies = Mutex<[(endpoint: String, body: [UInt8])]>([])

    var send: SpanExporter.Send {
        { body, spec in
            self.bodies.withLock { $0.append((spec.endpoint, body)) }
            return self.replies.withLock { $0.isEmpty ? .taken(butFor: 0) : $0.removeFirst() }
        }
    }

    var endpoints: [String] { self.bodies.withLock { $0.map(\.endpoint) } }

    /// Spans in each call.
    var sizes: [Int] {
        self.bodies.withLock { bodies in
            bodies.map { String(decoding: $0.body, as: UTF8.self).split(separator: "\"spanId\"").count - 1 }
        }
    }
}

@Suite("Tracing") struct TracingTests {
    private let queue = SpanQueue()
    private let time = ManualClock()
    private let collector = FakeCollector()

    private var exporter: SpanExporter {
        SpanExporter(
            queue: self.queue, clock: self.time.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, send: self.collector.send)
    }

    private static func span(_ number: Int = 1) -> SpanRecord {
        SpanRecord(
            .attempt, trace: TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C), span: UInt64(number),
            parent: 0xB7AD_6B71_6920_3331, flags: 1, began: 2_000_000, ended: 2_500_001, method: "GET",
            path: Array("/a\"\u{e9}".utf8) + [0xFF])
    }

    private func put(_ count: Int) { for number in 1...count { self.queue.put(Self.span(number)) } }

    private func spec(_ endpoint: String = "http://a/") -> TracingSpec { TracingSpec(endpoint: endpoint) }

    private func dropped(_ exporter: SpanExporter) -> [String: UInt64] {
        Dictionary(
            (exporter.figures?.dropped ?? []).map { ($0.reason, $0.count) }, uniquingKeysWith: { first, _ in first })
    }

    // MARK: the body

    private func attributes(_ span: JSONValue?) -> [String: String] {
        guard case .array(let list)? = span?["attributes"]?.content else { return [:] }
        var found: [String: String] = [:]
        for attribute in list {
            guard case .string(let key)? = attribute["key"]?.content, let value = attribute["value"] else { continue }
            // Integers of 64 bits are strings there.
            for form in ["stringValue", "intValue"] {
                if case .string(let text)? = value[form]?.content { found[key] = text }
            }
        }
        return found
    }

    private func text(_ value: JSONValue?) -> String? {
        if case .string(let text)? = value?.content { text } else { nil }
    }

    private func first(_ value: JSONValue?) -> JSONValue? {
        if case .array(let list)? = value?.content { list.first } else { nil }
    }

    @Test("A span in the JSON of OTLP: identifiers in hexadecimal, times as strings, what is not known left out")
    func body() throws {
        var span = Self.span(0xAB)
        span.status = 502
        span.isError = true
        span.reason = "connection-reset"
        span.endpoint = SocketAddress(parsing: "[::1]:80")
        span.resends = 2
        span.link = 0xC
        (span.route, span.upstream, span.mirror, span.stage, span.epoch) = ("api", "core", "move", 3, 7)
        let bytes = SpanBody(service: "edge", version: "1.2", wallOffset: 1_700_000_000_000_000).bytes([span])
        let root = try JSONReader.read(bytes)
        let resource = self.first(root["resourceSpans"])
        #expect(self.attributes(resource?["resource"]) == ["service.name": "edge", "service.version": "1.2"])
        let scope = self.first(resource?["scopeSpans"])
        #expect(self.text(scope?["scope"]?["name"]) == "balancer")
        let read = self.first(scope?["spans"])
        #expect(self.text(read?["traceId"]) == "0af7651916cd43dd8448eb211c80319c")
        #expect(self.text(read?["spanId"]) == "00000000000000ab")
        #expect(self.text(read?["parentSpanId"]) == "b7ad6b7169203331")
        #expect(self.text(read?["name"]) == "attempt" && read?["kind"]?.content == .number("3"))
        #expect(self.text(read?["startTimeUnixNano"]) == "1700000002000000000")
        #expect(self.text(read?["endTimeUnixNano"]) == "1700000002500001000")
        #expect(read?["status"]?["code"]?.content == .number("2"))
        #expect(self.text(read?["status"]?["message"]) == "connection-reset")
        #expect(self.text(self.first(read?["links"])?["spanId"]) == "000000000000000c")
        #expect(
            self.attributes(read) == [
                "http.request.method": "GET", "url.path": "/a\"\u{e9}\u{fffd}", "http.response.status_code": "502",
                "error.type": "connection-reset", "http.request.resend_count": "2", "server.address": "::1",
                "server.port": "80", "network.peer.address": "::1", "network.peer.port": "80",
                "balancer.endpoint": "[::1]:80", "balancer.route": "api", "balancer.upstream": "core",
                "balancer.mirror": "move", "balancer.reason": "connection-reset", "balancer.stage": "3",
                "balancer.epoch": "7",
            ])
        var plain = Self.span()
        plain.kind = .request
        plain.parent = 0
        plain.peer = IPAddress(v4: 0x7F00_0001)
        let other = SpanBody(service: "edge", version: "1.2", wallOffset: 0).bytes([plain])
        let least = self.first(
            self.first(self.first(try JSONReader.read(other)["resourceSpans"])?["scopeSpans"])?["spans"])
        #expect(least?["parentSpanId"] == nil && least?["status"] == nil && least?["links"] == nil)
        #expect(least?["kind"]?.content == .number("2"))
        #expect(
            self.attributes(least) == [
                "http.request.method": "GET", "url.path": "/a\"\u{e9}\u{fffd}", "network.peer.address": "127.0.0.1",
            ])
    }

    // MARK: handing over

    @Test("Batches of 512 go to the collector that the table in force names; what was taken is counted")
    func batches() async {
        let exporter = self.exporter
        #expect(exporter.figures == nil)
        await exporter.follow(self.spec())
        self.put(1_100)
        await exporter.export()
        #expect(self.collector.sizes == [512, 512, 76])
        await exporter.follow(self.spec("http://b/"))
        self.put(1)
        await exporter.export()
        #expect(self.collector.endpoints.last == "http://b/" && exporter.figures?.spans == 1_101)
        #expect(self.dropped(exporter) == ["queue": 0, "refused": 0, "unavailable": 0])
        // The room is there again.
        self.put(SpanQueue.capacity)
        #expect(self.queue.dropped == 0)
        await exporter.follow(nil)
        await exporter.export()
        self.put(SpanQueue.capacity)
        #expect(self.queue.dropped == 0 && exporter.figures?.spans == 1_101)
    }

    @Test("A collector that is away is asked again, later each time, and a batch four times; then it is dropped")
    func unavailable() async {
        let exporter = self.exporter
        await exporter.follow(self.spec())
        self.put(600)
        self.collector.replies.withLock { $0 = Array(repeating: .unavailable("503"), count: 4) }
        await exporter.export()
        await exporter.export()
        #expect(self.collector.sizes == [512])
        for calls in 2...4 {
            #expect(self.dropped(exporter)["unavailable"] == 0)
            self.time.advance(30_000)
            await exporter.export()
            #expect(self.collector.sizes.count == calls)
        }
        #expect(self.dropped(exporter)["unavailable"] == 512 && exporter.figures?.spans == 0)
        self.time.advance(30_000)
        await exporter.export()
        #expect(self.collector.sizes.last == 88 && exporter.figures?.spans == 88)
        // It answers: nothing waits any more.
        self.put(1)
        await exporter.export()
        #expect(exporter.figures?.spans == 89)
    }

    @Test("What the collector refuses is dropped, and another collector is not made to wait for it")
    func refused() async {
        let exporter = self.exporter
        await exporter.follow(self.spec())
        self.put(3)
        self.collector.replies.withLock { $0 = [.refused("400")] }
        await exporter.export()
        #expect(self.dropped(exporter)["refused"] == 3)
        self.put(5)
        self.collector.replies.withLock { $0 = [.taken(butFor: 4)] }
        await exporter.export()
        #expect(self.dropped(exporter)["refused"] == 7 && exporter.figures?.spans == 1)
        self.put(2)
        self.collector.replies.withLock { $0 = [.unavailable("away")] }
        await exporter.export()
        await exporter.follow(self.spec("http://b/"))
        await exporter.export()
        #expect(self.collector.endpoints.suffix(2) == ["http://a/", "http://b/"] && exporter.figures?.spans == 3)
    }

    @Test("Statuses are answered as the protocol has it")
    func statuses() {
        for answer in ["", "{}", "no JSON", #"{"partialSuccess":{}}"#, #"{"partialSuccess":{"rejectedSpans":"-1"}}"#] {
            #expect(SpanCollector.reply(to: 200, Array(answer.utf8)) == .taken(butFor: 0), "\(answer)")
        }
        for count in ["3", "\"3\""] {
            let answer = #"{"partialSuccess":{"rejectedSpans":\#(count),"errorMessage":"no"}}"#
            #expect(SpanCollector.reply(to: 202, Array(answer.utf8)) == .taken(butFor: 3), "\(answer)")
        }
        for status: UInt in [408, 429, 502, 503, 504] {
            #expect(SpanCollector.reply(to: status) == .unavailable("\(status)"))
        }
        for status: UInt in [301, 400, 401, 404, 413, 500] {
            #expect(SpanCollector.reply(to: status) == .refused("\(status)"))
        }
    }

    @Test("A batch that was sent in vain takes none of those that come later along")
    func laterOnes() async {
        let exporter = self.exporter
        await exporter.follow(self.spec())
        self.put(1)
        self.collector.replies.withLock { $0 = Array(repeating: .unavailable("503"), count: 4) }
        for _ in 1...4 {
            await exporter.export()
            self.put(2)
            self.time.advance(30_000)
        }
        #expect(self.collector.sizes == [1, 1, 1, 1] && self.dropped(exporter)["unavailable"] == 1)
        await exporter.export()
        #expect(self.collector.sizes.last == 8 && exporter.figures?.spans == 8)
        // Switched off: what waits is counted.
        self.put(3)
        await exporter.follow(nil)
        await exporter.export()
        #expect(self.dropped(exporter)["unavailable"] == 4)
    }

    @Test("The end that meets a call which fails sends once more", .timeLimit(.minutes(1)))
    func endMeetsFailure() async {
        let (held, hold) = AsyncStream<SpanCollector.Reply>.makeStream()
        let calls = Atomic(0)
        let (began, begin) = AsyncStream<Void>.makeStream()
        let exporter = SpanExporter(
            queue: self.queue, clock: self.time.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            send: { _, _ in
                calls.add(1, ordering: .relaxed)
                begin.yield()
                for await reply in held { return reply }
                return .unavailable("")
            })
        await exporter.follow(self.spec())
        self.put(1)
        // The end comes while a call is under way, which fails: what there is is sent once more all the same.
        async let first: Void = exporter.export()
        for await _ in began { break }
        async let last: Void = exporter.finish()
        hold.yield(.unavailable("away"))
        for await _ in began { break }
        hold.yield(.taken(butFor: 0))
        _ = await (first, last)
        #expect(calls.load(ordering: .relaxed) == 2 && exporter.figures?.spans == 1)
    }

    @Test("The end sends what there is, pause or not, and waits no longer than its second", .timeLimit(.minutes(1)))
    func finish() async {
        let exporter = self.exporter
        await exporter.follow(self.spec())
        self.put(5)
        self.collector.replies.withLock { $0 = [.unavailable("away")] }
        await exporter.export()
        await exporter.finish()
        #expect(exporter.figures?.spans == 5)
        let hanging = SpanExporter(
            queue: self.queue, clock: .system, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            send: { _, _ in
                try? await Task.sleep(for: .seconds(3_600))
                return .unavailable("away")
            })
        await hanging.follow(self.spec())
        self.put(1)
        let clock = ContinuousClock()
        let began = clock.now
        await hanging.finish()
        #expect(clock.now - began < .seconds(30))
        #expect(hanging.figures?.spans == 0)
    }
}
