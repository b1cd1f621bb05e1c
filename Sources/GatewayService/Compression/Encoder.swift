import CCompression
import NIOCore

/// Puts a body into another form, a piece at a time, with a well-known library for each form.
enum Encoder {
    /// What the libraries take while they work, about, in bytes.
    static func memory(_ coding: ContentCoding) -> Int {
        switch coding {
        case .gzip: 512 * 1024
        case .br: 6 << 20
        case .zstd: 6 << 20
        }
    }

    /// - Parameter pace: asked to go on before each piece; what it throws ends the work.
    /// - Returns: nil when the library could not do it, for want of memory.
    static func encode(_ body: Body, as coding: ContentCoding, _ pace: () throws -> Void) rethrows -> Body? {
        switch coding {
        case .gzip: try gzip(body, pace)
        case .br: try brotli(body, pace)
        case .zstd: try zstd(body, pace)
        }
    }

    /// What comes out of a library, collected into pieces.
    private struct Output {
        private(set) var body = Body()
        private var piece = ByteBuffer()

        /// Offers room to a library.
        ///
        /// - Parameter write: gets the room, and says how much of it was filled.
        mutating func offer(_ write: (UnsafeMutableRawBufferPointer) -> Int) {
            piece.writeWithUnsafeMutableBytes(minimumWritableBytes: 16 * 1024) { room in
                write(UnsafeMutableRawBufferPointer(rebasing: room.prefix(Body.pieceLength)))
            }
            while piece.readableBytes >= Body.pieceLength, let whole = piece.readSlice(length: Body.pieceLength) {
                body.append(whole.readableBytesView)
                piece.discardReadBytes()
            }
        }

        mutating func end() -> Body {
            body.append(piece.readableBytesView)
            return body
        }
    }

    private static func gzip(_ body: Body, _ pace: () throws -> Void) rethrows -> Body? {
        var stream = z_stream()
        // 15 for the largest window, 16 more for gzip's own head and end.
        let status = deflateInit2_(
            &stream, 5, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { return nil }
        defer { deflateEnd(&stream) }
        var output = Output()
        for (index, piece) in body.pieces.enumerated() {
            try pace()
            let flush = index == body.pieces.count - 1 ? Z_FINISH : Z_NO_FLUSH
            let isDone = piece.withUnsafeReadableBytes { bytes -> Bool in
                // The library reads only, whatever its type says.
                stream.next_in = UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
                stream.avail_in = UInt32(clamping: bytes.count)
                var status = Z_OK
                repeat {
                    output.offer { room in
                        stream.next_out = room.bindMemory(to: UInt8.self).baseAddress
                        stream.avail_out = UInt32(clamping: room.count)
                        status = deflate(&stream, flush)
                        return room.count - Int(stream.avail_out)
                    }
                    if status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR { return false }
                } while stream.avail_out == 0 || flush == Z_FINISH && status != Z_STREAM_END
                return true
            }
            if !isDone { return nil }
        }
        return output.end()
    }

    private static func brotli(_ body: Body, _ pace: () throws -> Void) rethrows -> Body? {
        guard let state = BrotliEncoderCreateInstance(nil, nil, nil) else { return nil }
        defer { BrotliEncoderDestroyInstance(state) }
        BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, 5)
        BrotliEncoderSetParameter(state, BROTLI_PARAM_LGWIN, 20)
        BrotliEncoderSetParameter(state, BROTLI_PARAM_SIZE_HINT, UInt32(clamping: body.count))
        var output = Output()
        for (index, piece) in body.pieces.enumerated() {
            try pace()
            let isLast = index == body.pieces.count - 1
            let isDone = piece.withUnsafeReadableBytes { bytes -> Bool in
                var left = bytes.count
                var next = bytes.bindMemory(to: UInt8.self).baseAddress
                repeat {
                    var isFine = false
                    output.offer { room in
                        var free = room.count
                        var place = room.bindMemory(to: UInt8.self).baseAddress
                        isFine =
                            BrotliEncoderCompressStream(
                                state, isLast ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS, &left, &next, &free,
                                &place, nil) == BROTLI_TRUE
                        return room.count - free
                    }
                    if !isFine { return false }
                } while left > 0 || BrotliEncoderHasMoreOutput(state) == BROTLI_TRUE
                    || isLast && BrotliEncoderIsFinished(state) == BROTLI_FALSE
                return true
            }
            if !isDone { return nil }
        }
        return output.end()
    }

    private static func zstd(_ body: Body, _ pace: () throws -> Void) rethrows -> Body? {
        guard let context = ZSTD_createCCtx() else { return nil }
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 3)
        // The length in the frame's head lets whoever reads it take no more memory than that.
        ZSTD_CCtx_setPledgedSrcSize(context, UInt64(body.count))
        var output = Output()
        for (index, piece) in body.pieces.enumerated() {
            try pace()
            let mode = index == body.pieces.count - 1 ? ZSTD_e_end : ZSTD_e_continue
            let isDone = piece.withUnsafeReadableBytes { bytes -> Bool in
                var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
                var left = 0
                repeat {
                    output.offer { room in
                        var place = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
                        left = ZSTD_compressStream2(context, &place, &input, mode)
                        return place.pos
                    }
                    if ZSTD_isError(left) != 0 { return false }
                } while mode == ZSTD_e_end ? left > 0 : input.pos < input.size
                return true
            }
            if !isDone { return nil }
        }
        return output.end()
    }
}
