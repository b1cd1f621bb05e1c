import TestSupport
import Testing

/// HTTP/1.1 and HTTP/2 clients before HTTP/1.1 and HTTP/2 upstreams: all four pairs do the same.
@Suite("Pairs of protocols", .serialized) struct PairScenarios {
    private func balancer(_ pair: Pair, _ upstream: PairUpstream, top: String = "") throws -> BalancerProcess {
        try BalancerProcess(Self.document(pair, [upstream.port], top: top))
    }

    private static func document(
        _ pair: Pair, _ ports: [UInt16], weights: [Int] = [], top: String = "", port: UInt16 = 0
    ) -> String {
        let upstreams = ports.enumerated().map { number, port in
            "\"side-\(number)\": {\"endpoints\": [\"127.0.0.1:\(port)\"], \"protocol\": \"\(pair.upstream.rawValue)\", "
                + "\"retry\": {\"attempts\": 0}}"
        }.joined(separator: ",")
        let split = ports.indices.map { "\"side-\($0)\": \(weights.isEmpty ? 1 : weights[$0])" }.joined(separator: ",")
        return """
            {"listeners": [{"name": "public", "address": "127.0.0.1:\(port)", "http2": true}],
             "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": false}, \(top)
             "upstreams": {\(upstreams)}, "routes": [{"name": "api", "split": {\(split)}}]}
            """
    }

    /// Nothing is left over.
    private func isIdle(_ balancer: BalancerProcess) throws -> Bool {
        try eventually {
            let exchanges = try balancer.metric("balancer_exchanges_active")
            let outstanding = try balancer.outstanding()
            return exchanges == 0 && outstanding == 0
        }
    }

    @Test("Bodies, trailers, interim answers and none", arguments: Pair.all)
    func messages(_ pair: Pair) throws {
        let upstream = try PairUpstream(pair.upstream)
        let balancer = try self.balancer(pair, upstream)
        let client = try PairClient(pair.client, balancer)
        for _ in 0..<2 {
            try client.send("/plain")
            let plain = try client.answer()
            #expect(plain.status == 200 && plain.text == "/plain")
            let pieces = (0..<40).map { _ in [UInt8](repeating: 0x61, count: 25_000) }
            try client.send(
                "/up", body: pieces, trailers: [("x-sum", "7"), ("x-other", "8"), ("authorization", "no")])
            let up = try client.answer()
            #expect(up.status == 200 && up.text == "1000000 x-other: 8,x-sum: 7", "\(up)")
            try client.send("/up", body: [[1, 2, 3]])
            #expect(try client.answer().text == "3 ")
            try client.send("/down")
            let down = try client.answer()
            #expect(down.status == 200 && down.body.count == PairUpstream.size && !down.isCut)
            try client.send("/trailers")
            let trailers = try client.answer()
            #expect(trailers.text == "abc" && trailers.trailers == ["x-sum: 7", "x-more: 8"], "\(trailers)")
            try client.send("/interim")
            let interim = try client.answer()
            #expect(interim.interims == [103] && interim.text == "late", "\(interim)")
            try client.send("/none")
            let none = try client.answer()
            #expect(none.status == 204 && none.body.isEmpty)
        }
        #expect(try self.isIdle(balancer))
    }

    @Test(
        "An upstream that breaks off: 502 before its answer, a cut within it; the connection or its other streams go on",
        arguments: Pair.all)
    func upstreamBreaks(_ pair: Pair) throws {
        let upstream = try PairUpstream(pair.upstream)
        let balancer = try self.balancer(pair, upstream)
        let client = try PairClient(pair.client, balancer)
        try client.send("/refuse")
        #expect(try client.answer().status == 502)
        try client.send("/break")
        let broken = try client.answer()
        #expect(broken.isCut, "\(broken)")
        let next = try PairClient(pair.client, balancer)
        try next.send("/after")
        #expect(try next.answer().text == "/after")
        #expect(try self.isIdle(balancer))
    }

    @Test("A client that gives up: the upstream hears of it", arguments: Pair.all)
    func clientCancels(_ pair: Pair) throws {
        let upstream = try PairUpstream(pair.upstream)
        let balancer = try self.balancer(pair, upstream)
        let client = try PairClient(pair.client, balancer)
        try client.send("/hold")
        #expect(eventually { upstream.requests.value == ["/hold"] })
        client.cancel()
        #expect(eventually { upstream.given.value == 1 })
        let next = try PairClient(pair.client, balancer)
        try next.send("/after")
        #expect(try next.answer().text == "/after")
        #expect(try self.isIdle(balancer))
        upstream.release()
    }

    @Test("A slow reader holds its own answer, and memory within bounds", arguments: Pair.all)
    func slowReader(_ pair: Pair) throws {
        let upstream = try PairUpstream(pair.upstream)
        let balancer = try self.balancer(pair, upstream)
        let slow = try PairClient(pair.client, balancer)
        slow.stopReading()
        try slow.send("/down")
        let other = try PairClient(pair.client, balancer)
        for number in 0..<5 {
            try other.send("/\(number)")
            #expect(try other.answer().text == "/\(number)")
        }
        let answer = try slow.answer()
        #expect(answer.body.count == PairUpstream.size && !answer.isCut)
        #expect(try self.isIdle(balancer))
    }

    @Test(
        "Weights change and a reload comes while a request is held: it ends where it is, the next goes elsewhere",
        arguments: Pair.all)
    func changes(_ pair: Pair) throws {
        let upstreams = try [PairUpstream(pair.upstream), PairUpstream(pair.upstream)]
        let balancer = try BalancerProcess(Self.document(pair, upstreams.map(\.port), weights: [1, 0]))
        let client = try PairClient(pair.client, balancer)
        try client.send("/hold")
        #expect(eventually { upstreams[0].requests.value == ["/hold"] })
        #expect(try balancer.setWeights("{\"side-0\": 0, \"side-1\": 1}").status == 200)
        let other = try PairClient(pair.client, balancer)
        try other.send("/elsewhere")
        #expect(try other.answer().text == "/elsewhere")
        #expect(upstreams[1].requests.value == ["/elsewhere"])
        // Its upstream is another one from now on.
        try BalancerProcess.write(
            Self.document(pair, [upstreams[1].port], top: "\"limits\": {\"headerCount\": 99},"), to: balancer.file)
        let generation = try balancer.json("/api/v1/status")["generation"] as? Int ?? 0
        balancer.program.signal(1)
        #expect(try eventually { try balancer.json("/api/v1/status")["generation"] as? Int ?? 0 > generation })
        upstreams[0].release()
        #expect(try client.answer().text == "held")
        try client.send("/later")
        #expect(try client.answer().text == "/later")
        #expect(try self.isIdle(balancer))
    }

    @Test("A drain and a take-over wait for a request that is held", arguments: Pair.all)
    func drains(_ pair: Pair) throws {
        let upstream = try PairUpstream(pair.upstream)
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Self.document(pair, [upstream.port], top: "\"takeover\": {\"path\": \"\(folder)/takeover\"},"),
            to: folder + "/routes.json")
        let first = try BalancerProcess("", folder: folder)
        let held = try PairClient(pair.client, first)
        try held.send("/hold")
        #expect(eventually { upstream.requests.value == ["/hold"] })
        let second = try BalancerProcess("", folder: folder)
        let client = try PairClient(pair.client, second)
        try client.send("/new")
        #expect(try client.answer().text == "/new")
        upstream.release()
        #expect(try held.answer().text == "held")
        #expect(first.program.awaitExit(seconds: 60) == 0)
        try client.send("/hold")
        #expect(eventually { upstream.requests.value.last == "/hold" })
        second.program.signal(15)
        upstream.release()
        #expect(try client.answer().text == "held")
        #expect(second.program.awaitExit(seconds: 60) == 0)
    }
}
