import COpenSSL
import Glibc
import Traffic

/// The byte side of one connection: a socket, what the kernel would not take yet, and what is known of both directions.
///
/// Plain TCP and TLS differ in here and nowhere else. A trivial shell: it decides nothing about messages. Its holder calls
/// `close` before dropping it, so that its memory goes back to the pool.
///
/// TLS: one `recv` fills the loop's shared memory, and the library reads its records there; all that a write makes leaves with
/// one `send`. `unsent` always holds what the kernel gets, so finished records: the library never has to write again, and
/// `isClear` stays the only fact about back-pressure.
package struct Channel: ~Copyable {
    /// What a read came to.
    package enum Inflow {
        case bytes(Int)
        /// Nothing is there now; readiness will tell when there is.
        case dry
        /// The peer has finished sending.
        case ended
        /// An errno value.
        case failed(Int32)
    }

    /// Where a write left the connection.
    package enum Flow {
        /// The kernel has it all.
        case clear
        /// Some of it waits in `unsent`.
        case waits
        /// Nothing can be written any more.
        case gone
    }

    private var socket: Socket
    /// nil: plain.
    private var tls: Unmanaged<TLSSession>?
    /// Output that the kernel would not take yet.
    package private(set) var unsent = ByteQueue()
    /// A read may say something: bytes, an end or an error.
    package private(set) var isReadable = false
    /// The peer has sent its FIN, or both directions ended: a short read proves nothing any more.
    package private(set) var isPeerClosing = false
    /// A write has failed.
    package private(set) var isBroken = false
    /// Our end goes out behind what waits in `unsent`.
    private var endsWhenFlushed = false
    /// The kernel may still keep what was written last, for what follows it.
    private var isHeldBack = false

    package init(_ socket: consuming Socket) {
        self.socket = socket
    }

    /// Nothing waits for the kernel.
    @inlinable package var isClear: Bool { self.unsent.isEmpty }

    /// Registers both directions with a loop, edge-triggered.
    package borrowing func register(with loop: EventLoop, token: UInt64) throws(SystemError) {
        try self.socket.register(with: loop, token: token)
    }

    @inline(__always)
    package mutating func note(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: .anyInput) { self.isReadable = true }
        if !readiness.isDisjoint(with: .closing) { self.isPeerClosing = true }
    }

    /// The kernel takes so many bytes more than it has sent.
    package borrowing func limitUnsent(_ bytes: Int32) { self.socket.limitUnsent(bytes) }

    // MARK: in

    /// Reads once. `isReadable` afterwards says whether another read can say more at once.
    @inline(__always)
    package mutating func read(into room: UnsafeMutableRawBufferPointer, pool: inout BufferPool) -> Inflow {
        if let tls { return self.read(into: room, tls.takeUnretainedValue(), pool: &pool) }
        return self.note(self.socket.receive(into: room), room.count)
    }

    /// What a look at the socket tells of it.
    @inline(__always)
    private mutating func note(_ result: IOResult, _ room: Int) -> Inflow {
        switch result {
        case .bytes(let count):
            // Edge-triggered: what comes after a short read is reported by a new event.
            if count < room, !self.isPeerClosing { self.isReadable = false }
            return .bytes(count)
        case .wouldBlock:
            self.isReadable = false
            return .dry
        case .end:
            self.isReadable = false
            return .ended
        case .failed(let code):
            self.isReadable = false
            return .failed(code)
        }
    }

    /// What has come, left where it is; for what must not be read beyond its end. `isReadable` afterwards: the peer has ended, or
    /// there is more than `room` takes.
    package mutating func peek(into room: UnsafeMutableRawBufferPointer) -> Inflow {
        self.note(self.socket.peek(into: room), room.count)
    }

    /// Drops bytes that `peek` has shown; false if they cannot be had any more. `scratch` is overwritten.
    package mutating func skip(_ count: Int, scratch: UnsafeMutableRawBufferPointer) -> Bool {
        var left = count
        while left > 0 {
            let room = UnsafeMutableRawBufferPointer(rebasing: scratch[0..<min(left, scratch.count)])
            guard case .bytes(let read) = self.socket.receive(into: room) else { return false }
            left -= read
        }
        // There may be more behind them of which no event will tell.
        self.isReadable = true
        return true
    }

    /// The connection, for another holder. What is left here is closed.
    package mutating func take() -> Channel {
        var taken = Channel(Socket(owning: -1))
        swap(&self, &taken)
        return taken
    }

    /// The other end's address, and ours; nil once the connection is gone.
    package borrowing func addresses() -> (peer: SocketAddress, own: SocketAddress)? {
        guard let peer = self.socket.peerAddress(), let own = self.socket.boundAddress() else { return nil }
        return (peer, own)
    }

    /// Whether the connection, idle until now, is untouched: nothing to read, and not ended.
    package borrowing func isQuiet() -> Bool {
        if let tls {
            let session = tls.takeUnretainedValue()
            guard !session.hasPart else { return false }
        }
        return self.socket.isQuiet()
    }

    // MARK: out

    /// Sends the pieces and keeps what the kernel does not take. The pieces are the caller's again afterwards. `isLast`: our end
    /// follows at once, and leaves in the same segment.
    @inline(__always)
    package mutating func write(
        _ pieces: UnsafeMutableBufferPointer<iovec>, isLast: Bool = false, pool: inout BufferPool
    ) -> Flow {
        guard !self.isBroken else { return .gone }
        var total = 0
        for piece in pieces { total += piece.iov_len }
        guard total > 0 else { return self.isClear ? .clear : .waits }
        self.isHeldBack = isLast
        if let tls { return self.write(pieces, total, tls.takeUnretainedValue(), pool: &pool) }
        var sent = 0
        if self.unsent.isEmpty {
            let result =
                pieces.count == 1
                ? self.socket.send(
                    UnsafeRawBufferPointer(start: pieces[0].iov_base, count: pieces[0].iov_len), waits: isLast)
                : self.socket.send(pieces: pieces, waits: isLast)
            switch result {
            case .bytes(let count): sent = count
            case .wouldBlock, .end: break
            case .failed:
                self.isBroken = true
                return .gone
            }
            if sent == total { return .clear }
        }
        self.keep(pieces, skipping: sent, pool: &pool)
        return .waits
    }

    private mutating func keep(
        _ pieces: UnsafeMutableBufferPointer<iovec>, skipping sent: Int, pool: inout BufferPool
    ) {
        var skip = sent
        for piece in pieces {
            if skip >= piece.iov_len {
                skip -= piece.iov_len
                continue
            }
            let rest = UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len).dropFirst(skip)
            self.unsent.append(UnsafeRawBufferPointer(rebasing: rest), pool: &pool)
            skip = 0
        }
    }

    /// Sends what waits. `moved` is how many bytes the kernel took.
    package mutating func flush(pool: inout BufferPool) -> (flow: Flow, moved: Int) {
        var moved = 0
        while !self.unsent.isEmpty {
            switch self.socket.send(self.unsent.bytes) {
            case .bytes(let count):
                moved += count
                self.unsent.consume(count, pool: &pool)
            case .wouldBlock, .end: return (.waits, moved)
            case .failed:
                self.isBroken = true
                self.unsent.clear(pool: &pool)
                return (.gone, moved)
            }
        }
        if self.endsWhenFlushed {
            self.endsWhenFlushed = false
            self.socket.shutdownWrite()
        }
        return (.clear, moved)
    }

    /// Bytes sent that the peer's kernel has not acknowledged yet.
    package borrowing func unacknowledged() -> Int { self.socket.unacknowledged() }

    // MARK: ends

    /// Ends our sending direction: the peer reads a clean end.
    package mutating func finishWriting(pool: inout BufferPool) {
        if let tls, !self.isBroken {
            // The end of the socket takes it along.
            self.isHeldBack = true
            self.sayEnd(tls.takeUnretainedValue(), pool: &pool)
            if !self.unsent.isEmpty {
                self.endsWhenFlushed = true
                return
            }
        }
        self.isHeldBack = false
        self.socket.shutdownWrite()
    }

    /// Closes so that the peer sees a reset, never a clean end.
    package mutating func cut(pool: inout BufferPool) {
        self.unsent.clear(pool: &pool)
        self.isReadable = false
        self.isBroken = true
        self.socket.reset()
        self.endTLS()
    }

    package mutating func close(pool: inout BufferPool) {
        // What waits is lost with the connection: then there is no clean end to speak of.
        if !self.isBroken, self.unsent.isEmpty, self.socket.isOpen {
            let isHeldBack = self.isHeldBack
            self.isHeldBack = false
            if let tls { self.sayEnd(tls.takeUnretainedValue(), pool: &pool) }
            // A close over bytes that nobody has read would reset away what the kernel has not sent.
            if isHeldBack { self.socket.shutdownWrite() }
        }
        self.unsent.clear(pool: &pool)
        self.isReadable = false
        self.isBroken = true
        self.socket.close()
        self.endTLS()
    }

    /// The pending error of the socket, 0 if none: how a dial ended.
    package borrowing func takeError() -> Int32 { self.socket.takeError() }
}

// MARK: TLS

extension Channel {
    package enum Handshake {
        case done(TLSFacts)
        /// More must come from the peer. If `isReadable`, it has come already.
        case waits
        case failed(TLSFailure)
    }

    package var isTLS: Bool { self.tls != nil }

    /// Speaks TLS from here on, as the server; `shake` begins. False: no memory.
    package mutating func beginTLS(_ server: TLSServer, memory: TLSMemory) -> Bool {
        guard let session = server.accept(memory) else { return false }
        self.tls = Unmanaged.passRetained(TLSSession(session, memory: memory, server: server))
        return true
    }

    /// Speaks TLS from here on, as the client; `shake` begins. `name` is asked for and demanded of the certificate; an address
    /// is only demanded. False: no memory, or the name cannot be one.
    package mutating func beginTLS(
        _ client: TLSClient, memory: TLSMemory, name: String, isAddress: Bool, ticket: TLSTicket?,
        offers: ProtocolOffer = .nothing
    ) -> Bool {
        guard let session = client.connect(memory, to: name, isAddress: isAddress, offers: offers) else {
            return false
        }
        if let ticket { ticket.offer(to: session) }
        self.tls = Unmanaged.passRetained(TLSSession(session, memory: memory, client: client))
        return true
    }

    /// Drops the session: what follows is plain.
    package mutating func endTLS() {
        self.tls?.release()
        self.tls = nil
    }

    /// Goes on with the handshake: reads at most once.
    package mutating func shake(pool: inout BufferPool) -> Handshake {
        guard let session = self.tls?.takeUnretainedValue() else { return .failed(TLSFailure(.protocol, "no session")) }
        let room = UnsafeMutableRawBufferPointer(rebasing: session.memory.input[..<65_536])
        let count: Int
        switch self.receive(into: room, session) {
        case .bytes(let received): count = received
        case .dry, .ended: count = 0
        case .failed: return .failed(TLSFailure(.closed, "the connection broke"))
        }
        session.enter(self.records(room, count, session))
        let result = session.handshake()
        // Before the next call forgets it.
        let failure =
            result == COPENSSL_DONE || result == COPENSSL_WANTS ? nil : TLSFailure(of: session.session)
        self.keepRecords(session.leave(), room, count, session)
        // What is written behind the peer's last word (tickets, or a client's own last word) nobody awaits: it goes with the first
        // message.
        self.isHeldBack = result == COPENSSL_DONE && session.isOverWithPeer
        self.sendRecords(session.memory, pool: &pool)
        if let failure {
            self.isReadable = false
            return .failed(session.hasEnded && failure.kind == .protocol ? TLSFailure(.closed, failure.text) : failure)
        }
        guard result == COPENSSL_DONE else {
            return session.hasEnded ? .failed(TLSFailure(.closed, "the peer has closed")) : .waits
        }
        if !session.held.isEmpty || session.pending > 0 { self.isReadable = true }
        let facts = session.facts
        if facts.isResumed, session.isPeerOver {
            return .failed(TLSFailure(.clientCertificate, "the certificate of the resumed session has ended"))
        }
        return .done(facts)
    }

    /// Whether an idle connection has had nothing but what belongs to TLS itself (tickets, key updates), which is taken in.
    /// False: bytes, an end or an error have come.
    package mutating func settle(pool: inout BufferPool) -> Bool {
        guard let session = self.tls?.takeUnretainedValue(), !self.isPeerClosing else { return false }
        self.isReadable = true
        for _ in 0..<16 {
            guard case .dry = self.read(into: session.memory.joined, pool: &pool) else { return false }
            if !self.isReadable { return self.isClear && !session.hasPart }
        }
        return false
    }

    /// Part of a record has come, or bytes that no read has given yet.
    package var hasPart: Bool { self.tls?.takeUnretainedValue().hasPart ?? false }

    /// A ticket that the endpoint gave, for the next connection to it; nil: none.
    package borrowing func takeTicket() -> TLSTicket? {
        guard let session = self.tls?.takeUnretainedValue() else { return nil }
        return session.takeTicket()
    }

    /// The peer renewed its keys more often than it may: nothing more of it is read.
    package var hasTooManyKeyUpdates: Bool { self.tls?.takeUnretainedValue().hasTooManyKeyUpdates ?? false }

    /// What is agreed on; nil: plain.
    package borrowing func tlsFacts() -> TLSFacts? { self.tls?.takeUnretainedValue().facts }

    /// The cipher suite by its registered name, which is the library's for ever; empty: none.
    package borrowing func cipherName() -> UnsafeRawBufferPointer {
        self.tls?.takeUnretainedValue().cipher ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// The name that the client asked for, as long as the connection lives; empty: none.
    package borrowing func serverName() -> UnsafeRawBufferPointer {
        self.tls?.takeUnretainedValue().serverName ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// The certificate that the peer has shown and those behind it, in DER, the leaf first; empty: none.
    package borrowing func peerCertificates() -> [[UInt8]] {
        self.tls?.takeUnretainedValue().peerCertificates() ?? []
    }

    /// Reads once from the socket, unless records or plain bytes wait already.
    private mutating func receive(into room: UnsafeMutableRawBufferPointer, _ session: TLSSession) -> Inflow {
        guard session.held.isEmpty, session.pending == 0, !session.hasEnded, self.isReadable else { return .dry }
        let inflow = self.note(self.socket.receive(into: room), room.count)
        if case .ended = inflow { session.hasEnded = true }
        return inflow
    }

    private func records(
        _ room: UnsafeMutableRawBufferPointer, _ count: Int, _ session: TLSSession
    ) -> UnsafeRawBufferPointer {
        session.held.isEmpty ? UnsafeRawBufferPointer(rebasing: room[..<count]) : session.held.bytes
    }

    /// Keeps the `left` bytes of the records that the library did not take.
    private func keepRecords(_ left: Int, _ room: UnsafeMutableRawBufferPointer, _ count: Int, _ session: TLSSession) {
        if !session.held.isEmpty {
            session.held.consume(session.held.count - left, pool: &session.memory.pool)
        } else if left > 0 {
            session.held.append(
                UnsafeRawBufferPointer(rebasing: room[(count - left)..<count]), pool: &session.memory.pool)
        }
    }

    @inline(never)
    private mutating func read(
        into room: UnsafeMutableRawBufferPointer, _ session: TLSSession, pool: inout BufferPool
    ) -> Inflow {
        guard !session.isClosed, !session.isFailed else {
            self.isReadable = false
            return session.isClosed ? .ended : .failed(EPROTO)
        }
        let memory = session.memory
        // Plain bytes are never more than their records.
        let landing = UnsafeMutableRawBufferPointer(rebasing: memory.input[..<min(room.count, memory.input.count)])
        let count: Int
        switch self.receive(into: landing, session) {
        case .bytes(let received): count = received
        case .dry, .ended: count = 0
        case .failed(let code): return .failed(code)
        }
        session.enter(self.records(landing, count, session))
        var got = 0
        let result = copenssl_read(session.session, room.baseAddress, room.count, &got)
        self.keepRecords(session.leave(), landing, count, session)
        if !memory.written.isEmpty { self.sendRecords(memory, pool: &pool) }
        switch result {
        case COPENSSL_CLOSED: session.isClosed = true
        case COPENSSL_DONE, COPENSSL_WANTS: break
        default:
            self.isReadable = false
            // Without a word of the peer's that nothing follows, an end is no end: bytes may be missing.
            if got == 0 { return .failed(session.hasEnded ? ECONNRESET : EPROTO) }
            session.isFailed = true
        }
        if session.isFailed {
            self.isReadable = got > 0
            return got > 0 ? .bytes(got) : .failed(EPROTO)
        }
        if session.isClosed || session.pending > 0 || !session.held.isEmpty { self.isReadable = true }
        if got > 0 { return .bytes(got) }
        if session.isClosed {
            self.isReadable = false
            return .ended
        }
        return .dry
    }

    @inline(never)
    private mutating func write(
        _ pieces: UnsafeMutableBufferPointer<iovec>, _ total: Int, _ session: TLSSession, pool: inout BufferPool
    ) -> Flow {
        let memory = session.memory
        session.enter(UnsafeRawBufferPointer(start: nil, count: 0))
        var isGood = true
        if pieces.count > 1, total <= memory.joined.count {
            var end = 0
            for piece in pieces where piece.iov_len > 0 {
                UnsafeMutableRawBufferPointer(rebasing: memory.joined[end...])
                    .copyMemory(from: UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len))
                end += piece.iov_len
            }
            isGood = self.write(UnsafeRawBufferPointer(rebasing: memory.joined[..<end]), session, pool: &pool)
        } else {
            for piece in pieces where isGood {
                isGood = self.write(
                    UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len), session, pool: &pool)
            }
        }
        // What nothing follows says so in the same write.
        if isGood, self.isHeldBack { session.sayEnd() }
        _ = session.leave()
        self.sendRecords(memory, pool: &pool)
        guard isGood, !self.isBroken else {
            self.isBroken = true
            return .gone
        }
        return self.unsent.isEmpty ? .clear : .waits
    }

    private mutating func write(
        _ bytes: UnsafeRawBufferPointer, _ session: TLSSession, pool: inout BufferPool
    ) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let end = min(bytes.count, offset + session.recordSize())
            guard session.write(UnsafeRawBufferPointer(rebasing: bytes[offset..<end])) else { return false }
            offset = end
            if session.memory.isNearlyFull { self.sendRecords(session.memory, pool: &pool) }
        }
        return true
    }

    /// Sends the records that were written; what the kernel does not take waits.
    private mutating func sendRecords(_ memory: TLSMemory, pool: inout BufferPool) {
        let written = memory.written
        memory.forgetWritten()
        guard !written.isEmpty, !self.isBroken else { return }
        var sent = 0
        if self.unsent.isEmpty {
            switch self.socket.send(written, waits: self.isHeldBack) {
            case .bytes(let count): sent = count
            case .wouldBlock, .end: break
            case .failed:
                self.isBroken = true
                return
            }
        }
        if sent < written.count {
            self.unsent.append(UnsafeRawBufferPointer(rebasing: written[sent...]), pool: &pool)
        }
    }

    private mutating func sayEnd(_ session: TLSSession, pool: inout BufferPool) {
        guard session.isEstablished, !session.isFailed, !session.hasSaidEnd else { return }
        session.enter(UnsafeRawBufferPointer(start: nil, count: 0))
        session.sayEnd()
        _ = session.leave()
        self.sendRecords(session.memory, pool: &pool)
    }
}
