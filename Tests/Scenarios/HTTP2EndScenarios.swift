import Glibc
import HTTP2
import TestSupport
import Testing

/// How HTTP/2 connections end: drains, reloads, deadlines, floods; and programs of others that speak it.
@Suite("HTTP/2 connections end") struct HTTP2EndScenarios {
    /// Answers each request when `release` is touched.
    private func waiting() throws -> ScriptedUpstream {
        try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                let request = try reader.message(seconds: 60)
                upstream.record(request)
                if request.start.contains("/wait") { usleep(700_000) }
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
    }

    @Test("A drain says GOAWAY twice, serves what runs and what was on its way, and ends cleanly")
    func drain() throws {
        let upstream = try self.waiting()
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let first = peer.request("/wait")
        #expect(eventually { upstream.requests.count == 1 })
        balancer.program.signal(SIGTERM)
        #expect(peer.read { !$0.goAways.isEmpty })
        #expect(peer.goAways.first?.last == 0x7FFF_FFFF && peer.goAways.first?.code == 0)
        #expect(try peer.answer(first).text == "ok")
        #expect(peer.read { $0.goAways.count == 2 })
        #expect(peer.goAways.last?.code == 0)
        peer.read(until: { _ in false })
        #expect(peer.end == .closed, "\(peer.end as Any)")
        #expect(balancer.program.awaitExit() == 0)
    }

    @Test("A client that answers no PING is given up, also while its answer goes out bit by bit")
    func vanished() throws {
        let upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.message()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while connection.send("1\r\nx\r\n") { usleep(100_000) }
        }
        let balancer = try BalancerProcess(http2Before: upstream, top: #""timeouts": {"http2Ping": "500ms"}"#)
        let vanished = try HTTP2Peer(balancer)
        vanished.reads = false
        vanished.request()
        #expect(vanished.read { !$0.pings.isEmpty })
        // It has fifteen seconds for its answer.
        vanished.read { _ in false }
        #expect(vanished.goAways.count == 1 && vanished.end == .closed, "\(vanished.end as Any)")
    }

    @Test("A listener that goes ends its connections gracefully")
    func listenerGone() throws {
        let upstream = try self.waiting()
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        #expect(try peer.answer(peer.request()).text == "ok")
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let text = Routes.configuration(upstreams: [("core", [upstream.port])])
            .replacing(
                #"{"name": "public", "address": "127.0.0.1:0"}"#,
                with: #"{"name": "moved", "address": "127.0.0.1:\#(reserved.number)"}"#)
        try BalancerProcess.write(text, to: balancer.file)
        #expect(peer.read { $0.goAways.count == 2 })
        peer.read(until: { _ in false })
        #expect(peer.end == .closed)
    }

    @Test("Weights change and tables reload under open streams")
    func reload() throws {
        let upstream = try self.waiting()
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let running = (0..<10).map { _ in peer.request("/wait") }
        #expect(eventually { upstream.requests.count == 10 })
        let text = Routes.configuration(
            upstreams: [("core", [upstream.port])],
            routes: #"{"name": "gone", "match": {"path": "/"}, "respond": {"status": 410}}"#
        ).replacing(#""address": "127.0.0.1:0"}],"#, with: #""address": "127.0.0.1:0", "http2": true}],"#)
        try BalancerProcess.write(text, to: balancer.file)
        #expect(try eventually { try peer.answer(peer.request("/new")).status == "410" })
        for stream in running { #expect(try peer.answer(stream).text == "ok") }
        #expect(peer.goAways.isEmpty)
    }

    @Test("A take-over ends the predecessor's connections behind their streams")
    func takeOver() throws {
        let upstream = try self.waiting()
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let text = Routes.configuration(
            upstreams: [("core", [upstream.port])], top: #""takeover": {"path": "\#(folder)/takeover.sock"}"#
        ).replacing(
            #"{"name": "public", "address": "127.0.0.1:0"}"#,
            with: #"{"name": "public", "address": "127.0.0.1:\#(reserved.number)", "http2": true}"#)
        try BalancerProcess.write(text, to: folder + "/routes.json")
        let running = try BalancerProcess("", folder: folder)
        let peer = try HTTP2Peer(running)
        let stream = peer.request("/wait")
        #expect(eventually { upstream.requests.count == 1 })
        let successor = try BalancerProcess("", folder: folder)
        #expect(try peer.answer(stream).text == "ok")
        #expect(peer.read { $0.goAways.count == 2 })
        peer.read(until: { _ in false })
        #expect(peer.end == .closed)
        #expect(running.program.awaitExit() == 0)
        let next = try HTTP2Peer(successor)
        #expect(try next.answer(next.request()).text == "ok")
    }

    @Test("An idle connection ends by GOAWAY, PINGs do not keep it")
    func idle() throws {
        let upstream = try self.waiting()
        let balancer = try BalancerProcess(http2Before: upstream, top: #""timeouts": {"keepAlive": "500ms"}"#)
        let peer = try HTTP2Peer(balancer)
        #expect(try peer.answer(peer.request()).text == "ok")
        peer.send(peer.frame(FrameType.ping, [1, 2, 3, 4, 5, 6, 7, 8]))
        #expect(peer.read { $0.goAways.count == 2 })
        peer.read(until: { _ in false })
        #expect(peer.end == .closed)
    }

    @Test("A connection's life ends behind its requests")
    func lifetime() throws {
        let upstream = try self.waiting()
        let balancer = try BalancerProcess(http2Before: upstream, top: #""timeouts": {"connectionLifetime": "200ms"}"#)
        let peer = try HTTP2Peer(balancer)
        #expect(try peer.answer(peer.request("/wait")).text == "ok")
        #expect(peer.read { $0.goAways.count == 2 })
        #expect(peer.goAways.allSatisfy { $0.code == 0 })
    }

    // MARK: floods

    /// Each flood ends its own connection, and no other client notices.
    @Test(
        "Floods end by GOAWAY ENHANCE_YOUR_CALM, and honest traffic goes on",
        arguments: [
            "pings", "settings", "resets", "priorities", "priority-updates", "empty-data", "window-updates",
            "unknown-frames",
            "continuations",
            "fields",
        ])
    func floods(_ kind: String) throws {
        let upstream = try self.waiting()
        let balancer = try BalancerProcess(http2Before: upstream)
        let honest = try HTTP2Peer(balancer)
        #expect(try honest.answer(honest.request()).text == "ok")
        let attacker = try HTTP2Peer(balancer)
        attacker.reads = false
        var bytes: [UInt8] = []
        for index in 0..<300 {
            switch kind {
            case "pings": bytes += attacker.frame(FrameType.ping, [0, 0, 0, 0, 0, 0, 0, 0])
            case "settings": bytes += attacker.frame(FrameType.settings, [])
            case "resets":
                let stream = attacker.newStream()
                bytes += attacker.headers(
                    stream, [(":method", "GET"), (":scheme", "http"), (":path", "/wait"), (":authority", "h")],
                    isEnd: true)
                bytes += attacker.frame(FrameType.reset, stream: stream, HTTP2Peer.word(8))
            case "priorities": bytes += attacker.frame(FrameType.priority, stream: 3, [0, 0, 0, 0, 1])
            case "priority-updates":
                bytes += attacker.frame(FrameType.priorityUpdate, HTTP2Peer.word(1) + Array("u=\(index % 8)".utf8))
            case "empty-data":
                if index == 0 {
                    let stream = attacker.newStream()
                    bytes += attacker.headers(
                        stream, [(":method", "PUT"), (":scheme", "http"), (":path", "/"), (":authority", "h")],
                        isEnd: false)
                }
                bytes += attacker.frame(FrameType.data, stream: 1, [])
            case "window-updates": bytes += attacker.frame(FrameType.windowUpdate, HTTP2Peer.word(1))
            case "continuations":
                bytes += attacker.frame(index == 0 ? FrameType.headers : FrameType.continuation, stream: 1, [])
            case "fields":
                if index == 0 {
                    // One entry of 4,000 bytes in the table, and then an octet for each further copy of it.
                    let entry: [UInt8] = [0x40, 1, 0x78, 0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x79, count: 4_000)
                    bytes += attacker.frame(
                        FrameType.headers, flags: 5, stream: 1,
                        [0x82, 0x86, 0x84] + entry + [UInt8](repeating: 0xBE, count: 4_000))
                }
            default: bytes += attacker.frame(0x55, [])
            }
        }
        attacker.send(bytes)
        #expect(attacker.read { !$0.goAways.isEmpty })
        let counter = kind == "priority-updates" ? "priorities" : kind
        #expect(attacker.goAways.last?.code == 11, "\(attacker.goAways)")
        #expect(try balancer.admin("/metrics").text.contains("balancer_http2_floods_total{kind=\"\(counter)\"} 1"))
        #expect(try honest.answer(honest.request()).text == "ok")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    // MARK: other programs

    @Test("curl, nghttp and h2load are served")
    func programs() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream)
        let url = "http://127.0.0.1:\(balancer.port)/hello"
        for (path, arguments, mark) in [
            ("/usr/bin/curl", ["-s", "--http2-prior-knowledge", "-w", "%{http_version}", url], "/hello2"),
            ("/usr/bin/curl", ["-s", "--http2-prior-knowledge", "-d", "body", url], "body"),
            ("/usr/bin/nghttp", [url], "/hello"),
            ("/usr/bin/h2load", ["-n", "2000", "-c", "4", "-m", "20", url], "2000 succeeded"),
        ] where access(path, X_OK) == 0 {
            let program = try Program(path: path, arguments)
            #expect(program.awaitExit() == 0, "\(path) \(program.errors)")
            #expect(program.output.contains { $0.contains(mark) }, "\(path) \(program.output)")
        }
    }
}
