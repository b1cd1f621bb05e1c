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
        #expect(Self.cases("proxy").count >= 2)
    }

    @Test("Headers of the PROXY protocol", arguments: Self.cases("proxy"))
    func proxy(file: URL) throws {
        #expect(ProxyHeaderInvariants.fault(in: Array(try Data(contentsOf: file))) == nil)
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
        for side in [MessageSide.request, .response] {
            let wanted = ReferenceChunks.decode(
                bytes, isPaddingTaken: side == .response, extensionLimit: 64, trailerLimit: 256)
            for piece in 1...16 {
                let outcome = Self.read(bytes, of: side, piece: piece)
                switch wanted {
                case .whole(let data, _, let end):
                    #expect(outcome == Outcome(data: data, end: end), "piece \(piece)")
                case .incomplete(let data): #expect(outcome == Outcome(data: data), "piece \(piece)")
                case .broken(let data):
                    #expect(outcome.failed && data.starts(with: outcome.data), "piece \(piece)")
                }
            }
        }
    }

    private struct Outcome: Equatable {
        var data: [UInt8] = []
        var end: Int?
        var failed = false
    }

    private static func read(_ bytes: [UInt8], of side: MessageSide, piece size: Int) -> Outcome {
        var reader = BodyReader(.chunked, of: side, extensionLimit: 64, trailerLimit: 256)
        var outcome = Outcome()
        let frames = UnsafeMutableRawBufferPointer.allocate(
            byteCount: BodyFrames.room(trailerLimit: 256), alignment: 1)
        defer { frames.deallocate() }
        var held: [UInt8] = []
        var offset = 0
        while offset < bytes.count, !reader.isEnded {
            let next = min(bytes.count, offset + size)
            held += bytes[offset..<next]
            offset = next
            do throws(ChunkError) {
                var piece = BodyPiece()
                let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: held.count, alignment: 1)
                defer { buffer.deallocate() }
                buffer.copyBytes(from: held)
                piece = try reader.take(buffer, frames: frames, trailers: TrailerRules())
                outcome.data += buffer[..<piece.data]
                held = Array(buffer[piece.consumed...])
                if piece.isEnd { outcome.end = offset - held.count }
            } catch {
                outcome.failed = true
                return outcome
            }
        }
        return outcome
    }
}
