import CCompression
import Compression
import Glibc
import Testing
import Traffic

/// Bodies put into another form, taken out of it by the libraries' other halves.
@Suite("Bodies in another form")
struct ContentCoderTests {
    /// Text that has something to find, of this length.
    private func text(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SplitMix64(seed: seed)
        var bytes: [UInt8] = []
        while bytes.count < count {
            bytes += Array("{\"name\": \"\(random.next() % 50)\", \"value\": \(random.next() % 1_000)}, ".utf8)
        }
        return Array(bytes.prefix(count))
    }

    /// All of it, given in pieces; each piece must be out when its step is whole.
    private func code(_ coder: ContentCoder, _ pieces: [[UInt8]], room size: Int = 65_536) throws -> [UInt8] {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
        defer { room.deallocate() }
        var result: [UInt8] = []
        for (index, piece) in pieces.enumerated() {
            try piece.withUnsafeBytes { bytes in
                var input = bytes
                for _ in 0..<100_000 {
                    switch coder.code(&input, isEnd: index == pieces.count - 1, into: room) {
                    case .whole(let count):
                        #expect(input.isEmpty)
                        result += room[..<count]
                        return
                    case .more(let count): result += room[..<count]
                    case .failed: throw Failed()
                    }
                }
                Issue.record("does not end")
            }
        }
        return result
    }

    private struct Failed: Error {}

    @Test(
        "What went in comes out, whatever the pieces, the room and the level; the coder serves body after body",
        arguments: ContentCoding.allCases, [nil, 1, 9] as [Int32?])
    func roundTrips(coding: ContentCoding, level: Int32?) throws {
        let coder = try #require(ContentCoder(coding, level: level))
        #expect(coder.suits(coding, level: level))
        for (seed, sizes) in [[0], [1], [100_000], [10, 0, 20, 70_000, 3], [4_000, 4_000, 4_000, 0]].enumerated() {
            #expect(coder.begin())
            let pieces = sizes.enumerated().map { self.text($1, seed: UInt64(seed * 100 + $0)) }
            for size in [65_536, 200] {
                #expect(coder.begin())
                let coded = try self.code(coder, pieces, room: size)
                let whole = Array(pieces.joined())
                #expect(try self.decode(coded, coding, length: whole.count) == whole, "\(coding) \(sizes) \(size)")
                if whole.count > 50_000 { #expect(coded.count < whole.count / 2) }
            }
        }
        // One that was broken off leaves nothing behind.
        #expect(coder.begin())
        var input = UnsafeRawBufferPointer(start: nil, count: 0)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 1)
        defer { room.deallocate() }
        let half = self.text(2_000, seed: 7)
        half.withUnsafeBytes {
            input = $0
            _ = coder.code(&input, isEnd: false, into: room)
        }
        #expect(coder.begin())
        let after = self.text(3_000, seed: 8)
        let coded = try self.code(coder, [after])
        #expect(try self.decode(coded, coding, length: 3_000) == after)
    }

    @Test("What is whole can be read before more comes", arguments: [ContentCoding.gzip, .zstd])
    func flushes(coding: ContentCoding) throws {
        let coder = try #require(ContentCoder(coding))
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 1)
        defer { room.deallocate() }
        let reader = try Reader(coding)
        for number in 0..<20 {
            let piece = self.text(number * 37 + 1, seed: UInt64(number))
            var part: [UInt8] = []
            piece.withUnsafeBytes { bytes in
                var input = bytes
                if case .whole(let count) = coder.code(&input, isEnd: false, into: room) {
                    part = Array(room[..<count])
                }
            }
            #expect(try reader.read(part) == piece, "\(number)")
        }
    }

    @Test("A level beyond a coding's own is brought into its bounds")
    func levels() throws {
        for (coding, given, own) in [(.gzip, 19, 9), (.brotli, -3, 0), (.zstd, nil, 1)]
            as [(ContentCoding, Int32?, Int32)]
        {
            let coder = try #require(ContentCoder(coding, level: given))
            #expect(coder.suits(coding, level: own) && coder.suits(coding, level: given))
            #expect(!coder.suits(coding, level: 5) && !coder.suits(coding == .gzip ? .zstd : .gzip, level: own))
        }
    }

    // MARK: the other halves

    /// Reads a body as it comes.
    private final class Reader {
        private let coding: ContentCoding
        private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        private let context: OpaquePointer

        init(_ coding: ContentCoding) throws {
            self.coding = coding
            self.stream.initialize(to: z_stream())
            self.context = try #require(ZSTD_createDCtx())
            try #require(
                inflateInit2_(self.stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
        }

        deinit {
            inflateEnd(self.stream)
            self.stream.deallocate()
            ZSTD_freeDCtx(self.context)
        }

        func read(_ bytes: [UInt8]) throws -> [UInt8] {
            var bytes = bytes
            var result = [UInt8](repeating: 0, count: 100_000)
            if self.coding == .zstd {
                return try bytes.withUnsafeBytes { bytes in
                    var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
                    let size = result.count
                    let count = try result.withUnsafeMutableBytes { room in
                        var output = ZSTD_outBuffer(dst: room.baseAddress, size: size, pos: 0)
                        while input.pos < input.size {
                            try #require(ZSTD_isError(ZSTD_decompressStream(self.context, &output, &input)) == 0)
                        }
                        return output.pos
                    }
                    return Array(result[..<count])
                }
            }
            let left = try bytes.withUnsafeMutableBufferPointer { input in
                try result.withUnsafeMutableBufferPointer { output in
                    self.stream.pointee.next_in = input.baseAddress
                    self.stream.pointee.avail_in = UInt32(input.count)
                    self.stream.pointee.next_out = output.baseAddress
                    self.stream.pointee.avail_out = UInt32(output.count)
                    let status = inflate(self.stream, Z_SYNC_FLUSH)
                    try #require(status == Z_OK || status == Z_BUF_ERROR)
                    return Int(self.stream.pointee.avail_out)
                }
            }
            return Array(result[..<(result.count - left)])
        }
    }

    private func decode(_ bytes: [UInt8], _ coding: ContentCoding, length: Int) throws -> [UInt8] {
        // One more, so that what is too long shows.
        var result = [UInt8](repeating: 0, count: length + 1)
        var bytes = bytes
        var count = result.count
        switch coding {
        case .gzip:
            var stream = z_stream()
            try #require(inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
            defer { inflateEnd(&stream) }
            let status = bytes.withUnsafeMutableBufferPointer { input in
                result.withUnsafeMutableBufferPointer { output in
                    stream.next_in = input.baseAddress
                    stream.avail_in = UInt32(input.count)
                    stream.next_out = output.baseAddress
                    stream.avail_out = UInt32(output.count)
                    return inflate(&stream, Z_FINISH)
                }
            }
            try #require(status == Z_STREAM_END && stream.avail_in == 0)
            count -= Int(stream.avail_out)
        case .zstd:
            count = ZSTD_decompress(&result, result.count, bytes, bytes.count)
        case .brotli:
            // The encoder's library has a sister that the program itself does not need.
            typealias Decompress =
                @convention(c) (Int, UnsafePointer<UInt8>, UnsafeMutablePointer<Int>, UnsafeMutablePointer<UInt8>)
                -> CInt
            let library = try #require(dlopen("libbrotlidec.so.1", RTLD_NOW))
            let symbol = try #require(dlsym(library, "BrotliDecoderDecompress"))
            try #require(unsafeBitCast(symbol, to: Decompress.self)(bytes.count, bytes, &count, &result) == 1)
        }
        try #require(count <= length, "\(coding)")
        return Array(result[..<count])
    }
}
