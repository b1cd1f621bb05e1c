import HTTP2

/// Frames as a client would write them, byte by byte.
enum Bytes {
    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        [UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 0xFF), UInt8(payload.count & 0xFF), type, flags]
            + Self.word(stream) + payload
    }

    static func word(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    static func settings(_ entries: [(UInt16, UInt32)] = []) -> [UInt8] {
        Self.frame(
            FrameType.settings, entries.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 0xFF)] + Self.word($0.1) })
    }

    static let settingsAcknowledged = Self.frame(FrameType.settings, flags: 1)

    static func headers(_ stream: UInt32, isEnd: Bool = true, _ block: [UInt8] = Self.get) -> [UInt8] {
        Self.frame(FrameType.headers, flags: isEnd ? 5 : 4, stream: stream, block)
    }

    static func data(_ stream: UInt32, _ count: Int, isEnd: Bool = false) -> [UInt8] {
        Self.frame(FrameType.data, flags: isEnd ? 1 : 0, stream: stream, Array(repeating: 0x61, count: count))
    }

    static func reset(_ stream: UInt32, _ code: UInt32 = 8) -> [UInt8] {
        Self.frame(FrameType.reset, stream: stream, Self.word(code))
    }

    static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> [UInt8] {
        Self.frame(FrameType.windowUpdate, stream: stream, Self.word(increment))
    }

    static func priorityUpdate(_ stream: UInt32, _ value: String) -> [UInt8] {
        Self.frame(FrameType.priorityUpdate, Self.word(stream) + Array(value.utf8))
    }

    static func ping(_ data: UInt32 = 7, isAcknowledgement: Bool = false) -> [UInt8] {
        Self.frame(FrameType.ping, flags: isAcknowledgement ? 1 : 0, [0, 0, 0, 0] + Self.word(data))
    }

    /// `:method GET`, `:scheme http`, `:path /`, `:authority a` (RFC 7541, static table; a literal without indexing).
    static let get: [UInt8] = [0x82, 0x86, 0x84, 0x01, 0x01, 0x61]
}

/// A session with a client on the other side of it, whose bytes come in pieces.
struct Peer: ~Copyable {
    var session: Session
    var now: UInt64 = 1_000
    /// What the session has written, as frames.
    var written: [Frame] = []
    /// It began with a client's preface.
    private(set) var hasPreface = false
    var steps: [Session.Step] = []
    var fault: ConnectionFault?
    private var held: [UInt8] = []
    /// A client's: the first head of each answer is the final one, of a body of so many bytes.
    var announced: Int?

    init(
        role: Session.Role = .server, limits: SessionLimits = SessionLimits(),
        timeouts: SessionTimeouts = SessionTimeouts(), greeted: Bool = true
    ) {
        self.session = Session(role: role, limits: limits, timeouts: timeouts, lifetime: 3_600_000, now: 1_000)
        if greeted {
            try? self.write { session, _, out throws(ConnectionFault) in session.begin(into: &out) }
        }
        if greeted { self.send(Bytes.settings() + Bytes.settingsAcknowledged) }
        self.written = []
    }

    mutating func send(_ bytes: [UInt8]) {
        self.held += bytes
        while self.fault == nil {
            let taken = self.held.withUnsafeBytes { bytes -> Int in
                do throws(ConnectionFault) {
                    guard
                        let (frame, size) = try FrameReader.next(
                            bytes, blockLimit: self.session.blockLimit, oversized: self.session.oversizedBlocks)
                    else { return 0 }
                    var step = Session.Step.none
                    try self.write { session, now, out throws(ConnectionFault) in
                        step = try session.receive(frame, size: size, in: bytes, now: now, into: &out)
                    }
                    if step != .none { self.steps.append(step) }
                    if let announced, case .answer(let slot, _) = step {
                        self.session.answered(slot, expected: announced)
                    }
                    return size
                } catch {
                    self.fault = error
                    return 0
                }
            }
            guard taken > 0 else { return }
            self.held.removeFirst(taken)
        }
    }

    /// Lets the session write, and reads what it wrote.
    mutating func write(
        _ body: (inout Session, UInt64, inout FrameWriter) throws(ConnectionFault) -> Void
    ) throws(ConnectionFault) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: FrameWriter.controlRoom, alignment: 8)
        defer { room.deallocate() }
        var out = FrameWriter(room)
        defer {
            precondition(!out.overflowed)
            var bytes = out.bytes
            if Preface.match(bytes) == .whole {
                self.hasPreface = true
                bytes = UnsafeRawBufferPointer(rebasing: bytes[Preface.count...])
            }
            while let (frame, size) = try? FrameReader.next(bytes, blockLimit: 65_536) {
                self.written.append(frame)
                bytes = UnsafeRawBufferPointer(rebasing: bytes[size...])
            }
            precondition(bytes.isEmpty)
        }
        try body(&self.session, self.now, &out)
    }

    /// As a carrier that asks the server for something.
    mutating func open(isEnd: Bool = true) -> Int? {
        guard let slot = self.session.open() else { return nil }
        self.session.began(slot)
        if isEnd { self.session.ended(slot) }
        return slot
    }

    /// As a carrier whose exchange has let go.
    mutating func detach(_ slot: Int) {
        try? self.write { session, now, out throws(ConnectionFault) in _ = session.detach(slot, now: now, into: &out) }
    }
}
