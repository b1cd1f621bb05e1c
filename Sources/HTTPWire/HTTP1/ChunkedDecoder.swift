/// Why bytes are no chunked body.
package enum ChunkError: Error, Equatable, Sendable {
    case badSize, sizeOverflow, badExtension, extensionTooLong, missingLineEnd, badTrailer, trailersTooLong

    package var reason: String {
        switch self {
        case .badSize: "bad-chunk-size"
        case .sizeOverflow: "chunk-size-overflow"
        case .badExtension: "bad-chunk-extension"
        case .extensionTooLong: "chunk-extension-too-long"
        case .missingLineEnd: "missing-chunk-line-end"
        case .badTrailer: "bad-trailer"
        case .trailersTooLong: "trailers-too-long"
        }
    }
}

/// The chunked transfer coding, one step at a time (RFC 9112 7.1). Holds a few integers and no bytes.
///
///     size ─▶ extension ─▶ sizeLF ─▶ data ─▶ dataCR ─▶ dataLF ─▶ size
///                             └─(size 0)─▶ trailers ─▶ end
///
/// Trailer lines are wanted whole: while one is incomplete, `needMore` gives back its start.
package struct ChunkedDecoder: Sendable {
    package enum Step {
        /// Body bytes; go on at `next`.
        case data(ByteRange, next: Int)
        case trailer(name: ByteRange, value: ByteRange, next: Int)
        /// Everything before `consumed` is done with; present what follows again, with more behind it.
        case needMore(consumed: Int)
        /// The body ended; `next` is the first byte that does not belong to it.
        case end(next: Int)
    }

    private enum State: Sendable {
        case size, extensions, sizeLF, data, dataCR, dataLF, trailers, ended
    }

    private var state = State.size
    private var remaining: UInt64 = 0
    private var digits: UInt8 = 0
    private var extensionBytes = 0
    private var trailerBytes = 0
    private var trailers = 0
    private let extensionLimit: Int
    private let trailerLimit: Int
    private let trailerCount: Int

    /// Limits: bytes of one chunk's extensions; bytes and number of all trailers.
    package init(extensionLimit: Int, trailerLimit: Int, trailerCount: Int = 32) {
        self.extensionLimit = extensionLimit
        self.trailerLimit = trailerLimit
        self.trailerCount = trailerCount
    }

    package var isAtEnd: Bool { self.state == .ended }

    package mutating func step(_ bytes: Span<UInt8>, at offset: Int) throws(ChunkError) -> Step {
        var cursor = offset
        let end = bytes.count
        while true {
            switch self.state {
            case .ended: return .end(next: cursor)
            case .data:
                guard cursor < end else { return .needMore(consumed: cursor) }
                let count = Int(min(UInt64(end - cursor), self.remaining))
                self.remaining -= UInt64(count)
                if self.remaining == 0 { self.state = .dataCR }
                return .data(ByteRange(cursor, cursor + count), next: cursor + count)
            case .trailers: return try self.trailer(bytes, at: cursor)
            case .size, .extensions, .sizeLF, .dataCR, .dataLF:
                guard cursor < end else { return .needMore(consumed: cursor) }
                try self.frame(bytes[cursor])
                cursor += 1
            }
        }
    }

    /// One byte of what stands between data.
    private mutating func frame(_ byte: UInt8) throws(ChunkError) {
        switch self.state {
        case .size:
            if let digit = Self.hexDigit(byte) {
                // Sixteen digits fill 64 bits; anything near that is an attack.
                guard self.digits < 16, self.remaining >> 60 == 0 else { throw .sizeOverflow }
                self.remaining = self.remaining << 4 | UInt64(digit)
                guard self.remaining <= UInt64(Int64.max) else { throw .sizeOverflow }
                self.digits += 1
                return
            }
            guard self.digits > 0 else { throw .badSize }
            switch byte {
            case 0x3B: self.state = .extensions
            case 0x0D: self.state = .sizeLF
            // White space before an extension is legal "bad white space"; no honest sender writes it and readers
            // disagree about it.
            default: throw .badSize
            }
        case .extensions:
            if byte == 0x0D {
                self.state = .sizeLF
                return
            }
            guard ByteClass.isFieldContent(byte) else { throw .badExtension }
            self.extensionBytes += 1
            guard self.extensionBytes <= self.extensionLimit else { throw .extensionTooLong }
        case .sizeLF:
            guard byte == 0x0A else { throw .missingLineEnd }
            self.state = self.remaining == 0 ? .trailers : .data
            self.digits = 0
            self.extensionBytes = 0
        case .dataCR:
            guard byte == 0x0D else { throw .missingLineEnd }
            self.state = .dataLF
        case .dataLF:
            guard byte == 0x0A else { throw .missingLineEnd }
            self.state = .size
        case .data, .trailers, .ended: break
        }
    }

    private mutating func trailer(_ bytes: borrowing Span<UInt8>, at start: Int) throws(ChunkError) -> Step {
        var cursor = start
        let end = bytes.count
        guard cursor < end else { return .needMore(consumed: start) }
        if bytes[cursor] == 0x0D {
            guard cursor + 1 < end else { return .needMore(consumed: start) }
            guard bytes[cursor + 1] == 0x0A else { throw .badTrailer }
            self.state = .ended
            return .end(next: cursor + 2)
        }
        let room = self.trailerLimit - self.trailerBytes
        while cursor < end, ByteClass.isToken(bytes[cursor]) { cursor += 1 }
        guard cursor < end else { return try self.partial(start, cursor - start, room) }
        guard bytes[cursor] == 0x3A, cursor > start else { throw .badTrailer }
        let name = ByteRange(start, cursor)
        cursor += 1
        while cursor < end, bytes[cursor] == 0x20 || bytes[cursor] == 0x09 { cursor += 1 }
        let valueStart = cursor
        while cursor < end, ByteClass.isFieldContent(bytes[cursor]) { cursor += 1 }
        guard cursor + 1 < end else {
            if cursor < end, bytes[cursor] != 0x0D { throw .badTrailer }
            return try self.partial(start, cursor - start, room)
        }
        guard bytes[cursor] == 0x0D, bytes[cursor + 1] == 0x0A else { throw .badTrailer }
        var valueEnd = cursor
        while valueEnd > valueStart, bytes[valueEnd - 1] == 0x20 || bytes[valueEnd - 1] == 0x09 { valueEnd -= 1 }
        cursor += 2
        self.trailerBytes += cursor - start
        self.trailers += 1
        guard self.trailerBytes <= self.trailerLimit, self.trailers <= self.trailerCount else { throw .trailersTooLong }
        return .trailer(name: name, value: ByteRange(valueStart, valueEnd), next: cursor)
    }

    private func partial(_ start: Int, _ count: Int, _ room: Int) throws(ChunkError) -> Step {
        guard count <= room else { throw .trailersTooLong }
        return .needMore(consumed: start)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
