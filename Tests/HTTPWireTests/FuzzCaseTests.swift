import Foundation
import HTTPWire
import Testing

/// Inputs that fuzzing once found, or started from, again in every run.
@Suite("Saved fuzz cases")
struct FuzzCaseTests {
    private static func cases(_ kind: String) -> [URL] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "FuzzCases/\(kind)")
        return ((try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? [])
            .sorted { $0.path < $1.path }
    }

    @Test("There are cases to replay")
    func present() {
        #expect(Self.cases("head").count >= 2)
        #expect(Self.cases("chunked").count >= 2)
    }

    @Test("Heads", arguments: Self.cases("head"))
    func head(file: URL) throws {
        let bytes = Array(try Data(contentsOf: file))
        #expect(Parsing.splitVerdict(bytes) { Parsing.request($0) }.fault == nil)
        _ = Parsing.response(bytes)
    }

    @Test("Chunked bodies", arguments: Self.cases("chunked"))
    func chunked(file: URL) throws {
        let bytes = Array(try Data(contentsOf: file).dropFirst())
        let whole = Self.decode(bytes, piece: max(1, bytes.count))
        for piece in 1...16 {
            let pieces = Self.decode(bytes, piece: piece)
            #expect(pieces == whole, "piece \(piece)")
        }
    }

    private struct Outcome: Equatable {
        var data: [UInt8] = []
        var ended = false
        var error: ChunkError?
    }

    private static func decode(_ bytes: [UInt8], piece: Int) -> Outcome {
        var decoder = ChunkedDecoder(extensionLimit: 64, trailerLimit: 256, trailerCount: 8)
        var outcome = Outcome()
        var held: [UInt8] = []
        var offset = 0
        while offset < bytes.count {
            held += bytes[offset..<min(bytes.count, offset + piece)]
            offset += piece
            var cursor = 0
            var waiting = false
            while !waiting {
                do throws(ChunkError) {
                    switch try decoder.step(held.span, at: cursor) {
                    case .data(let range, let next):
                        outcome.data += held[Int(range.lower)..<Int(range.upper)]
                        cursor = next
                    case .trailer(_, _, let next): cursor = next
                    case .needMore(let consumed):
                        held.removeFirst(consumed)
                        waiting = true
                    case .end:
                        outcome.ended = true
                        return outcome
                    }
                } catch {
                    outcome.error = error
                    return outcome
                }
            }
        }
        return outcome
    }
}
