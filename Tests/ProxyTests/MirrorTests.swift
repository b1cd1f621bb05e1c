import Foundation
import Glibc
import Proxy
import Reactor
import Synchronization
import TestSupport
import Testing
import Traffic

@Suite("Mirror", .serialized) struct MirrorTests {
    private static func answer(_ body: String, _ fields: String = "") -> String {
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test("A copy is the live request, rewritten and marked, and both answers come together")
    func copy() async throws {
        let old = try ScriptedUpstream.answering { _, _ in Self.answer("old", "Location: /a\r\nServer: x\r\n") }
        let new = try ScriptedUpstream.answering { _, _ in Self.answer("new!") }
        let rig = try await MirrorRig(old.port, new.port) { route, _ in
            route.pathRewrite = .strip("/api")
            route.requestHeaders.set = [HeaderSetting(name: "X-Set", value: "1")]
            route.migration?.mirror.drop = ["x-private"]
        }
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let response = try rig.request(
            "/api/thing?q=1",
            fields:
                "Cookie: a=b\r\nAuthorization: Bearer x\r\nX-Private: y\r\nX-Balancer-Mirror: forged\r\ntraceparent: \(trace)\r\n"
        )
        #expect(response.text == "old")
        try rig.awaitPairs(1)
        // The pair holds what it borrowed of the plan's memory.
        do {
            let pair = try #require(rig.compared.first)
            #expect(pair.migration == "move" && pair.route == "api" && pair.epoch == 3)
            #expect(pair.request.method == "GET" && pair.request.target == "/api/thing?q=1")
            #expect(pair.old.body.bytes == Array("old".utf8) && pair.new.body.bytes == Array("new!".utf8))
            #expect(pair.old.status == 200 && pair.old.fields.map(\.name).sorted() == ["content-type", "location"])
        }
        let (live, copied) = (try #require(old.requests.first), try #require(new.requests.first))
        #expect(copied.start == "GET /thing?q=1 HTTP/1.1" && copied.start == live.start)
        #expect(live.field("x-balancer-mirror") == nil && copied.field("x-balancer-mirror") == "move")
        #expect(live.field("x-private") == "y" && copied.field("x-private") == nil)
        for name in ["host", "cookie", "authorization", "x-set", "x-request-id", "x-forwarded-for", "via"] {
            #expect(copied.field(name) != nil && copied.field(name) == live.field(name), "\(name)")
        }
        // The trace goes on under another parent.
        let parent = try #require(copied.field("traceparent"))
        #expect(live.field("traceparent") == trace && parent != trace && parent.count == trace.count)
        #expect(parent.hasPrefix(trace.prefix(36)) && parent.hasSuffix("-01"))
        #expect(rig.record.copies["new"]?.statusClasses == [0, 0, 1, 0, 0, 0])
        #expect(rig.record.arms.epoch == 3 && rig.record.arms.copies.samples == 1)
        rig.forget()
        #expect(eventually { rig.record.memory.held == 0 })
        #expect(rig.allDropped == 0)
    }

    @Test("Of a traced request the copy hangs on the request's span, beside the attempt that was answered")
    func traced() async throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port) { _, spec in
            spec.tracing = TracingSpec(endpoint: "http://a/")
        }
        let trace = "0af7651916cd43dd8448eb211c80319c"
        let brought = "traceparent: 00-\(trace)-b7ad6b7169203331-03\r\ntracestate: a=b\r\n"
        for (number, fields) in [brought, "traceparent: nonsense\r\ntracestate: a=b\r\n", ""].enumerated() {
            _ = try rig.request("/\(number)?token=secret", fields: fields)
            try rig.awaitPairs(number + 1)
            var spans: [SpanRecord] = []
            #expect(
                eventually {
                    spans += rig.spans.takeAll()
                    return spans.count == 3
                }, "\(spans.count)")
            func only(_ kind: SpanRecord.Kind) throws -> SpanRecord { try #require(spans.first { $0.kind == kind }) }
            let (request, attempt, copy) = (try only(.request), try only(.attempt), try only(.copy))
            #expect(request.parent == (number == 0 ? 0xB7AD_6B71_6920_3331 : 0))
            #expect(
                (request.trace == TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C)) == (number == 0))
            #expect(attempt.parent == request.span && copy.parent == request.span && copy.link == attempt.span)
            #expect(attempt.trace == request.trace && copy.trace == request.trace)
            #expect((request.upstream, attempt.upstream, copy.upstream) == ("old", "old", "new"))
            #expect((request.mirror, attempt.mirror, copy.mirror) == ("", "", "move"))
            #expect(spans.allSatisfy { $0.status == 200 && !$0.isError && $0.epoch == 3 && $0.route == "api" })
            #expect(spans.allSatisfy { $0.path == Array("/\(number)".utf8) && $0.ended >= $0.began })
            let (live, copied) = (try #require(old.requests.last), try #require(new.requests.last))
            for (message, span) in [(live, attempt), (copied, copy)] {
                let field = try #require(message.field("traceparent"))
                #expect(field.hasSuffix(number == 0 ? "-03" : "-01") && field.count == 55, "\(field)")
                #expect(UInt64(field.split(separator: "-")[2], radix: 16) == span.span, "\(field)")
                #expect(UInt64(field.split(separator: "-")[1].prefix(16), radix: 16) == request.trace.high, "\(field)")
                #expect(message.fields.count { $0.name.lowercased() == "traceparent" } == 1)
                // What is noted of another trace says nothing of a new one.
                #expect(message.field("tracestate") == (number == 0 ? "a=b" : nil))
            }
        }
    }

    @Test(
        "With accessLog.mirror a copy has a line, told from those of requests; without it none, and a lost one says why"
    )
    func logged() async throws {
        let old = try ScriptedUpstream.plain("old")
        let new = try ScriptedUpstream.answering { request, _ in
            request.start.contains("gone") ? "nonsense\r\n\r\n" : Self.answer("newer")
        }
        for copies in [true, false] {
            let folder = BalancerProcess.makeFolder()
            defer { BalancerProcess.removeFolder(folder) }
            let path = folder + "/access.log"
            let writer = try LineWriter(.file(path: path), named: "log", capacity: AccessLogSink.capacity)
            let log = AccessLogSink(writer, copies: copies)
            try log.start()
            let rig = try await MirrorRig(old.port, new.port, log: log)
            _ = try rig.request("/a?x=%22\\")
            _ = try rig.request("/gone")
            try rig.awaitPairs(1)
            #expect(eventually { rig.dropped(.decode) == 1 })
            func lines() throws -> [[String: Any]] {
                let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
                return try text.split(separator: "\n").map {
                    try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
                }
            }
            #expect(try eventually { try lines().count == (copies ? 4 : 2) })
            log.stop(milliseconds: 1_000)
            let all = try lines()
            let (live, copied) = (all.filter { $0["mirror"] == nil }, all.filter { $0["mirror"] as? Bool == true })
            #expect(live.count == 2 && copied.count == (copies ? 2 : 0), "\(all)")
            #expect(live.allSatisfy { $0["upstream"] as? String == "old" && $0["status"] as? Int == 200 })
            guard copies else { continue }
            let answered = try #require(copied.first { $0["reason"] == nil })
            let request = try #require(live.first { $0["target"] as? String == answered["target"] as? String })
            for name in ["requestId", "client", "method", "host", "route"] {
                #expect(answered[name] as? String == request[name] as? String && answered[name] != nil, "\(name)")
            }
            #expect(
                answered["upstream"] as? String == "new" && answered["endpoint"] as? String == "127.0.0.1:\(new.port)")
            #expect(answered["status"] as? Int == 200 && answered["responseBytes"] as? Int == 5)
            let lost = try #require(copied.first { $0["reason"] != nil })
            #expect(lost["reason"] as? String == "decode" && lost["status"] as? Int == 0)
            #expect(lost["target"] as? String == "/gone")
        }
    }

    @Test("The share is exact, and copies use their connections again")
    func share() async throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port, share: 250_000)
        // The first of their kind are copied whatever the share is.
        for _ in 0..<100 { _ = try rig.request() }
        let connection = try RawConnection(port: rig.port)
        var reader = MessageReader(connection)
        for _ in 0..<400 {
            connection.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            _ = try reader.message()
        }
        #expect(eventually { new.requests.count == 145 }, "\(new.requests.count)")
        try rig.awaitPairs(145)
        #expect(rig.allDropped == 0 && new.connections <= 16 && old.requests.count == 500)
    }

    @Test("What may change something, an override, an upgrade, an excepted path: none is copied")
    func neverCopied() async throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port) { route, _ in
            route.override = OverrideSpec(header: "x-side")
            route.migration?.mirror.except = ["/private"]
        }
        #expect(try rig.request("/", method: "POST", body: "data").status == 200)
        #expect(try rig.request("/", method: "DELETE").status == 200)
        #expect(rig.dropped(.method) == 2)
        #expect(try rig.request("/private").status == 200)
        #expect(try rig.request("/private/a?b").status == 200)
        // However it is spelt.
        for target in ["/%70rivate", "//private", "/a/../private/b", "/./private", "/privat%65/"] {
            #expect(try rig.request(target).status == 200)
        }
        #expect(rig.dropped(.except) == 7)
        #expect(try rig.request("/", fields: "X-Side: old\r\n").status == 200)
        #expect(
            try rig.request("/", fields: "Connection: upgrade\r\nUpgrade: websocket\r\n").status == 200)
        // Which is the first that is.
        #expect(try rig.request("/privateer").status == 200)
        try rig.awaitPairs(1)
        #expect(new.requests.count == 1 && new.requests[0].start == "GET /privateer HTTP/1.1")
        #expect(rig.allDropped == 9)
    }

    @Test("Of each kind some requests are told, copied or not, and who answered; what is not there is no kind")
    func seen() async throws {
        let old = try ScriptedUpstream.answering { request, _ in
            request.start.contains("/none") ? "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" : Self.answer("x")
        }
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port, share: 1) { route, _ in
            route.override = OverrideSpec(header: "x-side")
        }
        for _ in 0..<30 { _ = try rig.request("/item/1?a=b") }
        _ = try rig.request("/item/2", method: "POST", body: "data")
        _ = try rig.request("/none")
        _ = try rig.request("/forced", fields: "X-Side: new\r\n")
        let told = rig.record.seen.take()
        #expect(told.count == 21 && told.allSatisfy { $0.route == "api" && !$0.isAnsweredByNew })
        #expect(Set(told.map { String(decoding: $0.target, as: UTF8.self) }) == ["/item/1?a=b", "/item/2"])
        #expect(rig.record.seen.take().isEmpty)
    }

    @Test("A method that is allowed by name is copied with its body, if that was kept whole")
    func unsafe() async throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port) { route, _ in
            route.migration?.mirror.methods = ["GET", "POST"]
            route.buffering.request = 100
        }
        #expect(try rig.request("/", method: "POST", body: "data").status == 200)
        try rig.awaitPairs(1)
        #expect(new.requests[0].text == "data" && old.requests[0].text == "data")
        let long = String(repeating: "y", count: 300_000)
        #expect(try rig.request("/", method: "POST", body: long).status == 200)
        #expect(eventually { rig.dropped(.body) == 1 })
        #expect(old.requests[1].text.utf8.count == 300_000 && new.requests.count == 1)
    }

    @Test("Answers are kept to the limit, and beyond it told apart by length and hash")
    func longAnswers() async throws {
        let old = try ScriptedUpstream.answering { request, _ in
            Self.answer(String(repeating: request.start.contains("other") ? "a" : "b", count: 300_000))
        }
        let new = try ScriptedUpstream.answering { _, _ in
            let chunk = String(repeating: "b", count: 30_000)
            return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + String(repeating: "7530\r\n\(chunk)\r\n", count: 10) + "0\r\n\r\n"
        }
        let rig = try await MirrorRig(old.port, new.port)
        #expect(try rig.request("/same").body.count == 300_000)
        #expect(try rig.request("/other").body.count == 300_000)
        try rig.awaitPairs(2)
        for pair in rig.compared {
            #expect(!pair.old.body.isWhole && pair.old.body.bytes.isEmpty && pair.old.body.length == 300_000)
            #expect(pair.new.body.length == 300_000)
            #expect((pair.old.body.digest == pair.new.body.digest) == (pair.request.target == "/same"))
        }
    }

    /// What is wrong with the side that gets copies.
    enum Trouble: CaseIterable, Sendable {
        case refusing, silent, resetting, malformed, huge, slow
    }

    private static func troubled(_ trouble: Trouble) throws -> ScriptedUpstream? {
        switch trouble {
        case .refusing: return nil
        case .silent: return try ScriptedUpstream { connection, _ in _ = connection.readAll(seconds: 60) }
        case .resetting:
            return try ScriptedUpstream { connection, _ in
                var reader = MessageReader(connection)
                _ = try reader.message()
                connection.resetOnClose()
            }
        case .malformed: return try .answering { _, _ in "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n" }
        case .huge:
            let body = String(repeating: "x", count: 10 << 20)
            return try .answering { _, _ in Self.answer(body) }
        case .slow:
            return try .answering { _, _ in
                usleep(100_000)
                return Self.answer("x")
            }
        }
    }

    @Test(
        "Whatever ails the side that gets copies, no live request fails, and memory stays in its bounds",
        arguments: Trouble.allCases)
    func trouble(_ trouble: Trouble) async throws {
        let old = try ScriptedUpstream.plain(String(repeating: "x", count: 1_000))
        let new = try Self.troubled(trouble)
        let port = try new?.port ?? ReservedPort().number
        let rig = try await MirrorRig(old.port, port, keepsPairs: false) { route, _ in
            route.migration?.mirror.memory = 1 << 20
            route.migration?.mirror.connections = 4
            route.migration?.mirror.timeout = 300
        }
        let load = LoadClient(port: rig.port)
        load.start(connections: 8)
        let deadline = Deadline(seconds: 2.5)
        var most = 0
        while !deadline.hasPassed {
            most = max(most, rig.record.memory.held)
            usleep(1_000)
        }
        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(3))")
        #expect(load.total > 200)
        #expect(most <= 1 << 20)
        switch trouble {
        case .refusing, .resetting:
            #expect(rig.dropped(.unavailable) > 100)
        case .silent:
            #expect(
                rig.dropped(.timeout) >= 4
                    && rig.dropped(.unavailable) + rig.dropped(.queue) + rig.dropped(.memory) > 100)
        case .malformed: #expect(rig.dropped(.decode) >= 5 && rig.dropped(.unavailable) > 100)
        case .huge: #expect(rig.record.copies["new"]?.statusClasses[2] ?? 0 > 0)
        case .slow: #expect(rig.dropped(.queue) + rig.dropped(.memory) + rig.dropped(.busy) > 100)
        }
        // Nothing of it counts against the endpoint, nor takes a slot of it.
        let endpoint = rig.endpoint("new")
        #expect(endpoint?.failures == 0 && endpoint?.outstanding.load(ordering: .relaxed) == 0)
        new?.stop()
    }

    @Test("An endpoint that an operator drains, or that probes find down, gets no copy")
    func administrative() async throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port)
        let endpoint = try #require(rig.endpoint("new"))
        endpoint.setAdministrative(.drain, now: 1)
        #expect(try rig.request().status == 200)
        #expect(eventually { rig.dropped(.unavailable) == 1 })
        endpoint.setAdministrative(.ready, now: 2)
        endpoint.setOperational(.down, now: 3)
        #expect(try rig.request().status == 200)
        #expect(eventually { rig.dropped(.unavailable) == 2 })
        endpoint.setOperational(.up, now: 4)
        #expect(try rig.request().status == 200)
        try rig.awaitPairs(1)
        #expect(new.requests.count == 1)
    }

    @Test("More than perSecond are dropped, and the old side can be asked again all the same")
    func rate() async throws {
        let old = try ScriptedUpstream.answering { request, _ in
            Self.answer(request.field("x-balancer-mirror") ?? "live")
        }
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port) { route, _ in route.migration?.mirror.perSecond = 5 }
        for _ in 0..<20 { #expect(try rig.request().status == 200) }
        #expect(eventually { rig.dropped(.rate) + UInt64(rig.compared.count) == 20 })
        #expect(rig.dropped(.rate) >= 5)
        let pair = try #require(rig.compared.first)
        let again = try #require(await rig.server.askAgain(pair.request))
        #expect(again.body.bytes == Array("move".utf8) && pair.old.body.bytes == Array("live".utf8))
        old.stop()
        #expect(await rig.server.askAgain(pair.request) == nil)
    }

    @Test("What is earned between two requests is kept, however little it is")
    func earned() async throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port) { route, _ in route.migration?.mirror.perSecond = 10 }
        // A second's worth at once, and then one for each 100 ms, while each request earns a part of one.
        let areCopied = try eventually { try rig.request().status == 200 && rig.compared.count >= 15 }
        #expect(areCopied)
    }

    @Test("An answer that the client did not get whole is compared with nothing")
    func cutAnswer() async throws {
        let old = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.message()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        }
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(old.port, new.port)
        let connection = try RawConnection(port: rig.port)
        connection.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        _ = connection.readAll(seconds: 10)
        #expect(eventually { rig.dropped(.body) == 1 })
        #expect(new.requests.isEmpty && rig.record.memory.held == 0)
    }

    @Test("A request that another side had to answer is not copied")
    func failedOver() async throws {
        let nowhere = try ReservedPort()
        let new = try ScriptedUpstream.plain("x")
        let rig = try await MirrorRig(nowhere.number, new.port) { route, _ in
            route.action = .split([
                SplitEntry(upstream: "old", weight: 1), SplitEntry(upstream: "new", weight: 1),
            ])
        }
        for _ in 0..<4 { #expect(try rig.request().status == 200) }
        // Two of them were the old side's, and its own two find it gone.
        #expect(
            eventually { rig.dropped(.answeredElsewhere) == 2 && rig.dropped(.unavailable) == 2 },
            "\(rig.record.dropped)")
    }
}
