import Documents
import Foundation
import Testing

@testable import GatewayService

/// The modes without a database.
@Suite("Modes without a database")
struct BareTests {
    private static let health = "GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n"

    @Test func healthOnlyCountsWhatItAnswers() async throws {
        try await RunningServer.run({ $0.service = .healthOnly }) { server async throws in
            _ = try await server.send("GET", "/healthcheck")
            _ = try await server.exchange(Self.health + "GET /candidates HTTP/1.1\r\nConnection: close\r\n\r\n")
            _ = try await server.send("OPTIONS", "/x", ["Access-Control-Request-Method: GET"])
            _ = try await server.send("POST", "/x", ["Content-Type: application/json"], body: "{")
            _ = try await server.send("GET", "/readyz")
            let metrics = try await server.send("GET", "/metrics").body
            for (route, status, count) in [
                ("/healthcheck", 200, 2), ("none", 404, 1), ("none", 204, 1), ("none", 400, 1), ("operations", 503, 1),
            ] {
                #expect(
                    metrics.contains(
                        "\ngateway_requests_total{route=\"\(route)\",status=\"\(status)\"} \(count)\n"), "\(route)")
            }
            #expect(metrics.contains(#"gateway_request_duration_seconds_count{route="none"} 3"#))
        }
    }

    /// Meant for a core, the key would take a gateway's API away while probes and balancer still believed in it.
    @Test(arguments: [
        (GatewayConfiguration.Role.gateway, "503 Service Unavailable", "not ready: health checks only, by "),
        (.core, "200 OK", "ready\n"),
    ])
    func readyForTheAPIOnlyWithIt(role: GatewayConfiguration.Role, status: String, body: String) async throws {
        try await RunningServer.run({
            $0.role = role
            $0.service = .healthOnly
        }) { server async throws in
            let answer = try await server.send("GET", "/readyz")
            #expect(answer.status == "HTTP/1.1 " + status)
            #expect(answer.body.hasPrefix(body))
            #expect(try await server.send("GET", "/livez").body == "alive\n")
            #expect(try await server.send("GET", "/healthcheck").body == "Good!")
        }
    }

    /// What a retired core is asked for is somewhere else, however it is asked and whatever is sent along.
    @Test func aRetiredCoreKnowsOneAnswer() async throws {
        try await RunningServer.run({
            $0.role = .core
            $0.service = .retired
        }) { server async throws in
            let large = String(repeating: " ", count: 2_000_000)
            let answers = try await server.exchange(
                "OPTIONS /x HTTP/1.1\r\nHost: h\r\nAccess-Control-Request-Method: GET\r\n\r\n"
                    + "POST /candidates HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{"
                    + "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n"
                    + large + "GET /healthcheck HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(answers.ranges(of: "HTTP/1.1 404 Not Found\r\n").count == 3)
            #expect(answers.ranges(of: "The API is served by the gateway now").count == 3)
            #expect(answers.hasSuffix("Good!"))
        }
    }

    @Test(arguments: [GatewayConfiguration.Service.healthOnly, .retired])
    func requestsAreLogged(service: GatewayConfiguration.Service) async throws {
        let pipe = Pipe()
        try await RunningServer.run(
            {
                $0.service = service
                $0.logsRequests = true
            }, requestLog: pipe.fileHandleForWriting
        ) { server async throws in
            _ = try await server.exchange(
                Self.health + "GET /candidates HTTP/1.1\r\nX-Request-ID: r-1\r\nConnection: close\r\n\r\n")
        }
        try pipe.fileHandleForWriting.close()
        let text = try #require(try pipe.fileHandleForReading.readToEnd())
        let lines = try text.split(separator: UInt8(ascii: "\n")).map { try JSONParser.parse(Array($0)) }
        #expect(lines.map { $0[key: "status"]?.number } == [200, 404])
        #expect(lines.map { $0[key: "route"]?.string } == ["/healthcheck", "none"])
        #expect(lines.map { $0[key: "target"]?.string } == ["/healthcheck", "/candidates"])
        #expect(lines.map { $0[key: "requestId"]?.string } == [nil, "r-1"])
    }

    /// Its health for the chart's probes and the image's own check; of everything else it says where it went.
    @Test func aRetiredCoreAnswersHealthAndNothingElse() async throws {
        try await RunningServer.run({
            $0.service = .retired
            $0.role = .core
        }) { server async throws in
            #expect(try await server.send("GET", "/healthcheck").body == "Good!")
            #expect(try await server.send("HEAD", "/healthcheck").status == "HTTP/1.1 200 OK")
            #expect(try await server.send("GET", "/livez").body == "alive\n")
            for path in [
                "/", "/candidates", "/metrics", "/readyz", "/openapi.json", "/scorekeeper/jobs", "/candidates/",
            ] {
                let gone = try await server.send("GET", path)
                #expect(gone.status == "HTTP/1.1 404 Not Found", "\(path)")
                #expect(gone.body.contains("served by the gateway"))
                #expect(gone.body.hasSuffix("\n") && gone.body.split(separator: "\n").count == 1)
            }
            #expect(try await server.send("POST", "/healthcheck").status == "HTTP/1.1 404 Not Found")
        }
    }
}
