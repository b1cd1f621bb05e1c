import Glibc
import TestSupport
import Testing

/// What waits in the process for peers that do not take it is bounded in all.
@Suite("Buffered in all", .serialized) struct BufferedLimitScenarios {
    @Test("Over limits.buffered those that hold most and move least are reset; one that reads gets its answer whole")
    func slowReaders() throws {
        let size = 4 * 1_048_576
        let upstream = try ScriptedUpstream.sized(size)
        let balancer = try BalancerProcess(
            before: upstream, top: "\"limits\": {\"buffered\": \"1MiB\"}, \"timeouts\": {\"responseBodyIdle\": \"5m\"}")
        let stalled = try (0..<64).map { _ in
            let connection = try balancer.connect()
            connection.limitReceiveBuffer(to: 4_096)
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            return connection
        }
        #expect(eventually { upstream.requests.count == 64 })
        #expect(try eventually { try balancer.metric("balancer_connections_active") <= 32 }, "nobody is given up")
        #expect(try balancer.metric("balancer_connections_active") > 0, "more are given up than must be")
        // Cut, and seen to be cut.
        let ends = stalled.map { connection -> RawConnection.End in
            connection.staysOpen(seconds: 0) ? .timeout : connection.readAll(seconds: 1).end
        }
        #expect(ends.filter { $0 == .reset }.count >= 32)
        #expect(!ends.contains(.closed))
        let reader = try balancer.connect()
        reader.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(reader.count(atMost: .max, seconds: 60) > size)
        #expect(try balancer.sum("balancer_ejections_total") == 0)
    }
}
