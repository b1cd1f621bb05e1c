import Glibc
import TestSupport
import Testing

/// What becomes of an upstream connection between two requests.
@Suite("Pooled connections", .serialized) struct PooledConnectionScenarios {
    private static let unasked = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    @Test(
        "An endpoint that says that it closes gets no further request there, although it does not close",
        arguments: ["HTTP/1.1 200 OK\r\nConnection: close", "HTTP/1.0 200 OK"])
    func saysClose(start: String) throws {
        let upstream = try ScriptedUpstream.answering { _, _ in "\(start)\r\nContent-Length: 2\r\n\r\nok" }
        let balancer = try BalancerProcess(before: upstream)
        for number in 1...3 {
            #expect(try balancer.request().text == "ok")
            #expect(upstream.connections == number)
        }
    }

    @Test("Bytes that come on an idle connection answer nobody: the connection is given up")
    func unaskedBytes() throws {
        let speak = Progress()
        let ends = Locked<[RawConnection.End]>([])
        let upstream = try ScriptedUpstream { connection, upstream in
            let isFirst = upstream.connections == 1
            var reader = MessageReader(connection)
            upstream.record(try reader.message(seconds: 60))
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if isFirst {
                guard eventually(seconds: 30, { speak.value > 0 }) else { return }
                connection.send(Self.unasked)
            }
            let (text, end) = connection.readAll(seconds: 30)
            if isFirst { ends.change { $0.append(text.isEmpty ? end : .data(Array(text.utf8))) } }
        }
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request("/1").text == "ok")
        #expect(try eventually { try balancer.idleUpstreamConnections() == 1 })
        speak.add(1)
        #expect(eventually { !ends.value.isEmpty }, "the connection is kept")
        #expect(ends.value.allSatisfy { $0 == .closed || $0 == .reset }, "a request went out on it: \(ends.value)")
        #expect(try balancer.request("/2").text == "ok")
        #expect(upstream.connections == 2)
    }

    @Test(
        "Nor do they answer a request that comes at the same moment, before or behind them", arguments: [true, false])
    func unaskedBytesAtOnce(requestFirst: Bool) throws {
        let pooled = Locked<RawConnection?>(nil)
        let upstream = try ScriptedUpstream { connection, upstream in
            pooled.change { $0 = connection }
            var reader = MessageReader(connection)
            while true {
                upstream.record(try reader.message(seconds: 60))
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        let balancer = try BalancerProcess(before: upstream)
        let client = try balancer.connect()
        var reader = MessageReader(client)
        client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().text == "ok")
        for number in 2...6 {
            try #require(try eventually { try balancer.idleUpstreamConnections() == 1 })
            // Both are there when it looks again.
            try balancer.program.pause()
            if requestFirst { client.send("GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n") }
            pooled.value?.send(Self.unasked)
            if !requestFirst { client.send("GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n") }
            balancer.program.signal(SIGCONT)
            #expect(try reader.message().text == "ok")
            #expect(upstream.requests.last?.start == "GET /\(number) HTTP/1.1")
            #expect(upstream.connections == number)
        }
    }

    @Test("A connection that has outlived upstreamLifetime while it was idle is not used again")
    func outlivedWhileIdle() throws {
        let ended = Locked<Set<Int>>([])
        let upstream = try ScriptedUpstream.noting(ended)
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"upstreamLifetime\": \"500ms\"}")
        #expect(try balancer.request("/1").text == "ok")
        // The age is the matter of the test, not a wait for something.
        usleep(700_000)
        #expect(try balancer.request("/2").text == "ok")
        #expect(upstream.connections == 2)
        #expect(eventually { ended.value.contains(1) }, "it is not only left alone, but closed")
    }

    @Test("idleConnections: 0 keeps none; a reload changes it either way")
    func idleConnections() throws {
        let ended = Locked<Set<Int>>([])
        let upstream = try ScriptedUpstream.noting(ended)
        let configuration = { (count: Int) in
            Routes.configuration(
                upstreams: [("core", [upstream.port])], upstreamKeys: "\"idleConnections\": \(count)")
        }
        let balancer = try BalancerProcess(configuration(0))
        for number in 1...3 {
            #expect(try balancer.request().text == "ok")
            #expect(eventually { ended.value.count == number }, "connection \(number) is kept")
        }
        #expect(upstream.connections == 3)
        try balancer.load(configuration(4))
        for _ in 0..<3 {
            #expect(try balancer.request().text == "ok")
            #expect(try eventually { try balancer.idleUpstreamConnections() == 1 }, "it is not kept")
        }
        #expect(upstream.connections == 4, "one connection for the three")
        try balancer.load(configuration(0))
        for _ in 0..<3 {
            #expect(try balancer.request().text == "ok")
            #expect(try eventually { try balancer.idleUpstreamConnections() == 0 })
        }
        #expect(upstream.connections >= 6, "\(upstream.connections): what was kept may serve once more, no oftener")
        #expect(eventually { ended.value.count == upstream.connections })
    }

    @Test("A reload that drops an endpoint closes the connections to it that are idle, and no others")
    func droppedEndpoint() throws {
        let (goneEnds, stayingEnds) = (Locked<Set<Int>>([]), Locked<Set<Int>>([]))
        let gone = try ScriptedUpstream.noting(goneEnds)
        let staying = try ScriptedUpstream.noting(stayingEnds)
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [gone.port, staying.port])], upstreamKeys: "\"balance\": \"round-robin\""))
        for _ in 0..<4 { #expect(try balancer.request().text == "ok") }
        #expect(try eventually { try balancer.idleUpstreamConnections() == 2 })
        try balancer.load(
            Routes.configuration(
                upstreams: [("core", [staying.port])], upstreamKeys: "\"balance\": \"round-robin\""))
        #expect(eventually { goneEnds.value == [1] }, "its connection stays")
        #expect(try balancer.request().text == "ok")
        #expect(stayingEnds.value.isEmpty && staying.connections == 1)
    }

    @Test("A drain closes idle upstream connections at once, while requests still run")
    func drain() throws {
        let releases = [Progress(), Progress()]
        let ended = [Locked<Set<Int>>([]), Locked<Set<Int>>([])]
        let upstreams = try zip(ended, releases).map { try ScriptedUpstream.noting($0, holding: $1) }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", upstreams.map(\.port))], upstreamKeys: "\"balance\": \"round-robin\""))
        // One runs at each; then each has one that is idle.
        let holders = try (1...2).map { number in
            let connection = try balancer.connect()
            connection.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(eventually { upstreams.map(\.requests.count).reduce(0, +) == number })
            return connection
        }
        for _ in 0..<2 { #expect(try balancer.request("/other").text == "ok") }
        #expect(try eventually { try balancer.idleUpstreamConnections() == 2 })
        balancer.program.signal(SIGTERM)
        #expect(eventually { ended.allSatisfy { $0.value == [2] } }, "the idle connections stay open")
        #expect(balancer.program.exitStatus == nil)
        releases[0].add(1)
        // What comes back during the drain is not kept either.
        #expect(eventually { ended[0].value == [1, 2] })
        #expect(balancer.program.exitStatus == nil)
        releases[1].add(1)
        for holder in holders {
            var reader = MessageReader(holder)
            let response = try reader.message()
            #expect(response.text == "ok" && response.closes)
        }
        #expect(balancer.program.awaitExit() == 0)
    }
}

extension ScriptedUpstream {
    /// Answers every request with "ok", those for `/hold` once `release` is given, and notes which of its connections,
    /// numbered from 1 in the order of their coming, the other side has ended.
    static func noting(_ ended: Locked<Set<Int>>, holding release: Progress? = nil) throws -> ScriptedUpstream {
        try ScriptedUpstream { connection, upstream in
            let number = upstream.connections
            var reader = MessageReader(connection)
            while let request = try? reader.message(seconds: 60) {
                upstream.record(request)
                if let release, request.start.contains(" /hold ") {
                    _ = eventually(seconds: 40) { release.value > 0 }
                }
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
            ended.change { $0.insert(number) }
        }
    }
}

extension BalancerProcess {
    /// Connections to all endpoints that wait for a request.
    func idleUpstreamConnections() throws -> Double {
        try self.sum("balancer_endpoint_connections_idle")
    }

    /// The values of a metric, added up over its labels.
    func sum(_ name: String) throws -> Double {
        try self.admin("/metrics").text.split(separator: "\n").filter { $0.hasPrefix(name + "{") }
            .reduce(0) { $0 + (Double($1.split(separator: " ").last ?? "") ?? 0) }
    }

    /// Puts other text in the place of the configuration file and waits until it is in force.
    func load(_ configuration: String) throws {
        let before = try self.json("/api/v1/status")["generation"] as? Int ?? 0
        try BalancerProcess.write(configuration, to: self.file)
        let loaded = try eventually(seconds: 20) {
            try self.json("/api/v1/status")["generation"] as? Int ?? 0 > before
        }
        guard loaded else { throw TestFailure("not loaded; \(self.program.errors.suffix(5))") }
    }
}
