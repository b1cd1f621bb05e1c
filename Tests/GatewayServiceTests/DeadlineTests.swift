import Documents
import Foundation
import Testing

@testable import GatewayService

/// A database that does not answer, and how much is asked of one that does.
@Suite("Deadlines and bounds")
struct DeadlineTests {
    private func sample() throws -> EmbeddedStore {
        let store = try EmbeddedStore(reading: .memory)
        try store.insert(SampleData(shape: .small).documents())
        return store
    }

    @Test func aDatabaseThatHangsIsTheContractsFailure() async throws {
        let store = SlowStore(try sample())
        try await RunningServer.run({ $0.deadline = .milliseconds(100) }, store: store) { server async throws in
            let list = try await server.send("GET", "/candidates")
            #expect(list.status == "HTTP/1.1 500 Internal Server Error")
            #expect(list.body == "Internal Server Error")
            let one = try await server.send("GET", "/candidate/x")
            #expect(one.status == "HTTP/1.1 204 No Content")
            #expect(one.body == "")
            let ready = try await server.send("GET", "/readyz")
            #expect(ready.status == "HTTP/1.1 503 Service Unavailable")
            #expect(ready.body == "not ready: database: timed out\n")
            #expect(store.count.deadlines == store.count.calls)
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains("\ngateway_database_errors_total{reason=\"timeout\"} 3\n"))
            store.open()
        }
    }

    /// A database whose answer is an error: counted, and for the one route that has always hidden it an absence.
    @Test func aDatabaseThatFailsIsCountedForEveryRoute() async throws {
        let store = try sample()
        await store.close()
        try await RunningServer.run(store: store) { server async throws in
            #expect(try await server.send("GET", "/candidate/x").status == "HTTP/1.1 204 No Content")
            #expect(try await server.send("GET", "/candidates").status == "HTTP/1.1 500 Internal Server Error")
            let ready = try await server.send("GET", "/readyz")
            #expect(ready.status == "HTTP/1.1 503 Service Unavailable")
            #expect(ready.body == "not ready: database: unreachable\n")
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains("\ngateway_database_errors_total{reason=\"unreachable\"} 3\n"))
        }
    }

    /// Four hundred thousand validators at once for as many requests as there are cores. Each is given up in time, and
    /// requests that need nothing of this are answered meanwhile.
    @Test func longComputationsEndAtTheDeadlineAndHinderNobody() async throws {
        let chunk = try ExtendedJSON.batch(
            (0..<1000).map { #"{"address":"V\#($0)","stash":"V\#($0)","keys":{"beefy":"0x123456789a"}}"# })
        var bytes: [UInt8] = []
        for _ in 0..<400 { bytes += chunk.bytes }
        let store = FullStore(try DocumentBatch(bytes))
        let cores = ProcessInfo.processInfo.activeProcessorCount
        try await RunningServer.run({ $0.deadline = .milliseconds(300) }, store: store) { server async throws in
            let start = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<(cores * 2) {
                    group.addTask {
                        let path = number == 0 ? "/validators/beefy" : "/rewards/validator/V\(number)"
                        let answer = try await server.send("GET", path)
                        #expect(answer.status == "HTTP/1.1 500 Internal Server Error")
                    }
                }
                // Once all of them are at work.
                var calls = store.calls.makeAsyncIterator()
                for _ in 0..<(cores * 2) { await calls.next() }
                for path in ["/livez", "/stats/totalRequests", "/nope"] {
                    let asked = ContinuousClock.now
                    _ = try await server.send("GET", path)
                    #expect(ContinuousClock.now - asked < .seconds(2), "\(path)")
                }
                try await group.waitForAll()
            }
            #expect(ContinuousClock.now - start < .seconds(3))
            // What nobody waits for is not worked on.
            let end = ContinuousClock.now + .seconds(2)
            while Composer.load != (0, 0), .now < end { try await Task.sleep(for: .milliseconds(10)) }
            #expect(Composer.load == (0, 0))
        }
    }

    /// Many who ask for one thing that is not there yet, GET and HEAD alike, are one question.
    @Test func missesAtTheSameTimeAskOnce() async throws {
        let store = SlowStore(try sample())
        try await RunningServer.run(store: store) { server async throws in
            try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<12 {
                    group.addTask {
                        // In several words.
                        let target = ["/validators", "/Validators", "/validators?\(number)"][number % 3]
                        return try await server.send(number % 4 == 0 ? "HEAD" : "GET", target).status
                    }
                }
                // Once all of them have been read there is still one question.
                var calls = store.calls.makeAsyncIterator()
                await calls.next()
                for _ in 0..<12 { _ = try await server.send("GET", "/livez") }
                store.open()
                for try await status in group { #expect(status == "HTTP/1.1 200 OK") }
            }
            #expect(store.count.calls == 1)
        }
    }

    @Test func metricsTellHowBusyThePoolIs() async throws {
        let store = SlowStore(try sample(), isOpen: true)
        try await RunningServer.run(store: store) { server async throws in
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_database_clients{state="busy"} 3"#))
            #expect(metrics.contains(#"gateway_database_clients{state="idle"} 5"#))
            #expect(metrics.contains("\ngateway_database_waiting 2\n"))
        }
    }

    /// Twenty candidates or two, ten sessions of history or none: two calls, five queries, and one document of each kind
    /// for a candidate.
    @Test(arguments: [(2, 1), (20, 1), (20, 10)])
    func aListAsksABoundedNumberOfQueries(candidates: Int, sessions: Int) async throws {
        let inner = try EmbeddedStore(reading: .memory)
        var documents: [(Collection, [String])] = [Fixture.metadata]
        documents.append((.candidates, (0..<candidates).map { #"{"slotId":\#($0),"stash":"S\#($0)"}"# }))
        for (collection, key, order) in [
            (Collection.validatorScores, "address", "session"), (.nominatorStakes, "validator", "era"),
        ] {
            documents.append(
                (
                    collection,
                    (0..<sessions).flatMap { session in
                        (0..<candidates).map { #"{"\#(key)":"S\#($0)","\#(order)":\#(session)}"# }
                    }
                ))
        }
        documents.append((.locations, (0..<candidates).map { #"{"slotId":\#($0),"updated":1}"# }))
        try inner.insert(documents.map { ($0.0, try ExtendedJSON.batch($0.1, identified: false)) })
        let store = SlowStore(inner, isOpen: true)
        let match = try #require(RouteTable().match("/candidates"))
        _ = try await Resources(store: store).answer(match)
        #expect(store.count.calls == 2)
        #expect(store.count.queries == 5)
        #expect(store.count.documents == 1 + 4 * candidates)
        await store.close()
    }
}
