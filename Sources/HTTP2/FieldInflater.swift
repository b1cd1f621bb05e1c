import CNGHTTP2

/// One field as it was decoded; valid until the next one is.
package struct DecodedField {
    package var name: UnsafeRawBufferPointer
    package var value: UnsafeRawBufferPointer
}

/// HPACK in (RFC 7541), by nghttp2. Every block of a connection must pass through it, whatever becomes of its stream.
package struct FieldInflater: ~Copyable {
    private let inflater: OpaquePointer

    /// nil: there is no memory.
    package init?() {
        var created: OpaquePointer?
        guard nghttp2_hd_inflate_new(&created) == 0, let created else { return nil }
        self.inflater = created
    }

    deinit { nghttp2_hd_inflate_del(self.inflater) }

    /// The next field of a block, whose pieces are given one after the other; `piece` loses what was used. nil: the piece is
    /// used up. `isLast`: no piece follows.
    package mutating func next(
        _ piece: inout UnsafeRawBufferPointer, isLast: Bool
    ) throws(ConnectionFault) -> DecodedField? {
        while true {
            var field = nghttp2_nv()
            var flags: Int32 = 0
            let used = cnghttp2_inflate(
                self.inflater, &field, &flags, piece.bindMemory(to: UInt8.self).baseAddress, piece.count,
                isLast ? 1 : 0)
            guard used >= 0, used <= piece.count else { throw ConnectionFault(.compressionError) }
            piece = UnsafeRawBufferPointer(rebasing: piece[used...])
            if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
                return DecodedField(
                    name: UnsafeRawBufferPointer(start: field.name, count: field.namelen),
                    value: UnsafeRawBufferPointer(start: field.value, count: field.valuelen))
            }
            if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
                nghttp2_hd_inflate_end_headers(self.inflater)
                return nil
            }
            guard !piece.isEmpty else { return nil }
            // Neither a field nor progress: what is left cannot become one.
            guard used > 0 else { throw ConnectionFault(.compressionError) }
        }
    }
}

/// The fields of a block, or of a part of one, whichever frames it lies in. To be read to its end whatever is wanted of it: the table
/// of the connection changes with every field (RFC 7541 2.2).
package struct BlockFields {
    private var pieces: BlockPieces
    private var piece: UnsafeRawBufferPointer?
    private var isLast = false
    /// Bytes of what has been decoded, as RFC 9113 6.5.2 counts them.
    package private(set) var size = 0
    package private(set) var count = 0

    /// `bytes`: what the reader was given.
    package init(_ block: HeaderBlock, in bytes: UnsafeRawBufferPointer) {
        self.pieces = BlockPieces(block, in: bytes)
    }

    /// The next one; nil: that was all. Throws where they come to more than `limit`: a few bytes can stand for many.
    package mutating func next(
        _ inflater: inout FieldInflater, upTo limit: Int = .max
    ) throws(ConnectionFault) -> DecodedField? {
        while true {
            if var rest = self.piece {
                if let field = try inflater.next(&rest, isLast: self.isLast) {
                    self.piece = rest
                    self.size += field.name.count + field.value.count + 32
                    self.count += 1
                    guard self.size <= limit else { throw ConnectionFault(.fields) }
                    return field
                }
                self.piece = nil
            }
            guard let (piece, isLast) = self.pieces.next() else { return nil }
            (self.piece, self.isLast) = (piece, isLast)
        }
    }
}
