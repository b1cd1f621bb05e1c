import Foundation
import Synchronization
import Testing

@testable import Documents

@Suite("Snapshot", .enabled(if: WireServer.isAvailable, "needs the wire server; run with-wire-server"))
struct SnapshotTests {
    private func file() -> String {
        FileManager.default.temporaryDirectory.appendingPathComponent("snapshot-\(UUID().uuidString).sqlite").path
    }

    private func documents(_ count: Int) throws -> DocumentBatch {
        try ExtendedJSON.batch((0..<count).map { #"{"address":"\#($0 % 7)","n":\#($0)}"# }, identified: true)
    }

    @Test func theFileHoldsWhatTheDatabaseHolds() async throws {
        let server = try WireServer()
        let documents = try documents(1234)
        try MongoWriter(uri: server.uri("otv")).insert(documents, into: .validators, database: "otv")
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let target = try EmbeddedStore(writing: path)
        try await MongoSnapshot(uri: server.uri("otv"), deadline: .seconds(5)).copy(to: target) { _ in }
        await target.close()
        let store = try EmbeddedStore(reading: .file(path))
        #expect(try await store.find(Query(.validators)).bytes == documents.bytes)
        await store.close()
    }

    @Test func anInterruptedCopyIsRefusedAndGoesOn() async throws {
        let server = try WireServer()
        let documents = try documents(1600)
        try MongoWriter(uri: server.uri("otv")).insert(documents, into: .validators, database: "otv")
        let path = file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let target = try EmbeddedStore(writing: path)
        await #expect(throws: StoreError.self) {
            try await MongoSnapshot(uri: server.uri("otv", "&retryReads=false"), deadline: .seconds(1)).copy(to: target)
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
        let again = try EmbeddedStore(writing: path)
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
}
