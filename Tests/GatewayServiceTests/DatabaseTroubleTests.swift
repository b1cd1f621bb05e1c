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
        try MongoWriter(uri: server.uri("otv")).insert(
            ExtendedJSON.batch([#"{"stash":"a"}"#], identified: true), into: .candidates, database: "otv")
    }

    /// A database that was not meant, and one that has not what it must have: never ready, said and counted. What must be
    /// there is the operator's to say.
    @Test func anotherDatabaseThanWasMeantIsNotReady() async throws {
        let database = try WireServer()
        try fill(database)
        let none = try MongoStore(uri: database.uri("otv_"), deadline: .seconds(60))
        try await RunningServer.run(store: none) { server async throws in
            let ready = try await server.send("GET", "/readyz")
            #expect(ready.status == "HTTP/1.1 503 Service Unavailable")
            #expect(ready.body == "not ready: database: has no candidates\n")
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_database_errors_total{reason="missing"} 1"#))
        }
        for (names, body) in [
            ([], "ready\n"), (["releases", "candidates"], "ready\n"),
            (["releases", "eras", "rewards"], "not ready: database: has no eras, rewards\n"),
        ] {
            let store = try MongoStore(uri: database.uri("otv"), deadline: .seconds(60))
            try await RunningServer.run({ $0.mustHave = names }, store: store) { server async throws in
                #expect(try await server.send("GET", "/readyz").body == body)
            }
        }
    }

    /// Of eight clients the slow collection has three. Others are answered as ever, readiness too, and what could not be
    /// answered in time is refused when it comes.
    @Test func aSlowCollectionIsSlowAlone() async throws {
        let database = try WireServer()
        try fill(database)
        let deadline = Duration.seconds(2)
        let store = try MongoStore(
            uri: "mongodb://127.0.0.1:\(database.port)/otv?maxPoolSize=8", deadline: deadline)
        try await RunningServer.run({ $0.deadline = deadline }, store: store) { server async throws in
            _ = try await server.send("GET", "/release")
            try database.command {
                $0.subdocument("testSlow") {
                    $0.string("collection", "candidates")
                    $0.int32("milliseconds", 1500)
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Until the end of the test; each asks again and again.
                for client in 0..<40 {
                    group.addTask {
                        var number = 0
                        while !Task.isCancelled {
                            number += 1
                            _ = try? await server.send("GET", "/candidate/\(client)-\(number)")
                            // A refusal costs nothing: without a rest this would be a flood.
                            try? await Task.sleep(for: .milliseconds(100))
                        }
                    }
                }
                // Once the workers have learnt how long it takes.
                var refused: RunningServer.Answer?
                var took = Duration.zero
                let end = ContinuousClock.now + .seconds(60)
                while refused == nil, .now < end {
                    let start = ContinuousClock.now
                    let answer = try await server.send("GET", "/candidate/x")
                    took = .now - start
                    if answer.status == "HTTP/1.1 503 Service Unavailable" { refused = answer }
                }
                #expect(refused?.headers.contains("Retry-After: 2") == true)
                #expect(refused?.body == "Service Unavailable")
                #expect(took < .seconds(1), "\(took)")
                for number in 0..<20 {
                    let start = ContinuousClock.now
                    #expect(try await server.send("GET", "/release?\(number)").status == "HTTP/1.1 200 OK")
                    #expect(try await server.send("GET", "/readyz").body == "ready\n")
                    #expect(ContinuousClock.now - start < .seconds(1))
                }
                group.cancelAll()
            }
            try database.command { $0.subdocument("testSlow") { _ in } }
            // Fast again: it is tried, and found to be.
            var status = ""
            let end = ContinuousClock.now + .seconds(60)
            while status != "HTTP/1.1 200 OK", .now < end {
                status = try await server.send("GET", "/candidates/valid").status
            }
            #expect(status == "HTTP/1.1 200 OK")
        }
    }

    /// Off, the outage is a failure. On, the last answer is given for so long, and says so.
    @Test func staleAnswersAreGivenWhereThatIsWanted() async throws {
        for staleFor in [Duration.zero, .seconds(600)] {
            let database = try WireServer()
            try fill(database)
            let store = try MongoStore(uri: database.uri("otv"), deadline: .seconds(2))
            try await RunningServer.run(
                {
                    $0.deadline = .seconds(2)
                    $0.cacheLifetime = .milliseconds(1)
                    $0.staleFor = staleFor
                }, store: store
            ) { server async throws in
                let fresh = try await server.send("GET", "/validators/beefy")
                #expect(fresh.status == "HTTP/1.1 200 OK")
                database.stop()
                let answer = try await server.send("GET", "/validators/beefy")
                let other = try await server.send("GET", "/validators/beefy?")
                #expect(other.status == "HTTP/1.1 500 Internal Server Error")
                guard staleFor > .zero else {
                    #expect(answer.status == "HTTP/1.1 500 Internal Server Error")
                    return
                }
                #expect(answer.status == "HTTP/1.1 200 OK")
                #expect(answer.body == fresh.body)
                #expect(answer.headers.contains(#"Warning: 110 - "Response is Stale""#))
                let age = answer.headers.first { $0.hasPrefix("Age: ") }.flatMap { Int($0.dropFirst(5)) }
                #expect((0...60).contains(age ?? -1))
                #expect(answer.headers.filter { !$0.hasPrefix("Age: ") && !$0.hasPrefix("Warning: ") } == fresh.headers)
                #expect(try await server.send("GET", "/metrics").body.contains("\ngateway_stale_answers_total 1\n"))
            }
        }
    }

    /// An outage that only the readiness probe sees is one for the alert too, which looks at the rate of this counter.
    @Test func anOutageIsCountedWithoutARequest() async throws {
        let database = try WireServer()
        try fill(database)
        let store = try MongoStore(uri: database.uri("otv"), deadline: .seconds(1))
        try await RunningServer.run({ $0.deadline = .seconds(1) }, store: store) { server async throws in
            // Over all reasons.
            func value(_ name: String) async throws -> Int {
                let text = try await server.send("GET", "/metrics").body
                return text.split(separator: "\n").filter { $0.hasPrefix(name) }.reduce(0) {
                    $0 + ($1.split(separator: " ").last.flatMap { Int($0) } ?? 0)
                }
            }
            #expect(try await server.send("GET", "/readyz").body == "ready\n")
            #expect(try await value("gateway_database_errors_total") == 0)
            #expect(try await value("gateway_database_up") == 1)
            database.stop()
            for _ in 0..<3 {
                #expect(try await server.send("GET", "/readyz").status == "HTTP/1.1 503 Service Unavailable")
            }
            #expect(try await value("gateway_database_errors_total") == 3)
            #expect(try await value("gateway_database_up") == 0)
        }
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
            for _ in 0..<60 where status != "HTTP/1.1 200 OK" {
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
