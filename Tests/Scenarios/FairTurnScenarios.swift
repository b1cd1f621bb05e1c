import Glibc
import TestSupport
import Testing

/// What one connection may ask of its worker at a time.
@Suite("Fair turns", .serialized) struct FairTurnScenarios {
    /// Few enough that their answers fit into what the kernel holds for a client that does not read yet.
    private static let batch = 400

    @Test(
        "Beside clients that flood requests answered here, another is answered in its turn",
        arguments: ["/none", "/moved", "/private", "/down"])
    func flood(target: String) throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [upstream.port]), ("gateway", [1])],
                routes: """
                    {"name": "private", "match": {"path": "/private"}, "respond": {"status": 404}},
                    {"name": "moved", "match": {"path": "/moved"}, "redirect": {"path": "/new"}},
                    {"name": "down", "match": {"path": "/down"}, "split": {"gateway": 1}},
                    {"name": "api", "match": {"path": "/api"}, "split": {"core": 1}}
                    """))
        #expect(try balancer.command("endpoint", "127.0.0.1:1", "maintenance").status == 0)
        let flood = String(repeating: "GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n", count: Self.batch)
        let flooders = try (0..<10).map { _ in try balancer.connect() }
        let other = try balancer.connect()
        var reader = MessageReader(other)
        other.send("GET /api HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().text == "ok")
        // What stands in front of the other's request when the worker looks; how far it got with it when that is answered.
        var least = Int.max
        for _ in 0..<5 {
            try balancer.program.pause()
            for flooder in flooders { flooder.send(flood) }
            other.send("GET /none HTTP/1.1\r\nHost: h\r\n\r\n")
            balancer.program.signal(SIGCONT)
            #expect(try reader.message().status == 404)
            try balancer.program.pause()
            let answered = flooders.map { Self.answers($0, atMost: .max) }
            least = min(least, answered.reduce(0, +))
            balancer.program.signal(SIGCONT)
            for (flooder, count) in zip(flooders, answered) {
                #expect(count + Self.answers(flooder, atMost: Self.batch - count) == Self.batch, "each is answered")
            }
        }
        #expect(least < 10 * Self.batch / 2, "\(least) of \(10 * Self.batch) answered before the other")
    }

    /// Answers that have come, counted by what each begins with. Waits only if there may still be some.
    private static func answers(_ connection: RawConnection, atMost limit: Int) -> Int {
        let deadline = Deadline(seconds: limit == .max ? 0.001 : 30)
        let mark = Array("HTTP/1.1 ".utf8)
        var count = 0
        var matched = 0
        while count < limit, case .data(let bytes) = connection.receive(by: deadline) {
            for byte in bytes {
                matched = byte == mark[matched] ? matched + 1 : (byte == mark[0] ? 1 : 0)
                if matched == mark.count {
                    count += 1
                    matched = 0
                }
            }
        }
        return count
    }

    @Test("A head that drips costs by its length, not by its length squared", arguments: [true, false])
    func drippedHead(ofRequest: Bool) throws {
        let dripped = 1_500
        @Sendable func drip(_ connection: RawConnection, behind size: Int) {
            connection.send((0..<(size / 1_000)).map { "X-\($0): \(String(repeating: "a", count: 990))\r\n" }.joined())
            connection.send("X-Drip: ")
            for _ in 0..<dripped {
                connection.send("a")
                // A piece of its own, if the machine lets it be.
                usleep(100)
            }
            connection.send("\r\n")
        }
        let size = Locked(0)
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                upstream.record(try reader.message(seconds: 60))
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")
                if !ofRequest { drip(connection, behind: size.value) }
                connection.send("\r\nok")
            }
        }
        let balancer = try BalancerProcess(
            before: upstream, top: "\"limits\": {\"headerBytes\": \"512KiB\", \"headerCount\": 1000}")
        func seconds(behind count: Int) throws -> Double {
            size.change { $0 = count }
            let connection = try balancer.connect()
            let before = balancer.program.processorSeconds
            connection.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n")
            if ofRequest { drip(connection, behind: count) }
            connection.send("\r\n")
            var reader = MessageReader(connection)
            #expect(try reader.message().text == "ok")
            return balancer.program.processorSeconds - before
        }
        _ = try seconds(behind: 1_000)
        let short = try seconds(behind: 1_000)
        let long = try seconds(behind: 200_000)
        #expect(long < short * 4 + 0.05, "\(short) s behind 1 kB, \(long) s behind 200 kB")
    }
}
