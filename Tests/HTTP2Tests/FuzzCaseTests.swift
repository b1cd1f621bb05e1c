import Foundation
import HTTP2
import Testing

/// Inputs that fuzzing once found, or started from, again in every run: whole and in pieces they read alike.
@Suite struct FuzzCaseTests {
    private static let cases: [URL] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "FuzzCases/frames")
        return ((try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? [])
            .sorted { $0.path < $1.path }
    }()

    @Test func thereAreCases() { #expect(Self.cases.count >= 2) }

    @Test(arguments: Self.cases) func replay(_ file: URL) throws {
        let bytes = Array(try Data(contentsOf: file).dropFirst())
        var whole = Peer(greeted: false)
        whole.send(bytes)
        for size in 1...32 {
            var pieces = Peer(greeted: false)
            for start in stride(from: 0, to: bytes.count, by: size) {
                pieces.send(Array(bytes[start..<min(start + size, bytes.count)]))
            }
            #expect(pieces.steps == whole.steps && pieces.written == whole.written && pieces.fault == whole.fault)
        }
    }
}
