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

    @Test("With --url it asks that URL; what is no URL, or both options, is refused")
    func anyURL() async throws {
        let server = try ScriptedUpstream.answering { request, _ in
            "HTTP/1.1 \(request.start.hasPrefix("GET /good") ? 200 : 503) x\r\nContent-Length: 0\r\n\r\n"
        }
        defer { server.stop() }
        let base = "127.0.0.1:\(server.port)"
        for (path, expected) in [("/good?a=1", Int32(0)), ("/bad", 2), ("", 2)] {
            let ran = try Program.run("balancer", ["health", "--url", "http://\(base)\(path)"])
            #expect(ran.status == expected, "\(path): \(ran.errors)")
            #expect(ran.errors.isEmpty == (expected == 0))
        }
        #expect(server.requests.map(\.start) == ["GET /good?a=1", "GET /bad", "GET /"].map { $0 + " HTTP/1.1" })
        for wrong in [["--url", base], ["--url", "http:///x"], ["--url", "http://\(base)/", "--admin", base]] {
            #expect(try Program.run("balancer", ["health"] + wrong).status == 64)
        }
    }
}
