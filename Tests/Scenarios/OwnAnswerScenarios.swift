import Glibc
import TestSupport
import Testing

/// Answers that the balancer makes itself, and what may follow them.
@Suite("Own answers", .serialized) struct OwnAnswerScenarios {
    private static let routes = """
        {"name": "private", "match": {"host": "h", "path": "/private"}, "respond": {"status": 404}},
        {"name": "moved", "match": {"host": "h", "path": "/moved"}, "redirect": {"path": "/new"}},
        {"name": "api", "match": {"host": "h", "path": "/"}, "split": {"core": 1}}
        """
    /// Request, expected status and reason.
    private static let answers = [
        ("GET /private HTTP/1.1\r\nHost: h\r\n", 404, "answered-by-route"),
        ("GET /moved HTTP/1.1\r\nHost: h\r\n", 308, "redirect"),
        ("GET / HTTP/1.1\r\nHost: nowhere\r\n", 404, "no-route"),
        ("GET /down HTTP/1.1\r\nHost: h\r\n", 503, "no-endpoint-available"),
    ]

    private func started() throws -> (upstream: ScriptedUpstream, balancer: BalancerProcess) {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(before: upstream, routes: Self.routes)
        #expect(try balancer.command("endpoint", "127.0.0.1:\(upstream.port)", "maintenance").status == 0)
        return (upstream, balancer)
    }

    @Test("They leave the client's connection fit for its next request")
    func goesOn() throws {
        let (upstream, balancer) = try self.started()
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        for (request, status, reason) in Self.answers {
            connection.send(request + "\r\n")
            let response = try reader.message()
            #expect(response.status == status && response.field("x-balancer-reason") == reason)
            #expect(response.field("connection") == nil, "\(reason) ends the connection")
        }
        #expect(try balancer.command("endpoint", "127.0.0.1:\(upstream.port)", "ready").status == 0)
        connection.send("GET /up HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().text == "ok")
        upstream.stop()
        connection.send("GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
        let failed = try reader.message()
        #expect(failed.status == 502 && failed.field("connection") == nil)
        connection.send("GET /private HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().status == 404)
        #expect(reader.surplus.isEmpty)
    }

    @Test("In a drain they say that the connection closes, and it does")
    func drain() throws {
        let (upstream, balancer) = try self.started()
        let idle = try balancer.connect()
        idle.send("GET /private HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(idle.read(until: "\r\n\r\n") != nil)
        let waiting = try Self.answers.map { request, _, _ in
            let connection = try balancer.connect()
            // Its end comes when the drain has begun.
            connection.send(request)
            return connection
        }
        #expect(
            try eventually {
                try balancer.metric("balancer_connections_active") == Double(Self.answers.count + 1)
            })
        balancer.program.signal(SIGTERM)
        #expect(idle.readAll(seconds: 20).end == .closed, "the drain has begun where connections are served")
        for (connection, answer) in zip(waiting, Self.answers) {
            connection.send("\r\n")
            var reader = MessageReader(connection)
            let response = try reader.message()
            #expect(response.status == answer.1 && response.field("x-balancer-reason") == answer.2)
            #expect(response.closes, "\(answer.2) does not say it")
            #expect(connection.readAll().end == .closed)
        }
        #expect(balancer.program.awaitExit() == 0)
        #expect(upstream.requests.isEmpty)
    }
}
