import HTTPWire
import TestSupport
import Testing

@Suite("Bodies on their way in")
struct BodyReaderTests {
    static let extensionLimit = 24
    static let trailerLimit = 64

    /// What a body came to that was read in pieces.
    private struct Read: Equatable {
        var data: [UInt8] = []
        var trailers = ""
        /// Bytes of the input that belong to the body; nil: it did not end.
        var end: Int?
        var failed = false
        var count: UInt64 = 0
    }

    /// Reads as a connection does: what was not used is presented again in front of what comes next.
    private func read(
        _ input: [UInt8], as framing: BodyFraming, of side: MessageSide, rules: TrailerRules = TrailerRules(),
        pieces next: () -> Int
    ) -> Read {
        var reader = BodyReader(
            framing, of: side, extensionLimit: Self.extensionLimit, trailerLimit: Self.trailerLimit)
        var result = Read()
        let frames = UnsafeMutableRawBufferPointer.allocate(
            byteCount: BodyFrames.room(trailerLimit: Self.trailerLimit), alignment: 1)
        defer { frames.deallocate() }
        var held: [UInt8] = []
        var offset = 0
        while offset < input.count, !reader.isEnded {
            let count = min(next(), input.count - offset)
            held += input[offset..<offset + count]
            offset += count
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: held.count, alignment: 1)
            defer { buffer.deallocate() }
            buffer.copyBytes(from: held)
            do throws(ChunkError) {
                let piece = try reader.take(buffer, frames: frames, trailers: rules)
                #expect(piece.data <= piece.consumed && piece.consumed <= held.count)
                #expect(piece.isEnd == reader.isEnded)
                result.data += buffer[..<piece.data]
                held = Array(buffer[piece.consumed...])
                if piece.isEnd {
                    let from = BodyFrames.trailerOffset
                    result.trailers = String(decoding: frames[from..<from + piece.trailerBytes], as: UTF8.self)
                    result.end = offset - held.count
                } else {
                    #expect(piece.trailerBytes == 0)
                }
            } catch {
                result.failed = true
                return result
            }
        }
        result.count = reader.count
        return result
    }

    // MARK: fixed framings

    @Test("A length counts down to its end and no byte further", arguments: [1, 2, 3, 7])
    func length(piece: Int) {
        let read = self.read(Parsing.bytes("helloNEXT"), as: .length(5), of: .request) { piece }
        #expect(read == Read(data: Parsing.bytes("hello"), end: 5, count: 5))
        let cut = self.read(Parsing.bytes("hell"), as: .length(5), of: .request) { piece }
        #expect(cut == Read(data: Parsing.bytes("hell"), end: nil, count: 4))
    }

    @Test("Until the close everything is data, and only the close ends it")
    func untilClose() throws {
        var reader = BodyReader(.untilClose, of: .response, extensionLimit: 0, trailerLimit: 0)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 6, alignment: 1)
        defer { buffer.deallocate() }
        let piece = try reader.take(buffer, frames: buffer, trailers: TrailerRules())
        #expect(piece == BodyPiece(data: 6, consumed: 6, isEnd: false, trailerBytes: 0))
        #expect(!reader.isEnded && reader.remaining == nil)
        let whole = reader.inputEnded()
        #expect(whole && reader.isEnded && reader.count == 6)
    }

    @Test("A close cuts a body whose end is known otherwise", arguments: [BodyFraming.length(3), .chunked])
    func closed(framing: BodyFraming) {
        var reader = BodyReader(framing, extensionLimit: 0, trailerLimit: 0)
        let whole = reader.inputEnded()
        #expect(!whole && !reader.isEnded)
    }

    @Test("Nothing to come has ended from the start and uses nothing", arguments: [BodyFraming.none, .length(0)])
    func empty(framing: BodyFraming) throws {
        var reader = BodyReader(framing, extensionLimit: 0, trailerLimit: 0)
        #expect(reader.isEnded)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 6, alignment: 1)
        defer { buffer.deallocate() }
        let piece = try reader.take(buffer, frames: buffer, trailers: TrailerRules())
        #expect(piece == BodyPiece())
        let whole = reader.inputEnded()
        #expect(whole)
    }

    @Test("The greatest length is no overflow")
    func greatest() throws {
        var reader = BodyReader(.length(.max), extensionLimit: 0, trailerLimit: 0)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 6, alignment: 1)
        defer { buffer.deallocate() }
        let piece = try reader.take(buffer, frames: buffer, trailers: TrailerRules())
        #expect(piece.data == 6 && !piece.isEnd && reader.remaining == UInt64.max - 6)
    }

    // MARK: chunks

    @Test(
        "Blanks around an extension are legal; behind a size alone they are a server's habit",
        arguments: [
            ("5 ;a=b\r\nhello\r\n0\r\n\r\n", true, true), ("5\t \t;a = \"b\"\r\nhello\r\n0 ; x\r\n\r\n", true, true),
            ("5 ; a ;b\r\nhello\r\n0\r\n\r\n", true, true), ("5 \r\nhello\r\n0\r\n\r\n", false, true),
            ("5\t\r\nhello\r\n0  \r\n\r\n", false, true), ("5 6\r\nhello\r\n0\r\n\r\n", false, false),
            (" 5\r\nhello\r\n0\r\n\r\n", false, false), ("5 \nhello\r\n0\r\n\r\n", false, false),
            ("5 x\r\nhello\r\n0\r\n\r\n", false, false), ("5\u{b};a\r\nhello\r\n0\r\n\r\n", false, false),
        ])
    func blanks(text: String, inRequest: Bool, inResponse: Bool) {
        for (side, good) in [(MessageSide.request, inRequest), (.response, inResponse)] {
            for piece in 1...text.utf8.count {
                let read = self.read(Parsing.bytes(text), as: .chunked, of: side) { piece }
                #expect(read.failed == !good && (read.end != nil) == good, "\(side), piece \(piece)")
                if good { #expect(read.data == Parsing.bytes("hello")) }
            }
        }
    }

    @Test("Extensions are bounded over the message, and made up for by chunks and data")
    func extensions() {
        func body(_ chunks: [(data: Int, extensionBytes: Int)]) -> [UInt8] {
            var text = ""
            for chunk in chunks {
                let extensionText =
                    chunk.extensionBytes > 0 ? ";" + String(repeating: "e", count: chunk.extensionBytes) : ""
                text +=
                    "\(String(chunk.data, radix: 16))\(extensionText)\r\n\(String(repeating: "d", count: chunk.data))\r\n"
            }
            return Parsing.bytes(text + "0\r\n\r\n")
        }
        func isTaken(_ chunks: [(data: Int, extensionBytes: Int)]) -> Bool {
            !self.read(body(chunks), as: .chunked, of: .request) { 5 }.failed
        }
        // The limit is 24; a chunk of one byte makes up for 18.
        #expect(isTaken([(1, 24)]) && !isTaken([(1, 25)]))
        #expect(isTaken(Array(repeating: (1, 18), count: 200)))
        #expect(isTaken([(1, 24), (1, 18), (1, 18)]))
        #expect(!isTaken([(1, 24), (1, 19)]), "the second chunk finds 6 bytes used")
        #expect(isTaken([(1, 24), (20, 18), (1, 24)]), "much data makes up for everything")
    }

    @Test("Trailers that may follow go up in one piece with the end; others are left out")
    func trailers() {
        let text =
            "3\r\nabc\r\n0\r\nGrpc-Status:0\r\nContent-Length: 9\r\nX-Gone: 1\r\nhost: h\r\nEmpty:\r\n\r\nNEXT"
        let rules = TrailerRules(edits: FieldEdits(set: [], remove: ["x-gone"]))
        for piece in 1...text.utf8.count {
            let read = self.read(Parsing.bytes(text), as: .chunked, of: .response, rules: rules) { piece }
            #expect(
                read
                    == Read(
                        data: Parsing.bytes("abc"), trailers: "Grpc-Status: 0\r\nEmpty: \r\n", end: text.utf8.count - 4,
                        count: 3), "piece \(piece)")
        }
    }

    @Test("Trailers are bounded at the byte, before they are whole too")
    func trailerBounds() {
        let line = { (count: Int) in "X:" + String(repeating: "t", count: count - 4) + "\r\n" }
        for piece in 1...20 {
            let exact = self.read(
                Parsing.bytes("0\r\n" + line(Self.trailerLimit) + "\r\n"), as: .chunked, of: .request
            ) { piece }
            #expect(exact.end != nil && !exact.failed)
            for text in [
                line(Self.trailerLimit + 1) + "\r\n", String(repeating: "x", count: Self.trailerLimit + 3),
                String(repeating: "a:\r\n", count: 17), "\(String(repeating: "a:\r\n", count: 16))b",
            ] {
                let read = self.read(Parsing.bytes("0\r\n" + text), as: .chunked, of: .request) { piece }
                #expect(read.failed || text.hasSuffix("b"), "\(text), piece \(piece)")
                #expect(read.end == nil)
            }
        }
    }

    // MARK: against a slow decoder that reads the whole at once

    @Test("Random bodies, whole, damaged and cut, in random pieces", arguments: 0..<8 as Range<UInt64>)
    func random(seed: UInt64) {
        var random = SplitMix(seed)
        for round in 0..<400 {
            var bytes = RandomBody.make(&random)
            if random.below(2) == 0 { RandomBody.damage(&bytes, &random) }
            if random.below(4) == 0 { bytes.removeLast(random.below(bytes.count)) }
            let side: MessageSide = random.below(2) == 0 ? .request : .response
            let wanted = ReferenceChunks.decode(
                bytes, isPaddingTaken: side == .response, extensionLimit: Self.extensionLimit,
                trailerLimit: Self.trailerLimit)
            let fixed = random.below(12) + 1
            let isFixed = random.below(2) == 0
            let read = self.read(bytes, as: .chunked, of: side) { isFixed ? fixed : random.below(40) + 1 }
            let note: Comment =
                "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self).debugDescription)"
            switch wanted {
            case .whole(let data, let trailers, let end):
                #expect(read == Read(data: data, trailers: trailers, end: end, count: UInt64(data.count)), note)
            case .incomplete(let data):
                #expect(read == Read(data: data, count: UInt64(data.count)), note)
            case .broken(let data):
                // What was read before the fault may have gone on, and never more than that.
                #expect(read.failed && data.starts(with: read.data), note)
            }
        }
    }

    // MARK: what goes out

    @Test("A piece is framed as its body is", arguments: [BodyFraming.none, .length(3), .untilClose, .chunked])
    func framing(framing: BodyFraming) {
        let frames = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 1)
        defer { frames.deallocate() }
        for byte in frames.indices { frames[byte] = 0x3F }
        func text(_ piece: BodyPiece) -> [String] {
            let trailer = Parsing.bytes("A: b\r\n")
            for index in 0..<piece.trailerBytes { frames[BodyFrames.trailerOffset + index] = trailer[index] }
            let (before, after) = BodyWriter.frame(piece, as: framing, frames: frames)
            return [String(decoding: before, as: UTF8.self), String(decoding: after, as: UTF8.self)]
        }
        let isChunked = framing == .chunked
        #expect(text(BodyPiece()) == ["", ""])
        #expect(text(BodyPiece(data: 255, consumed: 300)) == (isChunked ? ["ff\r\n", "\r\n"] : ["", ""]))
        #expect(text(BodyPiece(data: 16, isEnd: true)) == (isChunked ? ["10\r\n", "\r\n0\r\n\r\n"] : ["", ""]))
        #expect(text(BodyPiece(isEnd: true)) == (isChunked ? ["", "0\r\n\r\n"] : ["", ""]))
        #expect(
            text(BodyPiece(isEnd: true, trailerBytes: 6)) == (isChunked ? ["", "0\r\nA: b\r\n\r\n"] : ["", ""]))
        #expect(
            text(BodyPiece(data: .max, isEnd: true, trailerBytes: 6))
                == (isChunked ? ["7fffffffffffffff\r\n", "\r\n0\r\nA: b\r\n\r\n"] : ["", ""]))
    }
}
