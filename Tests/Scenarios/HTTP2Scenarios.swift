import HTTP2
import TestSupport
import Testing

/// HTTP/2 clients in front of HTTP/1.1 upstreams, by prior knowledge.
@Suite("HTTP/2 clients") struct HTTP2Scenarios {
    @Test("A request and its answer, beside HTTP/1.1 on the same listener")
    func plain() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream, accessLog: true)
        let peer = try HTTP2Peer(balancer)
        let answer = try peer.answer(peer.request("/a?b", fields: [("cookie", "x=1"), ("cookie", "y=2")]))
        #expect(answer.status == "200")
        #expect(answer.text == "/a?b")
        #expect(answer.field("content-length") == "4")
        #expect(answer.field("connection") == nil)
        #expect(answer.field("date") != nil)
        #expect(try balancer.request("/h1").text == "/h1")
        let head = try #require(upstream.requests.first)
        #expect(head.start == "GET /a?b HTTP/1.1")
        #expect(head.field("host") == "test")
        #expect(head.field("cookie") == "x=1; y=2")
        #expect(head.field("x-forwarded-for") == "127.0.0.1")
        let line = try balancer.program.await { $0.contains("\"stream\":1") ? $0 : nil }
        #expect(line.contains(#""protocol":"HTTP/2","stream":1,"#))
        #expect(try balancer.metric("balancer_http2_streams_total") == 1)
    }

    @Test("A route's header edits hold for both versions of HTTP, and for interim answers of neither")
    func edits() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while let request = try? reader.message() {
                upstream.record(request)
                connection.send(
                    "HTTP/1.1 103 Early Hints\r\nX-Powered-By: early\r\n\r\n"
                        + "HTTP/1.1 200 OK\r\nX-Powered-By: core\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        let balancer = try BalancerProcess(
            http2Before: upstream,
            routes: """
                {"name": "api", "split": {"core": 1}, "requestHeaders": {"set": {"X-Asked": "yes"}, "remove": ["X-Gone"]},
                 "responseHeaders": {"set": {"X-Served": "yes"}, "remove": ["X-Powered-By"]}}
                """)
        let peer = try HTTP2Peer(balancer)
        let answer = try peer.answer(peer.request("/a", fields: [("x-gone", "1")]))
        #expect(answer.status == "200" && answer.text == "ok")
        #expect(answer.field("x-served") == "yes" && answer.field("x-kept") == "1")
        #expect(answer.field("x-powered-by") == nil)
        let asked = try #require(upstream.requests.last)
        #expect(asked.field("x-asked") == "yes" && asked.field("x-gone") == nil)
        let old = try balancer.exchange("GET /b HTTP/1.1\r\nHost: h\r\nX-Gone: 1\r\nConnection: close\r\n\r\n").text
        #expect(old.contains("\r\nX-Served: yes\r\n") && !old.contains("X-Powered-By: core"))
    }

    @Test("The preface may come in pieces, and what is none is HTTP/1")
    func preface() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer, greets: false)
        for byte in Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + peer.frame(FrameType.settings, []) {
            peer.send([byte])
        }
        #expect(try peer.answer(peer.request("/x")).text == "/x")
        let http1 = try balancer.connect()
        http1.send("P")
        http1.send("OST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab")
        #expect(http1.readAll().text.hasSuffix("ab"))
        // A request that is shorter than the preface, and all that will come.
        #expect(try balancer.exchange("GET / HTTP/1.0\r\n\r\n").text.hasPrefix("HTTP/1.1 200 "))
        // Without the listener's key the preface is no request.
        let plain = try BalancerProcess(before: upstream)
        #expect(try plain.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").text.hasPrefix("HTTP/1.1 "))
    }

    @Test("A hundred streams at a time, each with its own answer")
    func many() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream, workers: 2)
        let peer = try HTTP2Peer(balancer)
        for round in 0..<3 {
            let streams = (0..<100).map { ($0, peer.request("/\(round)-\($0)")) }
            for (number, stream) in streams { #expect(try peer.answer(stream).text == "/\(round)-\(number)") }
        }
        #expect(try eventually { try balancer.metric("balancer_http2_streams_active") == 0 })
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("Bodies up, with a length, without one, and with trailers")
    func uploads() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let known = peer.request(method: "POST", fields: [("content-length", "6")], isEnd: false)
        peer.data(known, "abc")
        peer.data(known, "def", isEnd: true)
        #expect(try peer.answer(known).text == "abcdef")
        let unknown = peer.request(method: "POST", isEnd: false)
        peer.data(unknown, "abc")
        peer.data(unknown, "", isEnd: true)
        #expect(try peer.answer(unknown).text == "abc")
        let trailed = peer.request(method: "POST", fields: [("te", "trailers")], isEnd: false)
        peer.data(trailed, "abc")
        peer.send(peer.headers(trailed, [("x-sum", "7"), ("authorization", "no")], isEnd: true))
        #expect(try peer.answer(trailed).text == "abc")
        let empty = peer.request(method: "POST")
        #expect(try peer.answer(empty).text == "/")
        let requests = upstream.requests
        #expect(requests[0].field("content-length") == "6" && requests[0].field("transfer-encoding") == nil)
        #expect(requests[1].field("transfer-encoding") == "chunked")
        #expect(requests[2].trailers == ["x-sum: 7"])
        #expect(requests[3].field("content-length") == "0")
    }

    @Test("DATA of several streams in turns, all in one read, is each its own request's")
    func turns() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let streams = (0..<3).map { _ in
            peer.request(method: "POST", fields: [("content-length", "6")], isEnd: false)
        }
        #expect(try eventually { try balancer.metric("balancer_http2_streams_active") == 3 })
        var bytes: [UInt8] = []
        for (turn, letter) in ["a", "b", "c"].enumerated() {
            for (number, stream) in streams.enumerated() {
                bytes += peer.frame(
                    FrameType.data, flags: turn == 2 ? 1 : 0, stream: stream, Array("\(letter)\(number)".utf8))
            }
        }
        peer.send(bytes)
        for (number, stream) in streams.enumerated() {
            #expect(try peer.answer(stream).text == "a\(number)b\(number)c\(number)")
        }
    }

    @Test("Heads may be as large as a reload makes them, on connections to come")
    func largerHeads() throws {
        let upstream = try ScriptedUpstream.echoing()
        func top(_ limit: String) -> String { #""limits": {"headerBytes": "\#(limit)"}"# }
        let balancer = try BalancerProcess(http2Before: upstream, top: top("4KiB"))
        func status(_ count: Int) throws -> String? {
            let peer = try HTTP2Peer(balancer)
            return try peer.answer(peer.request(fields: [("x-long", String(repeating: "x", count: count))])).status
        }
        #expect(try status(3_000) == "200")
        // A block over the limit ends the connection.
        #expect((try? status(5_000)) == nil)
        let text = Routes.configuration(upstreams: [("core", [upstream.port])], top: top("32KiB"))
            .replacing(#""address": "127.0.0.1:0"}],"#, with: #""address": "127.0.0.1:0", "http2": true}],"#)
        try BalancerProcess.write(text, to: balancer.file)
        #expect(eventually { (try? status(5_000)) == "200" })
        // More than the room that the smaller limit asked for.
        #expect(try status(15_000) == "200")
        #expect(upstream.requests.last?.field("x-long")?.utf8.count == 15_000)
    }

    @Test("A large body up passes as the upstream takes it, and the window grows")
    func largeUpload() throws {
        let size = 20 << 20
        let upstream = try ScriptedUpstream.answering { request, _ in
            let text = "\(request.body.count)"
            return "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
        }
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let stream = peer.request(method: "PUT", isEnd: false)
        var sent = 0
        var largest = 0
        while sent < size {
            let room = { (peer: HTTP2Peer) in
                min(65_535 + peer.credit[0, default: 0], 65_536 + peer.credit[stream, default: 0]) - sent
            }
            guard peer.read(until: { room($0) > 0 }) else { throw TestFailure("stalled at \(sent) \(peer.goAways)") }
            largest = max(largest, room(peer))
            let count = min(room(peer), 16_384, size - sent)
            peer.data(stream, [UInt8](repeating: 0x61, count: count), isEnd: sent + count == size)
            sent += count
        }
        #expect(try peer.answer(stream, seconds: 60).text == "\(size)")
        #expect(largest > 200_000, "\(largest)")
    }

    @Test("A body down with a length, in chunks with trailers, until the close, and none")
    func downloads() throws {
        let big = String(repeating: "x", count: 300_000)
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                let request = try reader.message(toHEAD: false, seconds: 60)
                if request.start.contains("/chunks") {
                    connection.send(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\nx-sum: 1\r\n\r\n"
                    )
                } else if request.start.contains("/close") {
                    connection.send("HTTP/1.1 200 OK\r\n\r\nuntil")
                    return
                } else if request.start.contains("/none") {
                    connection.send("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n")
                } else if request.start.contains("/interim") {
                    connection.send(
                        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                } else if request.start.hasPrefix("HEAD") {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
                } else {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(big.utf8.count)\r\n\r\n\(big)")
                }
            }
        }
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let chunks = try peer.answer(peer.request("/chunks"))
        #expect(chunks.text == "abcdef")
        #expect(chunks.trailers.map(\.name) == ["x-sum"])
        #expect(chunks.field("transfer-encoding") == nil)
        #expect(try peer.answer(peer.request("/close")).text == "until")
        let none = try peer.answer(peer.request("/none"))
        #expect(none.status == "204" && none.field("x-a") == "b" && none.body.isEmpty)
        let interim = try peer.answer(peer.request("/interim"))
        #expect(interim.interims == ["103"] && interim.status == "200")
        let head = try peer.answer(peer.request("/", method: "HEAD"))
        #expect(head.field("content-length") == "7" && head.body.isEmpty)
        #expect(try peer.answer(peer.request("/big")).text == big)
    }

    @Test("An answer that breaks off is reset and never ended; others go on")
    func cutAnswers() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            let request = try reader.message(seconds: 60)
            if request.start.contains("/cut") {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
                return
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let cut = try peer.answer(peer.request("/cut"))
        #expect(cut.text == "abc" && cut.reset == 2 && !cut.isEnded)
        #expect(try peer.answer(peer.request("/ok")).text == "ok")
    }

    @Test("A reset by the client lets the upstream go")
    func clientResets() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message(seconds: 60))
            // Ends when the balancer closes.
            _ = connection.readAll(seconds: 60)
        }
        let balancer = try BalancerProcess(http2Before: upstream, accessLog: true)
        let peer = try HTTP2Peer(balancer)
        let stream = peer.request("/slow")
        #expect(eventually { upstream.requests.count == 1 })
        #expect(try balancer.outstanding() == 1)
        peer.reset(stream)
        #expect(try eventually { try balancer.outstanding() == 0 })
        let line = try balancer.program.await { $0.contains("client-closed") ? $0 : nil }
        #expect(line.contains("\"status\":499"))
        #expect(try eventually { try balancer.metric("balancer_http2_streams_active") == 0 })
    }

    @Test("A client that takes nothing of one stream stalls that one only, and holds its window")
    func slowReader() throws {
        let upstream = try ScriptedUpstream.sized(30 << 20)
        let balancer = try BalancerProcess(
            http2Before: upstream, top: #""timeouts": {"responseBodyIdle": "1s"}"#, accessLog: true)
        let peer = try HTTP2Peer(balancer)
        peer.reads = false
        let stalled = peer.request("/stalled")
        peer.read(until: { $0.answers[stalled]?.body.count == 65_535 })
        #expect(peer.answers[stalled]?.body.count == 65_535)
        // The connection's window is used up as well: another stream needs it.
        peer.windowUpdate(0, 40 << 20)
        peer.reads = true
        let other = peer.request("/other")
        #expect(try peer.answer(other, seconds: 60).body.count == 30 << 20)
        // A window that stays shut does not hold memory for ever.
        let answer = try peer.answer(stalled)
        #expect(answer.reset == 2 && !answer.isEnded)
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("Requests that are none are reset, those that a rule refuses get its status")
    func refusals() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream, top: #""limits": {"headerCount": 20}"#)
        let peer = try HTTP2Peer(balancer)
        for fields in [
            [("connection", "close")], [("transfer-encoding", "chunked")], [("X-Upper", "a")], [("x", "a\r\nb: c")],
            [("host", "other")], [(":path", "/twice")], [("te", "gzip")],
        ] {
            let answer = try peer.answer(peer.request(fields: fields))
            #expect(answer.reset == 1 && answer.fields.isEmpty, "\(fields)")
        }
        let many = try peer.answer(peer.request(fields: (0..<30).map { ("x-\($0)", "y") }))
        #expect(many.status == "431" && many.isEnded)
        let connect = peer.newStream()
        peer.send(peer.headers(connect, [(":method", "CONNECT"), (":authority", "h:1")], isEnd: false))
        #expect(try peer.answer(connect).status == "405")
        let short = peer.request(method: "POST", fields: [("content-length", "5")], isEnd: false)
        peer.data(short, "abc", isEnd: true)
        #expect(try peer.answer(short).reset == 1)
        #expect(try peer.answer(peer.request("/still")).text == "/still")
        #expect(!upstream.requests.contains { $0.field("x-0") != nil })
    }

    @Test("A client that resets its stream once it has the answer has been answered")
    func resetBehindAnswer() throws {
        let received = Progress()
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            _ = try reader.head(seconds: 60)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            // It would read on.
            _ = connection.readAll(seconds: 60)
            received.add(1)
        }
        let balancer = try BalancerProcess(http2Before: upstream, accessLog: true)
        let peer = try HTTP2Peer(balancer)
        let stream = peer.request(method: "POST", isEnd: false)
        peer.data(stream, "abc")
        #expect(peer.read { $0.answers[stream]?.isEnded == true })
        #expect(peer.answers[stream]?.reset == nil)
        peer.reset(stream)
        let line = try balancer.program.await { $0.contains(#""stream":\#(stream),"#) ? $0 : nil }
        #expect(line.contains(#""status":200"#) && !line.contains("client-closed"), "\(line)")
        #expect(try balancer.metric(#"balancer_requests_total{route="api",upstream="core",status_class="2xx"}"#) == 1)
        #expect(eventually { received.value == 1 }, "the endpoint is let go")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("An early answer is whole, then the rest of its request is refused without blame")
    func earlyAnswer() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            _ = try reader.head(seconds: 60)
            connection.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        }
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        let stream = peer.request(method: "POST", isEnd: false)
        peer.data(stream, "abc")
        let isOver = peer.read { $0.answers[stream]?.isEnded == true && $0.answers[stream]?.reset == 0 }
        #expect(isOver, "\(peer.answers[stream] as Any)")
        #expect(peer.answers[stream]?.status == "401" && peer.answers[stream]?.text == "no")
        peer.data(stream, "late")
        #expect(try peer.answer(peer.request()).status == "401")
    }
}
