/// Writes frames into memory that the caller owns. What does not fit whole is left out, and the writer says so.
package struct FrameWriter: ~Copyable {
    private let room: UnsafeMutableRawBufferPointer
    package private(set) var count = 0
    package private(set) var overflowed = false
    /// Frames written that answer what a peer sent: acknowledgements and resets.
    package private(set) var answers = 0
    /// Codes of the RST_STREAM and GOAWAY that were written last, for counting: an event writes one at most.
    package private(set) var resetCode: ErrorCode?
    package private(set) var goAwayCode: ErrorCode?

    /// The memory must outlive the writer.
    package init(_ room: UnsafeMutableRawBufferPointer) { self.room = room }

    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.room)[0..<self.count])
    }

    /// Room that a single event may fill with control frames.
    package static let controlRoom = 512

    /// Writes a frame's header alone at the start of `room`, which has nine bytes.
    @inline(__always)
    package static func header(
        length: Int, type: UInt8, flags: UInt8, stream: UInt32, into room: UnsafeMutableRawPointer
    ) {
        room.storeBytes(of: UInt8(truncatingIfNeeded: length >> 16), toByteOffset: 0, as: UInt8.self)
        room.storeBytes(of: UInt8(truncatingIfNeeded: length >> 8), toByteOffset: 1, as: UInt8.self)
        room.storeBytes(of: UInt8(truncatingIfNeeded: length), toByteOffset: 2, as: UInt8.self)
        room.storeBytes(of: type, toByteOffset: 3, as: UInt8.self)
        room.storeBytes(of: flags, toByteOffset: 4, as: UInt8.self)
        room.storeBytes(of: stream.bigEndian, toByteOffset: 5, as: UInt32.self)
    }

    private mutating func begin(_ length: Int, _ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0) -> Bool {
        let needed = FrameReader.headerSize + length
        guard let base = self.room.baseAddress, needed <= self.room.count - self.count else {
            self.overflowed = true
            return false
        }
        Self.header(length: length, type: type, flags: flags, stream: stream, into: base + self.count)
        self.count += FrameReader.headerSize
        return true
    }

    private mutating func append(_ word: UInt32) {
        self.room.storeBytes(of: word.bigEndian, toByteOffset: self.count, as: UInt32.self)
        self.count += 4
    }

    private mutating func append(_ half: UInt16) {
        self.room.storeBytes(of: half.bigEndian, toByteOffset: self.count, as: UInt16.self)
        self.count += 2
    }

    // MARK: frames

    /// What a client begins with (RFC 9113 3.4).
    package mutating func preface() {
        guard Preface.count <= self.room.count - self.count else {
            self.overflowed = true
            return
        }
        Preface.write(to: UnsafeMutableRawBufferPointer(rebasing: self.room[self.count...]))
        self.count += Preface.count
    }

    package mutating func settings(_ entries: [(identifier: UInt16, value: UInt32)]) {
        guard self.begin(entries.count * 6, FrameType.settings) else { return }
        for entry in entries {
            self.append(entry.identifier)
            self.append(entry.value)
        }
    }

    package mutating func settingsAcknowledged() {
        self.answers += 1
        _ = self.begin(0, FrameType.settings, flags: FrameFlag.acknowledgement)
    }

    package mutating func ping(_ data: UInt64, isAcknowledgement: Bool) {
        if isAcknowledgement { self.answers += 1 }
        guard self.begin(8, FrameType.ping, flags: isAcknowledgement ? FrameFlag.acknowledgement : 0) else { return }
        self.append(UInt32(truncatingIfNeeded: data >> 32))
        self.append(UInt32(truncatingIfNeeded: data))
    }

    /// `isAnswer`: the peer has caused it.
    package mutating func reset(_ stream: UInt32, _ code: ErrorCode, isAnswer: Bool) {
        if isAnswer { self.answers += 1 }
        self.resetCode = code
        guard self.begin(4, FrameType.reset, stream: stream) else { return }
        self.append(code.rawValue)
    }

    package mutating func goAway(last: UInt32, _ code: ErrorCode) {
        self.goAwayCode = code
        guard self.begin(8, FrameType.goAway) else { return }
        self.append(last)
        self.append(code.rawValue)
    }

    package mutating func windowUpdate(_ stream: UInt32, _ increment: Int) {
        guard self.begin(4, FrameType.windowUpdate, stream: stream) else { return }
        self.append(UInt32(truncatingIfNeeded: increment) & 0x7FFF_FFFF)
    }

    /// One frame: at most 16 KiB.
    package mutating func data(_ stream: UInt32, _ bytes: UnsafeRawBufferPointer, isEnd: Bool) {
        guard
            self.begin(bytes.count, FrameType.data, flags: isEnd ? FrameFlag.endStream : 0, stream: stream)
        else { return }
        UnsafeMutableRawBufferPointer(rebasing: self.room[self.count...]).copyMemory(from: bytes)
        self.count += bytes.count
    }

    /// Bytes that `headers` writes for a block of `count` bytes.
    package static func headersRoom(_ count: Int) -> Int {
        count + max(1, (count + FrameReader.maximumLength - 1) / FrameReader.maximumLength) * FrameReader.headerSize
    }

    /// A field block, in HEADERS and as many CONTINUATIONs as it takes.
    package mutating func headers(_ stream: UInt32, _ block: UnsafeRawBufferPointer, isEnd: Bool) {
        var offset = 0
        var type = FrameType.headers
        repeat {
            let length = min(block.count - offset, FrameReader.maximumLength)
            let isLast = offset + length == block.count
            var flags: UInt8 = isLast ? FrameFlag.endHeaders : 0
            if isEnd, type == FrameType.headers { flags |= FrameFlag.endStream }
            guard self.begin(length, type, flags: flags, stream: stream) else { return }
            UnsafeMutableRawBufferPointer(rebasing: self.room[self.count...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: block[offset..<offset + length]))
            self.count += length
            offset += length
            type = FrameType.continuation
        } while offset < block.count
    }
}
