import Foundation
import HTTP2
import TestSupport
import Testing

/// Copies to a side that speaks HTTP/2 alone.
@Suite("Copies over HTTP/2", .serialized) struct HTTP2MirrorScenarios {
    private final class Rig {
        let balancer: BalancerProcess
        let folder = BalancerProcess.makeFolder()

        /// `new`: of the upstream that gets copies.
        init(_ old: UInt16, new: String, keys: String = "\"protocol\": \"http2\"", mirror: String = "{}") throws {
            try BalancerProcess.write(
                """
                {"listeners": [{"name": "public", "address": "127.0.0.1:0"}], "admin": {"address": "127.0.0.1:0"},
                 "accessLog": {"enabled": false}, "state": {"path": "\(self.folder)/state.sqlite"},
                 "upstreams": {"core": {"endpoints": ["127.0.0.1:\(old)"]}, "gateway": {"endpoints": ["\(new)"], \(keys)}},
                 "routes": [{"name": "api", "split": {"core": 1, "gateway": 0}, "buffering": {"request": "1MiB"}}],
                 "migrations": [{"name": "move", "routes": ["api"], "from": "core", "to": "gateway",
                   "stages": [{"mirror": 100, "hold": "10h"}, {"share": 100, "hold": "1h"}],
                   "mirror": \(mirror), "compare": {"headers": ["x-path"]}}]}
                """, to: self.folder + "/routes.json")
            self.balancer = try BalancerProcess("", folder: self.folder)
            let started = try self.balancer.command("migration", "move", "start")
            guard started.status == 0 else { throw TestFailure("start: \(started.errors) \(started.output)") }
        }

        deinit { BalancerProcess.removeFolder(self.folder) }

        func metric(_ line: String) throws -> Int {
            let text = try self.balancer.admin("/metrics").text
            let found = text.split(separator: "\n").first { $0.hasPrefix(line + " ") }
            return found.flatMap { Int($0.split(separator: " ").last ?? "") } ?? 0
        }

        func compared(_ result: String) throws -> Int {
            try self.metric("balancer_comparisons_total{migration=\"move\",result=\"\(result)\"}")
        }

        func dropped(_ reason: String) throws -> Int {
            try self.metric("balancer_mirror_dropped_total{migration=\"move\",reason=\"\(reason)\"}")
        }
    }

    /// Answers as `HTTP2Upstream.echoing` does.
    private static func old() throws -> ScriptedUpstream {
        try .answering { request, _ in
            let path = request.start.split(separator: " ")[1]
            let text = request.body.isEmpty ? Self.long(String(path)) : request.text
            return "HTTP/1.1 200 OK\r\nX-Path: \(path)\r\nContent-Length: \(text.utf8.count)\r\n\r\n"
                + (request.start.hasPrefix("HEAD") ? "" : text)
        }
    }

    /// Longer than the first window, where a path asks for it.
    private static func long(_ path: String) -> String {
        path.hasPrefix("/long") ? String(repeating: path, count: 30_000) : path
    }

    private static func new(
        _ then: @escaping @Sendable (HTTP2Upstream.Event, HTTP2Upstream.Connection) -> Void = { _, _ in }
    ) throws -> HTTP2Upstream {
        try HTTP2Upstream { event, connection in
            if case .ended(let stream) = event, let request = connection.requests[stream] {
                let body = request.body.isEmpty ? Array(Self.long(request.path).utf8) : request.body
                connection.answer(
                    stream, fields: [("x-path", request.path), ("content-length", "\(body.count)")],
                    body: request.method == "HEAD" ? [] : body)
            }
            then(event, connection)
        }
    }

    @Test("Copies with and without bodies, long answers and HEAD, all equal, over connections that are used again")
    func copies() throws {
        let old = try Self.old()
        // Asked in between, while no copy is under way.
        let new = try Self.new { event, connection in
            if case .ended = event { connection.frame(FrameType.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]) }
        }
        let rig = try Rig(
            old.port, new: "127.0.0.1:\(new.port)", mirror: #"{"methods": ["GET", "HEAD", "POST"], "unsafe": true}"#)
        let body = String(repeating: "b", count: 150_000)
        for number in 0..<3 {
            #expect(try rig.balancer.request("/short/\(number)").status == 200)
            #expect(try rig.balancer.request("/long/\(number)").status == 200)
            #expect(try rig.balancer.request("/head", method: "HEAD").status == 200)
            #expect(
                try rig.balancer.request("/post", method: "POST", body: body).text == body)
            #expect(try eventually { try rig.compared("equal") == 4 * (number + 1) })
        }
        #expect(new.requests.count == 12 && new.connections <= 4, "\(new.connections)")
        let post = try #require(new.requests.first { $0.method == "POST" })
        #expect(post.text == body && post.field("x-balancer-mirror") == "move")
        #expect(post.field("x-request-id") == old.requests.first { $0.start.hasPrefix("POST") }?.field("x-request-id"))
        #expect(new.resets.isEmpty)
    }

    @Test("A server that leaves, resets, or answers nonsense costs its copy alone, and clients notice nothing")
    func trouble() throws {
        let old = try Self.old()
        let new = try HTTP2Upstream { event, connection in
            guard case .ended(let stream) = event, let path = connection.requests[stream]?.path else { return }
            switch path {
            case "/leave": connection.goAway(last: 0)
            case "/reset": connection.reset(stream, .internalError)
            case "/nonsense": connection.headers(stream, [("x", "y")], ends: true)
            case "/short": connection.answer(stream, fields: [("content-length", "9")], body: [1, 2])
            default:
                connection.answer(stream, fields: [("x-path", path)], body: Array(path.utf8))
                connection.goAway(last: stream)
            }
        }
        let rig = try Rig(old.port, new: "127.0.0.1:\(new.port)")
        for (place, path) in ["/leave", "/reset", "/nonsense", "/short"].enumerated() {
            #expect(try rig.balancer.request(path).text == path)
            #expect(
                try eventually { try rig.dropped("unavailable") + rig.dropped("decode") == place + 1 }, "\(path)")
        }
        #expect(try rig.dropped("unavailable") == 2 && rig.dropped("decode") == 2)
        for number in 0..<2 {
            #expect(try rig.balancer.request("/\(number)").text == "/\(number)")
            #expect(try eventually { try rig.compared("equal") == number + 1 })
        }
        #expect(eventually { new.open == 0 }, "a connection that leaves is not kept")
    }

    @Test("Within TLS only where the server agrees on HTTP/2", arguments: [["h2", "http/1.1"], ["http/1.1"]])
    func secure(protocols: [String]) throws {
        let old = try Self.old()
        let new = try Self.new()
        let plain = try ScriptedUpstream.plain("never")
        let made = try TestCertificates()
        let terminator = try TLSTerminator(
            http1: plain.port, http2: new.port, protocols: protocols, made.make("up", names: ["localhost"]))
        let rig = try Rig(
            old.port, new: "localhost:\(terminator.port)",
            keys: "\"protocol\": \"http2\", \"tls\": {\"ca\": \"\(made.authority)\"}")
        for number in 0..<3 { #expect(try rig.balancer.request("/\(number)").text == "/\(number)") }
        if protocols.contains("h2") {
            #expect(try eventually { try rig.compared("equal") == 3 })
            #expect(new.requests.allSatisfy { $0.field(":scheme") == "https" })
        } else {
            #expect(try eventually { try rig.dropped("unavailable") == 3 })
        }
        #expect(plain.requests.isEmpty)
    }
}
