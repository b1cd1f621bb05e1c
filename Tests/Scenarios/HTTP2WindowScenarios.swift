import HTTP2
import TestSupport
import Testing

/// Clients of HTTP/2 whose windows are small, and heads that are large.
@Suite("HTTP/2 windows and heads") struct HTTP2WindowScenarios {
    @Test("A window that opens by bytes is used in pieces a while apart, not byte by byte")
    func dribble() throws {
        let upstream = try ScriptedUpstream.sized(20_000)
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer, settings: [(4, 0)])
        peer.reads = false
        let stream = peer.request("/")
        #expect(peer.read { $0.answers[stream]?.status != nil })
        let began = Deadline.now()
        // A byte at a time, far more often than anything is sent.
        for _ in 0..<100 { peer.windowUpdate(stream, 1) }
        #expect(peer.read { $0.answers[stream]?.body.count ?? 0 >= 100 })
        let waited = Deadline.now() - began
        #expect(waited >= 180_000, "\(waited) µs")
        #expect(peer.dataFrames <= 3, "\(peer.dataFrames) frames")
        // A window that is worth it is used at once, and one that takes all that is left.
        peer.windowUpdate(stream, 19_000)
        #expect(peer.read(seconds: 30) { $0.answers[stream]?.body.count ?? 0 >= 19_100 })
        peer.windowUpdate(stream, 900)
        #expect(try peer.answer(stream).body.count == 20_000)
    }

    @Test("A rejection waits for the window that lets it through")
    func rejection() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream, top: "\"limits\": {\"headerCount\": 10}")
        let peer = try HTTP2Peer(balancer, settings: [(4, 0)])
        let many = (0..<20).map { ("x-\($0)", "1") }
        let stream = peer.request("/", fields: many)
        #expect(peer.read { $0.answers[stream]?.status == "431" })
        #expect(peer.answers[stream]?.isOver == false)
        peer.windowUpdate(stream, 10_000)
        let answer = try peer.answer(stream)
        #expect(answer.isEnded && answer.reset == nil && answer.text.contains("431"), "\(answer)")
        #expect(try eventually { try balancer.metric("balancer_http2_streams_active") == 0 })
    }

    @Test("Heads as large as limits.headerBytes allows, in one direction and the other", arguments: [100_000, 300_000])
    func largeHeads(_ size: Int) throws {
        let field = String(repeating: "v", count: 20_000)
        let count = size / 20_100
        let lines = (0..<count).map { "X-Large-\($0): \(field)\r\n" }.joined()
        let upstream = try ScriptedUpstream.answering { request, _ in
            let all = request.fields.filter { $0.name.lowercased().hasPrefix("x-large") }.map(\.value.utf8.count)
            let body = "\(all.reduce(0, +))"
            return "HTTP/1.1 200 OK\r\n\(lines)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        let balancer = try BalancerProcess(
            http2Before: upstream, top: "\"limits\": {\"headerBytes\": \"\(size / 1_000)KiB\"}")
        let peer = try HTTP2Peer(balancer)
        let stream = peer.newStream()
        let head = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "test")]
        let block = (head + (0..<count).map { ("x-large-\($0)", field) }).flatMap { HTTP2Peer.literal($0.0, $0.1) }
        var offset = 0
        while offset < block.count {
            let piece = Array(block[offset..<min(block.count, offset + 16_384)])
            let isLast = offset + piece.count == block.count
            peer.send(
                peer.frame(
                    offset == 0 ? FrameType.headers : FrameType.continuation,
                    flags: (isLast ? FrameFlag.endHeaders : 0) | (offset == 0 ? FrameFlag.endStream : 0),
                    stream: stream,
                    piece))
            offset += piece.count
        }
        let answer = try peer.answer(stream)
        #expect(answer.status == "200" && answer.text == "\(count * 20_000)", "\(answer.status ?? "") \(answer.text)")
        #expect(answer.fields.count { $0.name.hasPrefix("x-large") } == count)
    }
}
