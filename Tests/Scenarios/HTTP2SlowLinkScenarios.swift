import HTTP2
import TestSupport
import Testing

/// Several streams share a connection that is slower than what they carry.
@Suite("HTTP/2 on a slow link") struct HTTP2SlowLinkScenarios {
    /// Windows that hold nothing back: only the link does.
    private static let wide: [(UInt16, UInt32)] = [(4, 1 << 30)]

    @Test("Large answers move side by side, whichever stream came first")
    func sideBySide() throws {
        let upstream = try ScriptedUpstream.sized(40 << 20)
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer, settings: Self.wide)
        // The kernel takes less than one stream has ready.
        peer.connection.limitReceiveBuffer(to: 16_384)
        peer.windowUpdate(0, 1 << 30)
        let first = peer.request("/first")
        #expect(peer.read { $0.answers[first]?.body.count ?? 0 > 1 << 20 })
        let second = peer.request("/second")
        #expect(peer.read { $0.answers[second]?.body.count ?? 0 > 1 << 20 })
        #expect(peer.answers[first]?.isEnded == false, "the second waited for the first to end")
        peer.reset(first)
        peer.reset(second)
        #expect(try eventually { try balancer.metric("balancer_http2_streams_active") == 0 })
    }

    @Test("A small answer is there long before a large one has gone")
    func smallBesideLarge() throws {
        let large = try ScriptedUpstream.sized(40 << 20)
        let small = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("large", [large.port]), ("small", [small.port])],
                routes: """
                    {"name": "small", "match": {"path": "/small"}, "split": {"small": 1}},
                    {"name": "large", "split": {"large": 1}}
                    """
            ).replacing(#""address": "127.0.0.1:0"}],"#, with: #""address": "127.0.0.1:0", "http2": true}],"#))
        let peer = try HTTP2Peer(balancer, settings: Self.wide)
        // The kernel takes less than one stream has ready.
        peer.connection.limitReceiveBuffer(to: 16_384)
        peer.windowUpdate(0, 1 << 30)
        let stream = peer.request("/large")
        #expect(peer.read { $0.answers[stream]?.body.count ?? 0 > 1 << 20 })
        for number in 0..<5 {
            #expect(try peer.answer(peer.request("/small/\(number)")).text == "/small/\(number)")
        }
        #expect(peer.answers[stream]?.isEnded == false)
        peer.reset(stream)
    }

    @Test("Who widens the window of every stream is no flood, also where no bodies come")
    func windows() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        for number in 0..<300 {
            let stream = peer.request("/\(number)", method: "HEAD")
            peer.windowUpdate(stream, 100_000)
            #expect(try peer.answer(stream).status == "200", "request \(number)")
        }
        #expect(peer.goAways.isEmpty)
    }

    @Test("A small body that came whole with its head goes again on a fresh connection, as over HTTP/1")
    func again() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message())
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            // The second request is read and met with a reset.
            _ = try reader.message(seconds: 60)
            connection.resetOnClose()
        }
        let balancer = try BalancerProcess(http2Before: upstream, keys: FaultScenarios.unwatched)
        let peer = try HTTP2Peer(balancer)
        for number in 0..<5 {
            let stream = peer.newStream()
            let fields = [
                (":method", "PUT"), (":scheme", "http"), (":path", "/\(number)"), (":authority", "test"),
                ("content-length", "3"),
            ]
            peer.send(
                peer.headers(stream, fields, isEnd: false)
                    + peer.frame(FrameType.data, flags: 1, stream: stream, Array("abc".utf8)))
            let answer = try peer.answer(stream)
            #expect(answer.status == "200" && answer.text == "ok", "request \(number): \(answer)")
        }
        #expect(upstream.requests.allSatisfy { $0.text == "abc" })
    }
}
