import HTTP2
import TestSupport
import Testing

/// The order in which clients of HTTP/2 want their answers (RFC 9218).
@Suite("HTTP/2 priorities") struct HTTP2PriorityScenarios {
    private static let piece = 16_384

    /// Bodies as long as a request's path says, from endpoints of either version, to a client whose connection's window is used up.
    private struct Rig {
        let balancer: BalancerProcess
        let peer: HTTP2Peer
        private let old: ScriptedUpstream?
        private let new: HTTP2Upstream?

        init(version: Int, top: String = "") throws {
            if version == 1 {
                let upstream = try Self.sized()
                self.old = upstream
                self.new = nil
                self.balancer = try BalancerProcess(http2Before: upstream, top: top)
            } else {
                let upstream = try HTTP2Upstream { event, connection in
                    guard case .ended(let stream) = event, let path = connection.requests[stream]?.path else { return }
                    let body = [UInt8](repeating: 0x61, count: Int(path.dropFirst()) ?? 0)
                    connection.answer(stream, fields: [("content-length", "\(body.count)")], body: body)
                }
                self.old = nil
                self.new = upstream
                self.balancer = try BalancerProcess(before: upstream, top: top)
            }
            self.peer = try HTTP2Peer(self.balancer, settings: [(4, 1 << 20)])
            self.peer.reads = false
            #expect(try self.peer.answer(self.peer.request("/65535")).body.count == 65_535)
        }

        private static func sized() throws -> ScriptedUpstream {
            let chunk = [UInt8](repeating: 0x61, count: 65_536)
            return try ScriptedUpstream { connection, upstream in
                var reader = MessageReader(connection)
                while true {
                    let request = try reader.message(seconds: 60)
                    var left = Int(request.start.split(separator: " ")[1].dropFirst()) ?? 0
                    guard connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(left)\r\n\r\n") else { return }
                    while left > 0 {
                        guard connection.send(Array(chunk[..<min(left, chunk.count)])) else { return }
                        left -= min(left, chunk.count)
                    }
                    // From here the kernel has all of it.
                    upstream.record(request)
                }
            }
        }

        /// Answers of three pieces that wait for a window, whole.
        func request(_ priorities: [String?]) throws -> [UInt32] {
            let streams = priorities.map { priority in
                self.peer.request(
                    "/\(3 * HTTP2PriorityScenarios.piece)", fields: priority.map { [("priority", $0)] } ?? [])
            }
            #expect(self.peer.read { peer in streams.allSatisfy { peer.answers[$0]?.status == "200" } })
            #expect(eventually { (self.old?.requests.count ?? self.new?.requests.count) == priorities.count + 1 })
            // What an endpoint of HTTP/2 has sent before this answer is there with it.
            #expect(try self.peer.answer(self.peer.request("/0")).isEnded)
            return streams
        }

        /// Opens the connection's window that far, and takes what comes of it.
        func open(_ count: Int, times: Int = 1) {
            for _ in 0..<times {
                let wanted = self.taken + count
                self.peer.windowUpdate(0, count)
                #expect(self.peer.read { _ in self.taken >= wanted })
                self.settle()
            }
        }

        /// What the worker has still to do in its turn is done before the answer to this goes out.
        private func settle() {
            let count = self.peer.pings.count
            self.peer.send(self.peer.frame(FrameType.ping, [0, 0, 0, 0, 0, 0, 0, 1]))
            #expect(self.peer.read { $0.pings.count > count })
        }

        var taken: Int { self.peer.order.reduce(0) { $0 + $1.count } }

        /// Whose bytes came since the window was used up.
        var order: [[Int]] { self.peer.order.dropFirst().map { [Int($0.stream), $0.count] } }

        var priorities: [String] {
            (self.old?.requests.compactMap { $0.field("priority") } ?? [])
                + (self.new?.requests.compactMap { $0.field("priority") } ?? [])
        }
    }

    @Test("All of the urgent answer goes before the other, which came first", arguments: [1, 2])
    func urgentFirst(_ version: Int) throws {
        let rig = try Rig(version: version)
        let streams = try rig.request(["u=5", "u=1, i"])
        rig.open(Self.piece, times: 6)
        #expect(rig.order == [[Int(streams[1]), 3 * Self.piece], [Int(streams[0]), 3 * Self.piece]])
        for stream in streams { #expect(try rig.peer.answer(stream).body.count == 3 * Self.piece) }
        // It is the upstream's, too (RFC 9218 5).
        #expect(rig.priorities.sorted() == ["u=1, i", "u=5"])
    }

    @Test(
        "Equal ones take turns", arguments: [1, 2], [[nil, nil], ["u=6", "u=6"], [nil, "u="], ["u=3", "u=9, i"]])
    func equal(_ version: Int, _ priorities: [String?]) throws {
        let rig = try Rig(version: version)
        let streams = try rig.request(priorities)
        rig.open(Self.piece, times: 6)
        #expect(rig.order.map { $0[1] } == Array(repeating: Self.piece, count: 6))
        #expect(Set(rig.order.map { $0[0] }) == Set(streams.map { Int($0) }))
        for stream in streams { #expect(try rig.peer.answer(stream).isEnded) }
    }

    @Test("PRIORITY_UPDATE turns the order round", arguments: [1, 2])
    func update(_ version: Int) throws {
        let rig = try Rig(version: version)
        let streams = try rig.request([nil, "u=2"])
        rig.open(Self.piece)
        rig.peer.priorityUpdate(streams[0], "u=0")
        rig.open(Self.piece, times: 5)
        let (first, second) = (Int(streams[0]), Int(streams[1]))
        #expect(rig.order == [[second, Self.piece], [first, 3 * Self.piece], [second, 2 * Self.piece]])
    }

    @Test("An urgent one that has no window holds nobody up")
    func closedWindow() throws {
        let upstream = try ScriptedUpstream.sized(20_000)
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer, settings: [(4, 0)])
        peer.reads = false
        let urgent = peer.request("/", fields: [("priority", "u=0")])
        let other = peer.request("/", fields: [("priority", "u=7")])
        #expect(peer.read { $0.answers[urgent]?.status != nil && $0.answers[other]?.status != nil })
        peer.windowUpdate(other, 20_000)
        #expect(try peer.answer(other).body.count == 20_000)
        // A window that is too small to be used at once holds nobody up either.
        let third = peer.request("/", fields: [("priority", "u=7")])
        peer.windowUpdate(urgent, 1)
        peer.windowUpdate(third, 20_000)
        #expect(try peer.answer(third).body.count == 20_000)
        peer.windowUpdate(urgent, 20_000)
        #expect(try peer.answer(urgent).body.count == 20_000)
    }

    @Test("Who waits for a more urgent one that the client takes is not taken for a client that does not read")
    func waitsLong() throws {
        let rig = try Rig(version: 1, top: #""timeouts": {"responseBodyIdle": "400ms"}"#)
        let urgent = rig.peer.request("/1000000000", fields: [("priority", "u=0")])
        let other = rig.peer.request("/500000", fields: [("priority", "u=7")])
        rig.peer.windowUpdate(urgent, 1 << 30)
        #expect(rig.peer.read { $0.answers[urgent]?.status != nil && $0.answers[other]?.status != nil })
        let deadline = Deadline(seconds: 1.5)
        while !deadline.hasPassed {
            let wanted = rig.taken + 2_048
            rig.peer.windowUpdate(0, 2_048)
            #expect(rig.peer.read { _ in rig.taken >= wanted })
        }
        // It may have got what the other had not yet: little.
        let body = rig.peer.answers[other]?.body.count ?? 0
        #expect(rig.peer.answers[other]?.isOver == false && body < 100_000, "\(body) bytes")
        rig.peer.reset(urgent)
        rig.peer.windowUpdate(0, 1 << 24)
        #expect(try rig.peer.answer(other).body.count == 500_000)
    }

    @Test(
        "PRIORITY_UPDATE that cannot be ends the connection",
        arguments: [
            (1, HTTP2Peer.word(1), 1), (0, [0, 0, 1], 6), (0, HTTP2Peer.word(0), 1), (0, HTTP2Peer.word(2), 1),
        ] as [(UInt32, [UInt8], UInt32)])
    func malformed(_ stream: UInt32, _ payload: [UInt8], _ code: UInt32) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(http2Before: upstream)
        let peer = try HTTP2Peer(balancer)
        // A value that is none is no reason to.
        peer.priorityUpdate(1, "u=,")
        #expect(try peer.answer(peer.request("/")).text == "/")
        peer.send(peer.frame(FrameType.priorityUpdate, stream: stream, payload))
        #expect(peer.read { !$0.goAways.isEmpty })
        #expect(peer.goAways.last?.code == code, "\(peer.goAways)")
    }
}
