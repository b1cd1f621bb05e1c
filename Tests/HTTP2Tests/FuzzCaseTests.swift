import Foundation
import HTTP2
import Testing

/// Inputs that fuzzing once found, or started from, again in every run: whole and in pieces they read alike.
@Suite struct FuzzCaseTests {
    private static func cases(_ name: String) -> [URL] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "FuzzCases/\(name)")
        return ((try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? [])
            .sorted { $0.path < $1.path }
    }

    @Test(arguments: ["frames", "answers", "fields"]) func thereAreCases(_ name: String) {
        #expect(Self.cases(name).count >= 2)
    }

    /// A client's bytes, as a server takes them.
    @Test(arguments: Self.cases("frames")) func frames(_ file: URL) throws {
        try self.replay(file) { Peer(greeted: false) }
    }

    /// A server's, as a client takes them that has asked for four things.
    @Test(arguments: Self.cases("answers")) func answers(_ file: URL) throws {
        try self.replay(file) {
            var peer = Peer(role: .client, greeted: false)
            for number in 0..<4 { _ = peer.open(isEnd: number < 2) }
            return peer
        }
    }

    /// Field blocks, one behind the other.
    @Test(arguments: Self.cases("fields")) func fields(_ file: URL) throws {
        let bytes = Array(try Data(contentsOf: file))
        for size: UInt8 in 0..<32 { #expect(FieldInvariants.fault(in: [size] + bytes.dropFirst()) == nil) }
    }

    private func replay(_ file: URL, _ peer: () -> Peer) throws {
        let bytes = Array(try Data(contentsOf: file).dropFirst())
        var whole = peer()
        whole.send(bytes)
        for size in 1...32 {
            var pieces = peer()
            for start in stride(from: 0, to: bytes.count, by: size) {
                pieces.send(Array(bytes[start..<min(start + size, bytes.count)]))
            }
            #expect(pieces.steps == whole.steps && pieces.written == whole.written && pieces.fault == whole.fault)
        }
    }
}
