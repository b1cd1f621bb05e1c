import Glibc
import TestSupport
import Testing

/// The kernel asks silent peers whether they are still there, so that a machine that vanished without a word frees what is
/// held for it.
@Suite("TCP keep-alive", .serialized) struct KeepAliveProbeScenarios {
    /// One line of the kernel's table of TCP sockets.
    private struct Row {
        let local: UInt16
        let remote: UInt16
        /// 2 while the keep-alive timer runs.
        let timer: Int
        /// Until the timer is over.
        let seconds: Double
    }

    private static func established() throws -> [Row] {
        return try kernelText("/proc/net/tcp").split(separator: "\n").dropFirst().compactMap { line in
            let columns = line.split(separator: " ")
            guard columns.count > 5, columns[3] == "01" else { return nil }
            let timer = columns[5].split(separator: ":").compactMap { Int($0, radix: 16) }
            guard let local = Self.port(columns[1]), let remote = Self.port(columns[2]), timer.count == 2 else {
                return nil
            }
            return Row(local: local, remote: remote, timer: timer[0], seconds: Double(timer[1]) / 100)
        }
    }

    /// `0100007F:1F90` is port 8080.
    private static func port(_ place: Substring) -> UInt16? {
        place.split(separator: ":").last.flatMap { UInt16($0, radix: 16) }
    }

    @Test("On the balancer's sockets of both sides the first probe comes within a minute")
    func bothSides() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        var reader = MessageReader(connection)
        #expect(try reader.message().text == "/x")
        // Idle now, both kept.
        let sides: [(String, (Row) -> Bool)] = [
            ("the client's", { $0.local == balancer.port }), ("the upstream's", { $0.remote == upstream.port }),
        ]
        for (side, isIt) in sides {
            var seen: [Row] = []
            let isArmed = try eventually {
                seen = try Self.established().filter(isIt)
                return seen.count == 1 && seen[0].timer == 2
            }
            #expect(isArmed, "\(side): \(seen)")
            #expect(seen.allSatisfy { $0.seconds > 0 && $0.seconds <= 60 }, "\(side): \(seen)")
        }
        withExtendedLifetime(connection) {}
    }
}
