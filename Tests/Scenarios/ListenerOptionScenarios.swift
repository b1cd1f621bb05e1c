import TestSupport
import Testing

/// What a listener says besides its address: by name in routes, and changed by a reload without a new socket.
@Suite("Options of listeners", .serialized) struct ListenerOptionScenarios {
    private func file(_ core: UInt16, _ listeners: [(name: String, port: UInt16)], route: String) -> String {
        let list = listeners.map { #"{"name": "\#($0.name)", "address": "127.0.0.1:\#($0.port)"}"# }
        return """
            {"listeners": [\(list.joined(separator: ", "))], "admin": {"address": "127.0.0.1:0"},
             "accessLog": {"enabled": false}, "upstreams": {"core": {"endpoints": ["127.0.0.1:\(core)"]}},
             "routes": [{"name": "api", "split": {"core": 1}}, \(route)]}
            """
    }

    private func status(_ connection: RawConnection, _ reader: inout MessageReader) throws -> String {
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        return try reader.message().start
    }

    @Test("A route takes what came in at its listeners; who is renamed takes open connections along")
    func matched() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try [ReservedPort(), ReservedPort()]
        defer { withExtendedLifetime(reserved) {} }
        let ports = reserved.map(\.number)
        let closed = #"{"name": "closed", "match": {"listener": "plain"}, "respond": {"status": 410}}"#
        let balancer = try BalancerProcess(
            self.file(core.port, [("plain", ports[0]), ("public", ports[1])], route: closed), workers: 2)
        let plain = try RawConnection(port: ports[0])
        var plainReader = MessageReader(plain)
        let open = try RawConnection(port: ports[1])
        var openReader = MessageReader(open)
        #expect(try self.status(plain, &plainReader).contains(" 410 "))
        #expect(try self.status(open, &openReader).contains(" 200 "))

        let explained = try balancer.command("explain", "/", "--listener", "plain")
        #expect(explained.output.contains("answers 410"), "\(explained)")
        #expect(try balancer.command("explain", "/").output.contains("ask with ?listener="))

        let sockets = try ports.map { try Listening.inodes($0) }
        try BalancerProcess.write(
            self.file(core.port, [("public", ports[0]), ("plain", ports[1])], route: closed), to: balancer.file)
        let isSwapped = try eventually {
            try self.status(plain, &plainReader).contains(" 200 ")
        }
        #expect(isSwapped, "the connection goes by its listener's new name")
        #expect(try self.status(open, &openReader).contains(" 410 "))
        #expect(try ports.map { try Listening.inodes($0) } == sockets)
    }

    @Test("A listener that changes beside one that does not is another one at once, on connections that are open too")
    func oneOfTwo() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try [ReservedPort(), ReservedPort()]
        defer { withExtendedLifetime(reserved) {} }
        let ports = reserved.map(\.number)
        let before = #"{"name": "closed", "match": {"listener": "second"}, "respond": {"status": 410}}"#
        let balancer = try BalancerProcess(
            self.file(core.port, [("public", ports[0]), ("second", ports[1])], route: before))
        let first = try RawConnection(port: ports[0])
        var firstReader = MessageReader(first)
        let second = try RawConnection(port: ports[1])
        var secondReader = MessageReader(second)
        #expect(try self.status(first, &firstReader).contains(" 200 "))
        #expect(try self.status(second, &secondReader).contains(" 410 "))
        let after = #"{"name": "closed", "match": {"listener": "other"}, "respond": {"status": 404}}"#
        try BalancerProcess.write(
            self.file(core.port, [("public", ports[0]), ("other", ports[1])], route: after), to: balancer.file)
        let isRenamed = try eventually { try self.status(second, &secondReader).contains(" 404 ") }
        #expect(isRenamed)
        #expect(try self.status(first, &firstReader).contains(" 200 "))
    }

    @Test("A route that names a listener that is not there is refused, and nothing changes")
    func unknown() throws {
        let core = try ScriptedUpstream.plain("core")
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let good = self.file(
            core.port, [("public", reserved.number)],
            route: #"{"name": "x", "match": {"path": "/x", "listener": "public"}, "respond": {"status": 404}}"#)
        let balancer = try BalancerProcess(good)
        try BalancerProcess.write(
            good.replacing("\"listener\": \"public\"", with: "\"listener\": \"publc\""), to: balancer.file)
        #expect(eventually { balancer.program.errors.contains { $0.contains("$.routes[1].match.listener") } })
        #expect(balancer.program.errors.contains { $0.contains("did you mean") })
        #expect(try get("/x", port: reserved.number).start.contains(" 404 "))
    }
}
