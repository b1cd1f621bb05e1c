import Glibc
import TestSupport
import Testing

/// How tunnels end: a cut looks cut, and one that is half over does not stay for ever.
@Suite("Ends of tunnels", .serialized) struct TunnelEndScenarios {
    private static let wish = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    private static let switched =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    /// A tunnel, and how it ends for the upstream.
    private func tunnel(
        _ timeouts: String, upstreamEndsFirst: Bool = false
    ) throws -> (
        balancer: BalancerProcess, client: RawConnection, upstream: ScriptedUpstream, end: Locked<RawConnection.End?>
    ) {
        let end = Locked<RawConnection.End?>(nil)
        let upstream = try ScriptedUpstream.once { connection in
            connection.send(Self.switched + "hello")
            if upstreamEndsFirst { connection.endOutput() }
            let (_, seen) = connection.readAll(seconds: 60)
            // A half-close is not its end yet.
            if seen == .closed, !connection.staysOpenForWriting(seconds: 60) {
                end.change { $0 = .reset }
            } else {
                end.change { $0 = seen }
            }
        }
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\(timeouts)}")
        let client = try balancer.connect()
        client.send(Self.wish)
        #expect(client.read(until: "hello") != nil)
        return (balancer, client, upstream, end)
    }

    @Test("What a drain cuts is reset on both sides")
    func drain() throws {
        let (balancer, client, _, end) = try self.tunnel("\"drain\": \"300ms\"")
        balancer.program.signal(SIGTERM)
        #expect(client.readAll() == ("", .reset))
        #expect(eventually { end.value == .reset }, "\(String(describing: end.value))")
        #expect(balancer.program.awaitExit() == 0)
    }

    @Test("What tunnelIdle cuts is reset on both sides")
    func idle() throws {
        let (balancer, client, _, end) = try self.tunnel("\"tunnelIdle\": \"300ms\"")
        #expect(client.readAll() == ("", .reset))
        #expect(eventually { end.value == .reset }, "\(String(describing: end.value))")
        #expect(try balancer.admin("/readyz").status == 200)
    }

    @Test(
        "A tunnel one side of which has ended is over when nothing moves for tunnelHalfClosed",
        arguments: [true, false])
    func halfClosed(byClient: Bool) throws {
        let (balancer, client, _, _) = try self.tunnel(
            "\"tunnelHalfClosed\": \"500ms\", \"tunnelIdle\": \"1h\"", upstreamEndsFirst: !byClient)
        let began = Deadline.now()
        if byClient { client.endOutput() } else { #expect(client.readAll() == ("", .closed)) }
        #expect(try eventually { try balancer.metric("balancer_tunnels_active") == 0 })
        #expect(!byClient || Deadline.now() - began >= 450_000)
        #expect(try eventually { try balancer.metric("balancer_connections_active") == 0 })
    }
}

extension RawConnection {
    /// After the peer's end: whether it still takes bytes, or has gone altogether.
    func staysOpenForWriting(seconds: Double) -> Bool {
        let deadline = Deadline(seconds: seconds)
        while !deadline.hasPassed {
            var state = pollfd(fd: self.descriptor, events: 0, revents: 0)
            if poll(&state, 1, 50) > 0, state.revents & Int16(POLLERR) != 0 { return false }
        }
        return true
    }
}
