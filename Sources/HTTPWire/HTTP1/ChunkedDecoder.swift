/// The chunked transfer coding, one step at a time (RFC 9112 7.1), as `BodyReader` takes it. Holds a few integers and no bytes.
///
///     size ─▶ padding ─▶ extension ─▶ sizeLF ─▶ data ─▶ dataCR ─▶ dataLF ─▶ size
///                                       └─(size 0)─▶ trailers ─▶ end
///
/// Trailer lines are wanted whole: while one is incomplete, `needMore` gives back its start.
struct ChunkedDecoder: Sendable {
    /// A step up to the trailers.
    enum DataStep {
        case data(ByteRange)
        case needMore
        case trailers
    }

    /// A step among the trailers.
    enum TrailerStep {
        case trailer(name: ByteRange, value: ByteRange, next: Int)
        /// The line is not complete: present it again, with more behind it.
        case needMore
        /// The body ended; `next` is the first byte that does not belong to it.
        case end(next: Int)
    }

    private enum State: Sendable {
        case size, padding, extensions, sizeLF, data, dataCR, dataLF, trailers, ended
    }

    /// Trailers of a body, at most.
    static let trailerCount = 32
    /// What a chunk makes up for of its extension's length, and what each byte of its data does.
    private static let allowance = (chunk: UInt64(16), byte: UInt64(2))

    private var state = State.size
    private var digits: UInt8 = 0
    private let isPaddingTaken: Bool
    private var remaining: UInt64 = 0
    private var size: UInt64 = 0
    private var extensionBytes: UInt64 = 0
    private var trailerBytes = 0
    private var trailers = 0
    private let extensionLimit: UInt64
    let trailerLimit: Int

    /// `trailerLimit` bounds the bytes of all trailer lines. `extensionLimit` bounds the bytes of a message's chunk
    /// extensions that its data does not make up for: a chunk makes up for 16 bytes and for two more for each byte of its
    /// data. So a long body may mark each of its chunks, and a sender that sends extensions instead of a body is stopped.
    init(extensionLimit: Int, trailerLimit: Int, of side: MessageSide) {
        self.extensionLimit = UInt64(max(0, extensionLimit))
        self.trailerLimit = trailerLimit
        self.isPaddingTaken = side == .response
    }

    /// Goes on at `cursor`, which moves behind what was read.
    mutating func dataStep(_ bytes: borrowing Span<UInt8>, cursor: inout Int) throws(ChunkError) -> DataStep {
        let end = bytes.count
        while true {
            switch self.state {
            case .trailers, .ended: return .trailers
            case .data:
                guard cursor < end else { return .needMore }
                let count = Int(min(UInt64(end - cursor), self.remaining))
                self.remaining -= UInt64(count)
                if self.remaining == 0 { self.state = .dataCR }
                cursor += count
                return .data(ByteRange(cursor - count, cursor))
            case .size, .padding, .extensions, .sizeLF, .dataCR, .dataLF:
                guard cursor < end else { return .needMore }
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
                guard self.digits < 16, self.size >> 60 == 0 else { throw .sizeOverflow }
                self.size = self.size << 4 | UInt64(digit)
                guard self.size <= UInt64(Int64.max) else { throw .sizeOverflow }
                self.digits += 1
                return
            }
            guard self.digits > 0 else { throw .badSize }
            switch byte {
            case 0x3B: self.state = .extensions
            case 0x0D: self.state = .sizeLF
            case 0x20, 0x09:
                self.state = .padding
                try self.countExtension()
            default: throw .badSize
            }
        case .padding:
            // Blanks before an extension are legal (BWS, RFC 9112 7.1.1). Before nothing they are not; servers pad sizes
            // so all the same, and no reader takes that for another size: nginx and HAProxy read the digits, stricter ones
            // refuse. From a client it is refused too, since a proxy before us may be one that does not stop at blanks.
            switch byte {
            case 0x3B: self.state = .extensions
            case 0x20, 0x09: try self.countExtension()
            case 0x0D where self.isPaddingTaken: self.state = .sizeLF
            default: throw .badSize
            }
        case .extensions:
            if byte == 0x0D {
                self.state = .sizeLF
                return
            }
            guard ByteClass.isFieldContent(byte) else { throw .badExtension }
            try self.countExtension()
        case .sizeLF:
            guard byte == 0x0A else { throw .missingLineEnd }
            self.beginData()
        case .dataCR:
            guard byte == 0x0D else { throw .missingLineEnd }
            self.state = .dataLF
        case .dataLF:
            guard byte == 0x0A else { throw .missingLineEnd }
            self.state = .size
        case .data, .trailers, .ended: break
        }
    }

    private mutating func countExtension() throws(ChunkError) {
        self.extensionBytes += 1
        guard self.extensionBytes <= self.extensionLimit else { throw .extensionTooLong }
    }

    private mutating func beginData() {
        self.state = self.size == 0 ? .trailers : .data
        // Far more than any limit of extensions, and far from overflow.
        let data = min(self.size, 1 << 40)
        self.extensionBytes -= min(self.extensionBytes, Self.allowance.chunk + Self.allowance.byte * data)
        self.remaining = self.size
        self.size = 0
        self.digits = 0
    }

    /// The next trailer, or the end. Only after `dataStep` has come to the trailers.
    mutating func trailerStep(_ bytes: borrowing Span<UInt8>, at start: Int) throws(ChunkError) -> TrailerStep {
        if self.state == .ended { return .end(next: start) }
        var cursor = start
        let end = bytes.count
        guard cursor < end else { return .needMore }
        if bytes[cursor] == 0x0D {
            guard cursor + 1 < end else { return .needMore }
            guard bytes[cursor + 1] == 0x0A else { throw .badTrailer }
            self.state = .ended
            return .end(next: cursor + 2)
        }
        let room = self.trailerLimit - self.trailerBytes
        while cursor < end, ByteClass.isToken(bytes[cursor]) { cursor += 1 }
        guard cursor < end else { return try self.partial(cursor - start, room) }
        guard bytes[cursor] == 0x3A, cursor > start else { throw .badTrailer }
        let name = ByteRange(start, cursor)
        cursor += 1
        while cursor < end, bytes[cursor] == 0x20 || bytes[cursor] == 0x09 { cursor += 1 }
        let valueStart = cursor
        while cursor < end, ByteClass.isFieldContent(bytes[cursor]) { cursor += 1 }
        guard cursor + 1 < end else {
            if cursor < end, bytes[cursor] != 0x0D { throw .badTrailer }
            return try self.partial(cursor - start, room)
        }
        guard bytes[cursor] == 0x0D, bytes[cursor + 1] == 0x0A else { throw .badTrailer }
        var valueEnd = cursor
        while valueEnd > valueStart, bytes[valueEnd - 1] == 0x20 || bytes[valueEnd - 1] == 0x09 { valueEnd -= 1 }
        cursor += 2
        self.trailerBytes += cursor - start
        self.trailers += 1
        guard self.trailerBytes <= self.trailerLimit, self.trailers <= Self.trailerCount else { throw .trailersTooLong }
        return .trailer(name: name, value: ByteRange(valueStart, valueEnd), next: cursor)
    }

    private func partial(_ count: Int, _ room: Int) throws(ChunkError) -> TrailerStep {
        guard count <= room else { throw .trailersTooLong }
        return .needMore
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
