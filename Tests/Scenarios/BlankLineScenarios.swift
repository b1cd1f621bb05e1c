import Glibc
import TestSupport
import Testing

/// An empty line is not a request (RFC 9112 2.2).
@Suite("Blank lines", .serialized) struct BlankLineScenarios {
    @Test("CRLF behind a body, then nothing: no answer that nobody asked for", arguments: ["\r\n", "\r\n\r\n", "\r"])
    func behindBody(rest: String) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"requestHeader\": \"500ms\"}")
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        for number in 0..<2 {
            connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nbody\(number)\(rest)")
            #expect(try reader.message().text == "body\(number)")
            if rest == "\r" {
                connection.send("\n")
            } else {
                // Longer than a head may take.
                #expect(connection.staysOpen(seconds: 1.2))
            }
        }
        connection.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try reader.message().text == "/next")
        #expect(reader.surplus.isEmpty)
    }

    @Test("Such a connection is idle: a stop does not wait for it")
    func stop() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream, top: "\"timeouts\": {\"requestHeader\": \"50s\", \"drain\": \"60s\"}")
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\r\n")
        #expect(try reader.message().text == "body")
        balancer.program.signal(SIGTERM)
        #expect(balancer.program.awaitExit(seconds: 20) == 0)
        #expect(connection.readAll() == ("", .closed))
    }

    @Test("One that keeps sending them is not served for ever either: keepAlive stands")
    func endless() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream, top: "\"timeouts\": {\"requestHeader\": \"700ms\", \"keepAlive\": \"700ms\"}")
        let connection = try balancer.connect()
        let sent = Progress()
        startThread {
            while connection.send("\r\n") {
                sent.add(1)
                usleep(50_000)
            }
        }
        #expect(connection.readAll(seconds: 60).end != .timeout)
    }
}
