import HTTPWire
import Testing

@Suite("Chunked bodies")
struct ChunkedDecoderTests {
    private struct Decoded: Equatable {
        var data = ""
        /// Lines as they go out.
        var trailers = ""
        var rest = ""
        var ended = false
        var error: ChunkError?
    }

    /// Reads as a connection that gets `piece` bytes at a time: what was not used is presented again.
    private func decode(_ text: String, piece: Int, extensionLimit: Int = 64, trailerLimit: Int = 128) -> Decoded {
        let input = Parsing.bytes(text)
        var reader = BodyReader(.chunked, extensionLimit: extensionLimit, trailerLimit: trailerLimit)
        var frames = [UInt8](repeating: 0, count: BodyFrames.room(trailerLimit: trailerLimit))
        var result = Decoded()
        var held: [UInt8] = []
        var offset = 0
        while offset < input.count {
            let next = min(input.count, offset + piece)
            held += input[offset..<next]
            offset = next
            do throws(ChunkError) {
                let piece = try held.withUnsafeMutableBufferPointer { bytes throws(ChunkError) in
                    try frames.withUnsafeMutableBufferPointer { frames throws(ChunkError) in
                        try reader.take(
                            UnsafeMutableRawBufferPointer(bytes), frames: UnsafeMutableRawBufferPointer(frames),
                            trailers: TrailerRules())
                    }
                }
                result.data += String(decoding: held[..<piece.data], as: UTF8.self)
                held.removeFirst(piece.consumed)
                guard piece.isEnd else { continue }
                let lines = frames[BodyFrames.trailerOffset...].prefix(piece.trailerBytes)
                result.trailers = String(decoding: lines, as: UTF8.self)
                result.ended = true
                result.rest = String(decoding: held + input[offset...], as: UTF8.self)
                return result
            } catch {
                result.error = error
                return result
            }
        }
        return result
    }

    private static let good: [(String, String, String, String)] = [
        ("0\r\n\r\n", "", "", ""),
        ("5\r\nhello\r\n0\r\n\r\nNEXT", "hello", "", "NEXT"),
        ("5;a=b;c=\"d e\"\r\nhello\r\n1\r\n!\r\n000\r\nX-T:  v \r\nY: \r\n\r\n", "hello!", "X-T: v\r\nY: \r\n", ""),
        ("A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij", "", ""),
    ]

    @Test("Good bodies decode alike in pieces of every size", arguments: Self.good.indices)
    func decodes(index: Int) {
        let (text, data, trailers, rest) = Self.good[index]
        for piece in 1...text.utf8.count {
            let result = self.decode(text, piece: piece)
            #expect(
                result == Decoded(data: data, trailers: trailers, rest: rest, ended: true, error: nil), "piece \(piece)"
            )
        }
    }

    @Test(
        "Bad framing is refused in pieces of every size",
        arguments: [
            ("\r\n", ChunkError.badSize), ("g\r\n", .badSize), (" 5\r\n", .badSize), ("5 \r\n", .badSize),
            ("+5\r\n", .badSize), ("0x5\r\n", .badSize), ("5\nhello\r\n", .badSize), (";a\r\n", .badSize),
            ("5\r\nhelloX", .missingLineEnd), ("5\r\nhello\n", .missingLineEnd), ("5\r\nhello\rX", .missingLineEnd),
            ("5\rX", .missingLineEnd), ("5;a\nhello", .badExtension), ("5;\u{0}\r\n", .badExtension),
            ("FFFFFFFFFFFFFFFF1\r\n", .sizeOverflow), ("8000000000000000\r\n", .sizeOverflow),
            ("00000000000000005\r\n", .sizeOverflow),
            ("0\r\nX : y\r\n\r\n", .badTrailer), ("0\r\n folded\r\n\r\n", .badTrailer),
            ("0\r\n: y\r\n\r\n", .badTrailer),
            ("0\r\nX: \u{1}\r\n\r\n", .badTrailer), ("0\r\nX: y\n\r\n", .badTrailer), ("0\r\n\rX", .badTrailer),
        ])
    func refuses(text: String, expected: ChunkError) {
        for piece in 1...text.utf8.count {
            #expect(self.decode(text, piece: piece).error == expected, "piece \(piece)")
        }
    }

    @Test("Extensions and trailers are bounded")
    func bounds() {
        let long = String(repeating: "e", count: 65)
        #expect(self.decode("5;\(long)\r\n", piece: 7).error == .extensionTooLong)
        #expect(self.decode("1;\(long.dropLast())\r\nx\r\n0\r\n\r\n", piece: 7).ended)
        #expect(self.decode("0\r\nX: \(String(repeating: "t", count: 200))", piece: 7).error == .trailersTooLong)
        let lines = { (count: Int) in "0\r\n\(String(repeating: "a:b\r\n", count: count))\r\n" }
        #expect(self.decode(lines(32), piece: 7, trailerLimit: 256).ended)
        #expect(self.decode(lines(33), piece: 7, trailerLimit: 256).error == .trailersTooLong)
    }

    @Test("A body that is cut is never taken for whole")
    func truncation() {
        let text = "5\r\nhello\r\n0\r\nX: y\r\n\r\n"
        for count in 0..<text.utf8.count {
            let result = self.decode(String(decoding: text.utf8.prefix(count), as: UTF8.self), piece: 3)
            #expect(!result.ended && result.error == nil, "\(count) bytes")
        }
    }
}
