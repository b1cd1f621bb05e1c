import Foundation
import Testing

@testable import Documents

/// A SQLite file that something happens to while it is served.
@Suite("A served file")
struct ServedFileTests {
    private func withFile(
        _ change: (String) throws -> Void, _ body: (EmbeddedStore) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("served-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("a.sqlite").path
        let writer = try EmbeddedStore(writing: path)
        try writer.insert(SampleData(shape: .small).documents())
        await writer.close()
        let store = try EmbeddedStore(reading: .file(path))
        try await store.check()
        #expect(try await store.missing(among: ["candidates", "nonsense", "rewards"]) == ["nonsense"])
        try change(path)
        try await body(store)
        await store.close()
    }

    private func expectsFailure(_ reason: String, _ change: (String) throws -> Void) async throws {
        try await withFile(change) { store in
            do {
                try await store.check()
                Issue.record("it is taken for whole")
            } catch {
                #expect("\(error)".contains(reason), "\(error)")
            }
        }
    }

    @Test func isThere() async throws {
        try await withFile({ _ in }) { try await $0.check() }
    }

    @Test func deleted() async throws {
        try await expectsFailure("no file at") { try FileManager.default.removeItem(atPath: $0) }
    }

    @Test func replaced() async throws {
        try await expectsFailure("another file is at") { path in
            try FileManager.default.copyItem(atPath: path, toPath: path + "2")
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.moveItem(atPath: path + "2", toPath: path)
        }
    }

    @Test(arguments: [0, 50, 4096, 40_000])
    func cutOff(length: off_t) async throws {
        try await expectsFailure("is cut off") { #expect(truncate($0, length) == 0) }
    }

    @Test func withoutATable() async throws {
        try await expectsFailure("no table rewards") { path in
            let other = try EmbeddedStore(copyingTo: path)
            try other.writing { try $0.execute("DROP TABLE rewards") }
        }
    }
}
