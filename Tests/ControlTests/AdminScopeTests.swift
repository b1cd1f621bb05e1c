@testable import Control
import TestSupport
import Testing

/// The address for probes and metrics only.
struct AdminScopeTests {
    @Test(
        "What it answers, over a socket",
        arguments: [
            ("GET /healthz", "10.0.0.9:9902", 200), ("GET /readyz", "10.0.0.9:9902", 200),
            ("GET /metrics", "ops.internal", 200), ("HEAD /metrics", "localhost", 200),
            ("GET /metrics", "evil.example", 403), ("GET /", "localhost", 404),
            ("GET /api/v1/routes", "localhost", 404), ("GET /api/v1/status", "127.0.0.1", 404),
            ("GET /api/v1/journal", "127.0.0.1", 404), ("GET /api/v1/openapi.json", "127.0.0.1", 404),
            ("GET /%61pi/v1/status", "127.0.0.1", 404), ("GET //api/v1/status", "127.0.0.1", 404),
            ("PUT /api/v1/routes/api/weights", "localhost", 404), ("PUT /healthz", "localhost", 405),
        ])
    func answers(start: String, host: String, status: Int) async throws {
        let rig = AdminRig()
        try await rig.load()
        let before = await rig.bench.weights
        let answer = try await rig.serve(scope: .observation, hosts: ["ops.internal"]) { port in
            let connection = try RawConnection(port: port)
            let body = start.hasPrefix("PUT") ? #"{"weights":{"core":55}}"# : ""
            connection.send(
                "\(start) HTTP/1.1\r\nHost: \(host)\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            var reader = MessageReader(connection)
            return try reader.message(toHEAD: start.hasPrefix("HEAD")).status
        }
        #expect(answer == status)
        #expect(await rig.bench.weights == before)
    }

    @Test("Its connections are bounded like the API's, and take none of the API's")
    func bounds() async throws {
        let rig = AdminRig()
        try await rig.load()
        var limits = AdminLimits()
        limits.connections = 2
        try await rig.serve(scope: .observation, limits: limits) { port in
            // The third takes the place of the first, which is idle longest.
            let held = try (0..<3).map { _ in try RawConnection(port: port) }
            #expect(held[0].readAll().end == .closed)
            held[2].send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            var reader = MessageReader(held[2])
            let status = try reader.message().status
            #expect(status == 200)
            #expect(rig.plane.observeConnections.counts == AdminConnections.Counts(active: 2, refused: 1))
            #expect(rig.plane.adminConnections.counts == AdminConnections.Counts())
            held[2].send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let page = try reader.message().text
            #expect(page.contains("balancer_admin_connections_active 2\n"))
            #expect(page.contains("balancer_admin_connections_refused_total 1\n"))
        }
    }
}
