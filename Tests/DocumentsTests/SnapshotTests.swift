import Foundation
import Synchronization
import Testing

@testable import Documents

@Suite("Snapshot", .enabled(if: WireServer.isAvailable, "needs the wire server; run with-wire-server"))
struct SnapshotTests {
    private func file() -> String {
        FileManager.default.temporaryDirectory.appendingPathComponent("snapshot-\(UUID().uuidString).sqlite").path
    }

    private func documents(_ count: Int, padding: Int = 0) throws -> DocumentBatch {
        let padding = String(repeating: "x", count: padding)
        return try ExtendedJSON.batch(
            (0..<count).map { #"{"address":"\#($0 % 7)","n":\#($0),"padding":"\#(padding)"}"# }, identified: true)
    }

    @Test func theFileHoldsWhatTheDatabaseHolds() async throws {
        let server = try WireServer()
        let documents = try documents(1234)
        try MongoWriter(uri: server.uri("otv")).insert(documents, into: .validators, database: "otv")
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let target = try EmbeddedStore(copyingTo: path)
        try await MongoSnapshot(uri: server.uri("otv"), deadline: .seconds(5)).copy(to: target) { _ in }
        await target.close()
        let store = try EmbeddedStore(reading: .file(path))
        #expect(try await store.find(Query(.validators)).bytes == documents.bytes)
        await store.close()
    }

    @Test func anInterruptedCopyIsRefusedAndGoesOn() async throws {
        let server = try WireServer()
        // Long enough that they come in several batches.
        let documents = try documents(1600, padding: 8_192)
        try MongoWriter(uri: server.uri("otv")).insert(documents, into: .validators, database: "otv")
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let target = try EmbeddedStore(copyingTo: path)
        await #expect(throws: StoreError.self) {
            try await MongoSnapshot(uri: server.uri("otv", "&retryReads=false"), deadline: .seconds(5)).copy(to: target)
            { progress in
                // Two portions of this collection are stored; the third never comes.
                if progress.collection == .validators, progress.copied == 1000 { server.stop() }
            }
        }
        #expect(try target.snapshotState(of: .validators).copied == 1000)
        await target.close()
        #expect(throws: StoreError.self) { try EmbeddedStore(reading: .file(path)) }

        let second = try WireServer(port: server.port)
        try MongoWriter(uri: second.uri("otv")).insert(documents, into: .validators, database: "otv")
        let again = try EmbeddedStore(copyingTo: path)
        let portions = Mutex<[Int]>([])
        try await MongoSnapshot(uri: second.uri("otv"), deadline: .seconds(5)).copy(to: again) { progress in
            if progress.collection == .validators { portions.withLock { $0.append(progress.copied) } }
        }
        await again.close()
        #expect(portions.withLock { $0 } == [1500, 1600])
        let store = try EmbeddedStore(reading: .file(path))
        #expect(try await store.find(Query(.validators)).bytes == documents.bytes)
        await store.close()
    }

    /// What a copy into the file fails with, and how many validators the file holds afterwards.
    private func copy(_ uri: String, to path: String) async throws -> (error: StoreError?, count: Int) {
        let target = try EmbeddedStore(copyingTo: path)
        var failure: StoreError?
        do throws(StoreError) {
            try await MongoSnapshot(uri: uri, deadline: .seconds(5)).copy(to: target) { _ in }
        } catch {
            failure = error
        }
        let count = try await target.find(Query(.validators)).count
        await target.close()
        return (failure, count)
    }

    @Test func aSecondCopyIntoTheSameFileIsRefused() async throws {
        let server = try WireServer()
        try MongoWriter(uri: server.uri("otv")).insert(documents(20), into: .validators, database: "otv")
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = try await copy(server.uri("otv"), to: path)
        #expect(first.error == nil)
        let second = try await copy(server.uri("otv"), to: path)
        #expect(second.error == .unavailable("the file holds data already; choose another file"))
        #expect(second.count == 20)
        // It is whole, as it was.
        await (try EmbeddedStore(reading: .file(path))).close()
    }

    @Test func aCopyIntoAFileOfAnotherMakeIsRefused() async throws {
        let server = try WireServer()
        try MongoWriter(uri: server.uri("otv")).insert(documents(20), into: .validators, database: "otv")
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let sample = try EmbeddedStore(writing: path)
        try sample.insert([(.candidates, documents(3))])
        await sample.close()
        let outcome = try await copy(server.uri("otv"), to: path)
        #expect(outcome.error == .unavailable("the file holds data already; choose another file"))
        #expect(outcome.count == 0)
    }

    @Test func anUnfinishedCopyOfAnotherDatabaseIsNotGoneOnWith() async throws {
        let server = try WireServer()
        for database in ["otv", "other"] {
            try MongoWriter(uri: server.uri(database)).insert(documents(20), into: .validators, database: database)
        }
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let begun = try EmbeddedStore(copyingTo: path)
        try begun.beginSnapshot(of: "127.0.0.1:\(server.port)/other")
        await begun.close()
        let outcome = try await copy(server.uri("otv"), to: path)
        #expect(
            outcome.error
                == .unavailable("the file holds an unfinished copy of another database; choose another file"))
        #expect(outcome.count == 0)
        // Its own database is told by hosts and name, whatever the options, and goes on.
        let own = try await copy(server.uri("other", "&appName=x"), to: path)
        #expect(own.error == nil)
        #expect(own.count == 20)
    }

    /// Until the copy has begun, there is nothing in the file that could be taken for an empty database.
    @Test func aFileWithoutMarksIsNotServed() async throws {
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        await (try EmbeddedStore(copyingTo: path)).close()
        #expect(throws: StoreError.self) { try EmbeddedStore(reading: .file(path)) }
        let begun = try EmbeddedStore(copyingTo: path)
        try begun.beginSnapshot(of: "a/b")
        await begun.close()
        #expect(throws: StoreError.self) { try EmbeddedStore(reading: .file(path)) }
    }

    @Test func twoCopiesIntoOneFileDoNotMix() async throws {
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try EmbeddedStore(copyingTo: path)
        try store.beginSnapshot(of: "a/b")
        try store.storePortion(documents(3), of: .validators, after: 0, isLast: false)
        let portion = try documents(2)
        #expect(throws: StoreError.failed("another process fills the same file")) {
            try store.storePortion(portion, of: .validators, after: 0, isLast: false)
        }
        #expect(try await store.find(Query(.validators)).count == 3)
        await store.close()
    }
}
