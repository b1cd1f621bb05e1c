import Documents
import Foundation
import Testing

@testable import GatewayService

/// The whole service over MongoDB's wire protocol, while the database goes away and comes back.
@Suite("A database in trouble", .enabled(if: WireServer.isAvailable, "needs the wire server; run with-wire-server"))
struct DatabaseTroubleTests {
    private static let releases = [#"{"name":"v1","publishedAt":1}"#]

    private func fill(_ server: WireServer) throws {
        try MongoWriter(uri: server.uri("otv")).insert(
            ExtendedJSON.batch(Self.releases, identified: true), into: .releases, database: "otv")
    }

    /// With the deadline that is the default: each request fails within it and a little, whatever the driver would do.
    @Test func requestsFailInTimeAndAreAnsweredAgain() async throws {
        let database = try WireServer()
        try fill(database)
        let store = try MongoStore(uri: database.uri("otv"), deadline: GatewayConfiguration().deadline)
        try await RunningServer.run({ $0.deadline = GatewayConfiguration().deadline }, store: store) {
            server async throws in
            #expect(try await server.send("GET", "/readyz").body == "ready\n")
            let release = try await server.send("GET", "/release").body
            #expect(ExtendedJSON.withoutGivenIdentities(release) == "{\"name\":\"v1\",\"publishedAt\":1}")
            database.stop()
            for (path, status) in [
                ("/release", "500 Internal Server Error"), ("/candidates", "500 Internal Server Error"),
                ("/validators", "500 Internal Server Error"), ("/candidate/x", "204 No Content"),
                ("/readyz", "503 Service Unavailable"),
            ] {
                let start = ContinuousClock.now
                let answer = try await server.send("GET", path)
                #expect(answer.status == "HTTP/1.1 " + status)
                // The deadline is 2 s, the driver's own 30. Between them there is room for a busy machine.
                #expect(ContinuousClock.now - start < .seconds(8), "\(path)")
                if path == "/readyz" {
                    #expect(
                        ["not ready: database: unreachable\n", "not ready: database: timed out\n"].contains(answer.body)
                    )
                }
            }
            let second = try WireServer(port: database.port)
            try fill(second)
            var status = ""
            for _ in 0..<20 where status != "HTTP/1.1 200 OK" {
                status = try await server.send("GET", "/release").status
            }
            #expect(status == "HTTP/1.1 200 OK")
            #expect(try await server.send("GET", "/readyz").body == "ready\n")
        }
    }

    /// Damaged replies are failures of their requests and of nothing else.
    @Test func damagedRepliesAreFailures() async throws {
        let database = try WireServer()
        try fill(database)
        let store = try MongoStore(uri: database.uri("otv", "&retryReads=false"), deadline: .seconds(60))
        try await RunningServer.run(store: store) { server async throws in
            for kind in [1, 2, 4, 5] as [Int32] {
                try database.command("testMalform", kind)
                #expect(try await server.send("GET", "/release").status == "HTTP/1.1 500 Internal Server Error")
                #expect(try await server.send("GET", "/release").status == "HTTP/1.1 200 OK")
            }
        }
    }
}
