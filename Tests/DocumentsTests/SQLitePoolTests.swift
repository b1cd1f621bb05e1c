import Foundation
import Testing

@testable import Documents

/// Connections to a SQLite database, and who may use them when.
@Suite("SQLite connections")
struct SQLitePoolTests {
    /// Would count for ever, without a row.
    private static let endless =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n WHERE x < 0"

    private func withFile(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pool-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("a.sqlite").path)
    }

    /// Whoever no longer waits holds no connection: neither one that reads, nor one that it was only about to get.
    @Test func whatIsCancelledEnds() async throws {
        let pool = try SQLitePool(path: nil)
        let (begun, beginning) = AsyncStream<Void>.makeStream()
        let reader = Task {
            try await pool.read { connection in
                beginning.finish()
                return try connection.integer(Self.endless)
            }
        }
        for await _ in begun {}
        let next = Task { try await pool.read { try $0.integer("SELECT 1") } }
        next.cancel()
        reader.cancel()
        let failure = await #expect(throws: SQLiteFailure.self) { try await reader.value }
        #expect(failure?.isInterruption == true)
        await #expect(throws: CancellationError.self) { try await next.value }
        #expect(try await pool.read { try $0.integer("SELECT 2") } == 2)
        pool.close()
    }

    @Test func moreReadersThanConnections() async throws {
        try await withFile { path in
            let writer = try SQLitePool(path: path)
            try writer.use { connection in
                try connection.writing { connection in
                    try connection.execute("CREATE TABLE numbers (n INTEGER)")
                    for number in 1...100 {
                        try connection.run("INSERT INTO numbers VALUES (?)", [.integer(Int64(number))])
                    }
                }
            }
            writer.close()
            let pool = try SQLitePool(reading: path, connections: 2)
            let sums = try await withThrowingTaskGroup(of: Int64?.self) { group in
                for limit in 1...100 {
                    // A statement of its own each: more than are kept.
                    group.addTask {
                        try await pool.read { try $0.integer("SELECT sum(n) FROM numbers WHERE n <= \(limit)") }
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ?? 0 }
            }
            #expect(sums == 171_700)
            await #expect(throws: SQLiteFailure.self) {
                try await pool.read { try $0.execute("DELETE FROM numbers") }
            }
            pool.close()
        }
    }

    @Test func whatFailsLeavesNothing() throws {
        struct Enough: Error {}
        let pool = try SQLitePool(path: nil)
        try pool.use { try $0.execute("CREATE TABLE numbers (n INTEGER)") }
        #expect(throws: Enough.self) {
            try pool.use { connection in
                try connection.writing { connection in
                    try connection.run("INSERT INTO numbers VALUES (1)")
                    throw Enough()
                }
            }
        }
        #expect(try pool.use { try $0.integer("SELECT count(*) FROM numbers") } == 0)
        pool.close()
    }

    /// However many there are, and however long they take.
    @Test(.timeLimit(.minutes(1))) func readersDoNotHoldUpAProbe() async throws {
        try await withFile { path in
            let writer = try EmbeddedStore(writing: path)
            try writer.insert(SampleData(shape: .small).documents())
            await writer.close()
            let store = try EmbeddedStore(reading: .file(path))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<(2 * ProcessInfo.processInfo.activeProcessorCount + 4) {
                    group.addTask { _ = try await store.database.read { try $0.integer(Self.endless) } }
                }
                try await store.check()
                #expect(try await store.missing(among: ["candidates", "nonsense"]) == ["nonsense"])
                group.cancelAll()
                while let ended = await group.nextResult() {
                    #expect(throws: (any Error).self) { try ended.get() }
                }
            }
            #expect(try await !store.find(Query(.candidates)).isEmpty)
            await store.close()
        }
    }

    @Test func whatIsClosedHoldsNoFile() async throws {
        try await withFile { path in
            let writer = try EmbeddedStore(writing: path)
            await writer.close()
            let store = try EmbeddedStore(reading: .file(path))
            func holders() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { descriptor in
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")) == path
                }
            }
            #expect(try holders() > 0)
            await store.close()
            #expect(try holders() == 0)
        }
    }
}
