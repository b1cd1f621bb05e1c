import ArgumentParser
@testable import Balancer
import TestSupport
import Testing

@Suite("The command health")
struct HealthCommandTests {
    private func status(_ address: String) async throws -> Int32 {
        let command = try #require(
            try BalancerCommand.parseAsRoot(["health", "--admin", address]) as? HealthCommand)
        do {
            try await command.run()
            return 0
        } catch let code as ExitCode {
            return code.rawValue
        }
    }

    @Test(
        "0 for a 200 and 2 for all else",
        arguments: [("200 OK", Int32(0)), ("503 Service Unavailable", 2), ("204 No Content", 2), ("302 Found", 2)])
    func statuses(line: String, expected: Int32) async throws {
        let server = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 \(line)\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
        }
        defer { server.stop() }
        #expect(try await self.status("127.0.0.1:\(server.port)") == expected)
        #expect(server.requests.map(\.start) == ["GET /healthz HTTP/1.1"])
    }

    @Test("2 where nobody listens, and within two seconds where nobody answers")
    func nobody() async throws {
        let gone = try ScriptedUpstream { _, _ in }
        gone.stop()
        #expect(try await self.status("127.0.0.1:\(gone.port)") == 2)
        let silent = try ScriptedUpstream { connection, _ in _ = connection.readAll(seconds: 30) }
        defer { silent.stop() }
        let began = Deadline.now()
        #expect(try await self.status("127.0.0.1:\(silent.port)") == 2)
        #expect(Deadline.now() - began < 8_000_000)
    }
}
