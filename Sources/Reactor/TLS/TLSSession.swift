import COpenSSL
import Glibc

/// One connection's TLS: the library's session, and what it must remember between two events. `Channel` drives it.
final class TLSSession {
    /// KeyUpdates that a peer may send at once, and each second: each costs up to 125 µs, for 27 bytes (RFC 8446 4.6.3).
    private static let keyUpdateBurst: Int32 = 20
    /// Bytes sent in small records after a start or a pause: the first reach a browser on a slow path sooner.
    private static let smallRecords = 8_192
    /// A record that fits one segment.
    private static let smallRecord = 1_369
    /// Milliseconds without output after which records are small again.
    private static let pause: UInt64 = 1_000

    let memory: TLSMemory
    let session: OpaquePointer
    /// Records that were received and could not be taken in yet.
    var held = ByteQueue()
    private(set) var isEstablished = false
    /// The socket has ended.
    var hasEnded = false
    /// The peer has said that nothing follows.
    var isClosed = false
    /// So have we.
    private(set) var hasSaidEnd = false
    /// A record was none, or could not be read: nothing more is.
    var isFailed = false
    /// The endpoint has allowed this session to be resumed, which has not been taken note of.
    private var hasNewTicket = false
    private var sentInARow = 0
    private var lastWrite: UInt64 = 0
    private var keyUpdatesLeft = TLSSession.keyUpdateBurst
    private var lastKeyUpdate: UInt64 = 0

    /// Their contexts, and what those are made of, live as long as the session.
    private let server: TLSServer?
    private let client: TLSClient?

    init(_ session: OpaquePointer, memory: TLSMemory, server: TLSServer? = nil, client: TLSClient? = nil) {
        self.session = session
        self.memory = memory
        self.server = server
        self.client = client
    }

    deinit {
        self.held.clear(pool: &self.memory.pool)
        copenssl_free(self.session)
    }

    /// Gives the library these records to read; what it writes is written to the loop's memory.
    func enter(_ records: UnsafeRawBufferPointer) {
        let io = self.memory.io
        io.pointee.input = records.baseAddress?.assumingMemoryBound(to: UInt8.self)
        io.pointee.input_count = records.count
        io.pointee.input_ended = self.hasEnded
        io.pointee.output_count = 0
        if self.keyUpdatesLeft < Self.keyUpdateBurst {
            let earned = Int32(clamping: (self.memory.now &- self.lastKeyUpdate) / 1_000)
            if earned > 0 {
                self.keyUpdatesLeft = min(Self.keyUpdateBurst, self.keyUpdatesLeft + min(earned, Self.keyUpdateBurst))
                self.lastKeyUpdate = self.memory.now
            }
        }
        io.pointee.key_updates_left = self.keyUpdatesLeft
        io.pointee.sessions = 0
    }

    /// Bytes of the records given that are not taken yet.
    func leave() -> Int {
        let io = self.memory.io
        if io.pointee.key_updates_left != self.keyUpdatesLeft {
            if self.keyUpdatesLeft == Self.keyUpdateBurst { self.lastKeyUpdate = self.memory.now }
            self.keyUpdatesLeft = io.pointee.key_updates_left
        }
        if io.pointee.sessions > 0 { self.hasNewTicket = true }
        let left = io.pointee.input_count
        io.pointee.input = nil
        io.pointee.input_count = 0
        return left
    }

    func handshake() -> copenssl_result {
        let result = copenssl_handshake(self.session)
        if result == COPENSSL_DONE { self.isEstablished = true }
        return result
    }

    /// Says that nothing follows (close_notify).
    func sayEnd() {
        self.hasSaidEnd = true
        copenssl_shutdown(self.session)
    }

    /// The peer awaits nothing that belongs to the handshake: it may speak. Not so a client of TLS 1.2, which reads our last word
    /// first.
    var isOverWithPeer: Bool { self.client != nil || copenssl_version(self.session) == 0x0304 }

    /// The peer renewed its keys more often than it may: nothing more of it is read.
    var hasTooManyKeyUpdates: Bool { self.keyUpdatesLeft < 0 }

    /// Something has come that a read has not given yet, be it part of a record.
    var hasPart: Bool { !self.held.isEmpty || copenssl_has_part(self.session) }

    var pending: Int { copenssl_pending(self.session) }

    var facts: TLSFacts {
        TLSFacts(
            version: copenssl_version(self.session) == 0x0304 ? .v13 : .v12,
            isResumed: copenssl_resumed(self.session), isHTTP2: copenssl_is_http2(self.session))
    }

    var cipher: UnsafeRawBufferPointer { Self.text(copenssl_cipher(self.session)) }

    var serverName: UnsafeRawBufferPointer { Self.text(copenssl_server_name(self.session)) }

    private static func text(_ start: UnsafePointer<CChar>?) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start, count: start.map { strlen($0) } ?? 0)
    }

    func takeTicket() -> TLSTicket? {
        guard self.hasNewTicket else { return nil }
        self.hasNewTicket = false
        return copenssl_take_session(self.session).map { TLSTicket($0) }
    }

    /// A session that was resumed has its client's certificate from before: it may be over by now.
    var isPeerOver: Bool { copenssl_has_ended_peer(self.session) }

    func peerCertificates() -> [[UInt8]] {
        guard copenssl_has_peer_certificate(self.session) else { return [] }
        var all: [[UInt8]] = []
        var room = [UInt8](repeating: 0, count: 16_384)
        while all.count < 16 {
            let count = copenssl_peer_certificate(self.session, all.count, &room, room.count)
            guard count > 0 else { break }
            all.append(Array(room[..<count]))
        }
        return all
    }

    /// The most that the next record shall carry.
    func recordSize() -> Int {
        if self.memory.now &- self.lastWrite >= Self.pause { self.sentInARow = 0 }
        return self.sentInARow < Self.smallRecords ? Self.smallRecord : TLSMemory.recordSize
    }

    /// Writes one record behind those that are there; false: the session is broken.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        self.lastWrite = self.memory.now
        if self.sentInARow < Self.smallRecords { self.sentInARow += bytes.count }
        return copenssl_write(self.session, bytes.baseAddress, bytes.count)
    }
}

/// What is agreed on, once the handshake is over.
package struct TLSFacts: Sendable, Equatable {
    package var version: TLSProtocolVersion
    package var isResumed: Bool
    package var isHTTP2: Bool

    package enum TLSProtocolVersion: Int, Sendable, CaseIterable {
        case v12, v13
        package var name: StaticString { self == .v13 ? "TLSv1.3" : "TLSv1.2" }
    }
}
