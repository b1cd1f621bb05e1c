import CCompression
import Traffic

extension ContentCoding {
    /// The least and the most that a level may be, and the one that costs least for what it saves.
    var levels: (range: ClosedRange<Int32>, standard: Int32) {
        switch self {
        case .gzip: (1...9, 4)
        case .brotli: (0...11, 1)
        case .zstd: (1...19, 1)
        }
    }
}

/// Puts bodies into one form, one after the other, each a piece at a time. Its memory is kept from one body to the next.
/// For one thread.
package final class ContentCoder {
    /// What is looked back into, and so about what a reader has to hold: 128 KiB, and of gzip 8 KiB, which costs a quarter of
    /// what 32 KiB do.
    private static let window: UInt32 = 17

    private enum Library {
        case gzip(UnsafeMutablePointer<z_stream>)
        case brotli(OpaquePointer)
        case zstd(OpaquePointer)
    }

    package let coding: ContentCoding
    private let level: Int32
    private var library: Library
    /// Nothing has been put in since `begin`.
    var isFresh = true

    /// `level` is brought into the coding's bounds. nil: there is no memory.
    package init?(_ coding: ContentCoding, level: Int32? = nil) {
        self.coding = coding
        let (range, standard) = coding.levels
        self.level = min(max(level ?? standard, range.lowerBound), range.upperBound)
        guard let library = Self.make(coding, self.level) else { return nil }
        self.library = library
    }

    deinit {
        switch self.library {
        case .gzip(let stream):
            deflateEnd(stream)
            stream.deallocate()
        case .brotli(let state): BrotliEncoderDestroyInstance(state)
        case .zstd(let context): ZSTD_freeCCtx(context)
        }
    }

    private static func make(_ coding: ContentCoding, _ level: Int32) -> Library? {
        switch coding {
        case .gzip:
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            stream.initialize(to: z_stream())
            // 13 for a window of 8 KiB, 16 more for gzip's own head and end; memory of 2^6 symbols.
            let status = deflateInit2_(
                stream, level, Z_DEFLATED, 13 + 16, 6, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size))
            guard status == Z_OK else {
                stream.deallocate()
                return nil
            }
            return .gzip(stream)
        case .brotli:
            guard let state = BrotliEncoderCreateInstance(nil, nil, nil) else { return nil }
            BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, UInt32(clamping: level))
            BrotliEncoderSetParameter(state, BROTLI_PARAM_LGWIN, Self.window)
            return .brotli(state)
        case .zstd:
            guard let context = ZSTD_createCCtx() else { return nil }
            ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
            ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, Int32(Self.window))
            return .zstd(context)
        }
    }

    /// Whether it is of this level too.
    package func suits(_ coding: ContentCoding, level: Int32?) -> Bool {
        guard coding == self.coding else { return false }
        let (range, standard) = coding.levels
        return self.level == min(max(level ?? standard, range.lowerBound), range.upperBound)
    }

    /// Begins another body. False: there is no memory, and it is good for nothing any more.
    package func begin() -> Bool {
        guard !self.isFresh else { return true }
        self.isFresh = true
        switch self.library {
        case .gzip(let stream): return deflateReset(stream) == Z_OK
        case .brotli(let state):
            // This library knows no way back to the start.
            guard let library = Self.make(.brotli, self.level) else { return false }
            BrotliEncoderDestroyInstance(state)
            self.library = library
            return true
        case .zstd(let context): return ZSTD_isError(ZSTD_CCtx_reset(context, ZSTD_reset_session_only)) == 0
        }
    }

    package enum Step: Equatable {
        /// All that was given is in the room's first so many bytes, or was before.
        case whole(Int)
        /// The room is full, and more is to come: call again with what is left of the input, if it is nothing too.
        case more(Int)
        case failed
    }

    /// Takes bytes from the front of `input`, and writes their form to `room`, of which there must be some. When the step is
    /// `whole`, whoever reads it has all that was given; `isEnd`: and nothing follows.
    package func code(
        _ input: inout UnsafeRawBufferPointer, isEnd: Bool, into room: UnsafeMutableRawBufferPointer
    ) -> Step {
        self.isFresh = false
        switch self.library {
        case .gzip(let stream): return Self.codeGzip(stream, &input, isEnd, room)
        case .brotli(let state): return Self.codeBrotli(state, &input, isEnd, room)
        case .zstd(let context): return Self.codeZstd(context, &input, isEnd, room)
        }
    }

    private static func codeGzip(
        _ stream: UnsafeMutablePointer<z_stream>, _ input: inout UnsafeRawBufferPointer, _ isEnd: Bool,
        _ room: UnsafeMutableRawBufferPointer
    ) -> Step {
        // The library reads only, whatever its type says.
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(clamping: input.count)
        stream.pointee.next_out = room.bindMemory(to: UInt8.self).baseAddress
        stream.pointee.avail_out = UInt32(clamping: room.count)
        let status = deflate(stream, isEnd ? Z_FINISH : Z_SYNC_FLUSH)
        // Nothing to do is no fault: the last call's room was just large enough.
        guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else { return .failed }
        let left = Int(stream.pointee.avail_in)
        input = UnsafeRawBufferPointer(rebasing: input[(input.count - left)...])
        let count = room.count - Int(stream.pointee.avail_out)
        stream.pointee.next_in = nil
        let isWhole = isEnd ? status == Z_STREAM_END : left == 0 && stream.pointee.avail_out > 0
        return isWhole ? .whole(count) : .more(count)
    }

    private static func codeBrotli(
        _ state: OpaquePointer, _ input: inout UnsafeRawBufferPointer, _ isEnd: Bool,
        _ room: UnsafeMutableRawBufferPointer
    ) -> Step {
        var left = input.count
        var next = input.bindMemory(to: UInt8.self).baseAddress
        var free = room.count
        var place = room.bindMemory(to: UInt8.self).baseAddress
        guard
            BrotliEncoderCompressStream(
                state, isEnd ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH, &left, &next, &free, &place, nil)
                == BROTLI_TRUE
        else { return .failed }
        input = UnsafeRawBufferPointer(rebasing: input[(input.count - left)...])
        let count = room.count - free
        let isWhole =
            left == 0 && BrotliEncoderHasMoreOutput(state) == BROTLI_FALSE
            && (!isEnd || BrotliEncoderIsFinished(state) == BROTLI_TRUE)
        return isWhole ? .whole(count) : .more(count)
    }

    private static func codeZstd(
        _ context: OpaquePointer, _ input: inout UnsafeRawBufferPointer, _ isEnd: Bool,
        _ room: UnsafeMutableRawBufferPointer
    ) -> Step {
        var given = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var place = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
        let left = ZSTD_compressStream2(context, &place, &given, isEnd ? ZSTD_e_end : ZSTD_e_flush)
        guard ZSTD_isError(left) == 0 else { return .failed }
        input = UnsafeRawBufferPointer(rebasing: input[given.pos...])
        return left == 0 && input.isEmpty ? .whole(place.pos) : .more(place.pos)
    }
}
