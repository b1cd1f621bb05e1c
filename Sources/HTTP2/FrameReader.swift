/// Finds the next frame in bytes that came, in whatever pieces. Holds nothing: bytes that are no whole frame yet are presented
/// again with more behind them. What is wrong with a frame's own form is said as soon as its nine bytes of header tell.
package enum FrameReader {
    package static let headerSize = 9
    /// SETTINGS_MAX_FRAME_SIZE of ours: the initial value, which is the least there may be (RFC 9113 6.5.2).
    package static let maximumLength = 16_384
    /// CONTINUATIONs that one field block may have, empty ones included: at least eight, and twice as many as it takes.
    static func maximumContinuations(_ blockLimit: Int) -> Int { max(8, 2 * blockLimit / Self.maximumLength) }

    /// What becomes of a compressed field block with more bytes, or frames, than may come in one piece.
    package enum Oversized: Sendable {
        /// It ends the connection.
        case refused
        /// It is given out in parts (`HeaderBlock.isWhole`).
        case split
        /// The first part of the stream's block has been given out, and what follows is the next one.
        case following(stream: UInt32)
    }

    /// The next frame and how many bytes it takes; nil: it is not whole yet. `blockLimit`: bytes of a compressed field block.
    package static func next(
        _ bytes: UnsafeRawBufferPointer, blockLimit: Int, oversized: Oversized = .refused
    ) throws(ConnectionFault) -> (frame: Frame, consumed: Int)? {
        guard bytes.count >= Self.headerSize else { return nil }
        let length = Self.length(bytes, at: 0)
        guard length <= Self.maximumLength else { throw ConnectionFault(.frameSizeError) }
        let type = bytes[3]
        let flags = bytes[4]
        let stream = Self.word(bytes, at: 5) & 0x7FFF_FFFF
        if case .following(let open) = oversized {
            // Nothing may stand between the frames of a block (6.10).
            guard type == FrameType.continuation, stream == open else { throw ConnectionFault(.protocolError) }
            let end = Self.headerSize + length
            guard bytes.count >= end else { return nil }
            let block = HeaderBlock(
                stream: stream, isEnd: false, first: Self.headerSize..<end, continuations: end..<end,
                isWhole: flags & FrameFlag.endHeaders != 0)
            return (.headers(block), end)
        }
        try Self.check(type: type, flags: flags, length: length, stream: stream)
        let end = Self.headerSize + length
        if type == FrameType.headers {
            return try Self.headers(bytes, end: end, flags, stream, blockLimit, oversized)
        }
        guard bytes.count >= end else { return nil }
        return (try Self.frame(bytes, type: type, flags: flags, stream: stream, Self.headerSize..<end), end)
    }

    @inline(__always)
    static func length(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
        Int(bytes[offset]) << 16 | Int(bytes[offset + 1]) << 8 | Int(bytes[offset + 2])
    }

    @inline(__always)
    static func word(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
        UInt32(bytes[offset]) << 24 | UInt32(bytes[offset + 1]) << 16 | UInt32(bytes[offset + 2]) << 8
            | UInt32(bytes[offset + 3])
    }

    /// What a frame's header alone tells.
    private static func check(type: UInt8, flags: UInt8, length: Int, stream: UInt32) throws(ConnectionFault) {
        switch type {
        case FrameType.data, FrameType.headers, FrameType.priority:
            guard stream != 0 else { throw ConnectionFault(.protocolError) }
        case FrameType.reset:
            guard stream != 0 else { throw ConnectionFault(.protocolError) }
            guard length == 4 else { throw ConnectionFault(.frameSizeError) }
        case FrameType.settings:
            guard stream == 0 else { throw ConnectionFault(.protocolError) }
            let isAcknowledgement = flags & FrameFlag.acknowledgement != 0
            guard isAcknowledgement ? length == 0 : length % 6 == 0 else { throw ConnectionFault(.frameSizeError) }
        case FrameType.ping:
            guard stream == 0 else { throw ConnectionFault(.protocolError) }
            guard length == 8 else { throw ConnectionFault(.frameSizeError) }
        case FrameType.goAway:
            guard stream == 0 else { throw ConnectionFault(.protocolError) }
            guard length >= 8 else { throw ConnectionFault(.frameSizeError) }
        case FrameType.windowUpdate:
            guard length == 4 else { throw ConnectionFault(.frameSizeError) }
        case FrameType.priorityUpdate:
            guard stream == 0 else { throw ConnectionFault(.protocolError) }
            guard length >= 4 else { throw ConnectionFault(.frameSizeError) }
        // A client must not promise anything, nor a server where it was told so (8.4), and a CONTINUATION stands behind HEADERS only (6.10).
        case FrameType.pushPromise, FrameType.continuation: throw ConnectionFault(.protocolError)
        default: break
        }
    }

    private static func frame(
        _ bytes: UnsafeRawBufferPointer, type: UInt8, flags: UInt8, stream: UInt32, _ payload: Range<Int>
    ) throws(ConnectionFault) -> Frame {
        switch type {
        case FrameType.data:
            let content = try Self.unpadded(bytes, flags, payload)
            return .data(
                stream: stream, content: content, flow: payload.count, isEnd: flags & FrameFlag.endStream != 0)
        case FrameType.priority:
            return payload.count == 5
                ? .priority(stream: stream) : .malformed(stream: stream, code: .frameSizeError)
        case FrameType.reset:
            return .reset(stream: stream, code: ErrorCode(rawValue: Self.word(bytes, at: payload.lowerBound)))
        case FrameType.settings:
            return flags & FrameFlag.acknowledgement != 0 ? .settingsAcknowledged : .settings(entries: payload)
        case FrameType.ping:
            let high = UInt64(Self.word(bytes, at: payload.lowerBound))
            let low = UInt64(Self.word(bytes, at: payload.lowerBound + 4))
            return .ping(high << 32 | low, isAcknowledgement: flags & FrameFlag.acknowledgement != 0)
        case FrameType.goAway:
            return .goAway(
                last: Self.word(bytes, at: payload.lowerBound) & 0x7FFF_FFFF,
                code: ErrorCode(rawValue: Self.word(bytes, at: payload.lowerBound + 4)))
        case FrameType.windowUpdate:
            let increment = Int(Self.word(bytes, at: payload.lowerBound) & 0x7FFF_FFFF)
            if increment > 0 { return .windowUpdate(stream: stream, increment: increment) }
            guard stream != 0 else { throw ConnectionFault(.protocolError) }
            return .malformed(stream: stream, code: .protocolError)
        case FrameType.priorityUpdate:
            return .priorityUpdate(
                stream: Self.word(bytes, at: payload.lowerBound) & 0x7FFF_FFFF,
                value: payload.lowerBound + 4..<payload.upperBound)
        default: return .unknown
        }
    }

    /// The payload without its padding (6.1): padding as long as what is left, or longer, is an error.
    private static func unpadded(
        _ bytes: UnsafeRawBufferPointer, _ flags: UInt8, _ payload: Range<Int>
    ) throws(ConnectionFault) -> Range<Int> {
        guard flags & FrameFlag.padded != 0 else { return payload }
        guard !payload.isEmpty else { throw ConnectionFault(.frameSizeError) }
        let padding = Int(bytes[payload.lowerBound])
        guard padding < payload.count else { throw ConnectionFault(.protocolError) }
        return payload.lowerBound + 1..<payload.upperBound - padding
    }

    /// HEADERS is given out with all of its CONTINUATIONs, which nothing may stand between (6.2, 6.10).
    private static func headers(
        _ bytes: UnsafeRawBufferPointer, end: Int, _ flags: UInt8, _ stream: UInt32, _ blockLimit: Int,
        _ oversized: Oversized
    ) throws(ConnectionFault) -> (frame: Frame, consumed: Int)? {
        guard bytes.count >= end else { return nil }
        var first = try Self.unpadded(bytes, flags, Self.headerSize..<end)
        if flags & FrameFlag.priority != 0 {
            guard first.count >= 5 else { throw ConnectionFault(.frameSizeError) }
            first = first.lowerBound + 5..<first.upperBound
        }
        var total = first.count
        var cursor = end
        var isLast = flags & FrameFlag.endHeaders != 0
        var count = 0
        guard total <= blockLimit else { throw ConnectionFault(.fields) }
        while !isLast {
            guard bytes.count >= cursor + Self.headerSize else { return nil }
            guard bytes[cursor + 3] == FrameType.continuation,
                Self.word(bytes, at: cursor + 5) & 0x7FFF_FFFF == stream
            else { throw ConnectionFault(.protocolError) }
            let length = Self.length(bytes, at: cursor)
            guard length <= Self.maximumLength else { throw ConnectionFault(.frameSizeError) }
            count += 1
            total += length
            let hasTooMany = count > Self.maximumContinuations(blockLimit)
            if hasTooMany || total > blockLimit {
                guard case .split = oversized else { throw ConnectionFault(hasTooMany ? .continuations : .fields) }
                break
            }
            isLast = bytes[cursor + 4] & FrameFlag.endHeaders != 0
            cursor += Self.headerSize + length
        }
        guard bytes.count >= cursor else { return nil }
        let block = HeaderBlock(
            stream: stream, isEnd: flags & FrameFlag.endStream != 0, first: first, continuations: end..<cursor,
            isWhole: isLast)
        return (.headers(block), cursor)
    }
}

/// The 24 bytes with which an HTTP/2 client begins (RFC 9113 3.4).
package enum Preface {
    package enum Match: Sendable { case whole, part, other }

    package static let count = 24
    private static let text: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    static func write(to room: UnsafeMutableRawBufferPointer) {
        room.copyMemory(from: UnsafeRawBufferPointer(start: Self.text.utf8Start, count: Self.count))
    }

    /// Whether `bytes` begin with the preface, or may once more have come.
    package static func match(_ bytes: UnsafeRawBufferPointer) -> Match {
        let length = min(bytes.count, Self.count)
        for index in 0..<length where bytes[index] != Self.text.utf8Start[index] { return .other }
        return length == Self.count ? .whole : .part
    }
}
