import Glibc
import Traffic

/// The byte side of one connection: a socket, what the kernel would not take yet, and what is known of both directions.
///
/// Plain TCP; another kind of transport differs in here and nowhere else. A trivial shell: it decides nothing about
/// messages. Its holder calls `close` before dropping it, so that its memory goes back to the pool.
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
    /// Output that the kernel would not take yet.
    package private(set) var unsent = ByteQueue()
    /// A read may say something: bytes, an end or an error.
    package private(set) var isReadable = false
    /// The peer has sent its FIN, or both directions ended: a short read proves nothing any more.
    package private(set) var isPeerClosing = false
    /// A write has failed.
    package private(set) var isBroken = false

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

    // MARK: in

    /// Reads once. `isReadable` afterwards says whether another read can say more at once.
    @inline(__always)
    package mutating func read(into room: UnsafeMutableRawBufferPointer) -> Inflow {
        switch self.socket.receive(into: room) {
        case .bytes(let count):
            // Edge-triggered: what comes after a short read is reported by a new event.
            if count < room.count, !self.isPeerClosing { self.isReadable = false }
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
        switch self.socket.peek(into: room) {
        case .bytes(let count):
            // Edge-triggered: what comes later is reported by a new event, whatever has been left.
            if count < room.count, !self.isPeerClosing { self.isReadable = false }
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
    package borrowing func isQuiet() -> Bool { self.socket.isQuiet() }

    // MARK: out

    /// Sends the pieces and keeps what the kernel does not take. The pieces are the caller's again afterwards.
    @inline(__always)
    package mutating func write(_ pieces: UnsafeMutableBufferPointer<iovec>, pool: inout BufferPool) -> Flow {
        guard !self.isBroken else { return .gone }
        var total = 0
        for piece in pieces { total += piece.iov_len }
        guard total > 0 else { return self.isClear ? .clear : .waits }
        var sent = 0
        if self.unsent.isEmpty {
            let result =
                pieces.count == 1
                ? self.socket.send(UnsafeRawBufferPointer(start: pieces[0].iov_base, count: pieces[0].iov_len))
                : self.socket.send(pieces: pieces)
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
        return (.clear, moved)
    }

    /// Bytes sent that the peer's kernel has not acknowledged yet.
    package borrowing func unacknowledged() -> Int { self.socket.unacknowledged() }

    // MARK: ends

    /// Ends our sending direction: the peer reads a clean end.
    package borrowing func finishWriting() { self.socket.shutdownWrite() }

    /// Closes so that the peer sees a reset, never a clean end.
    package mutating func cut(pool: inout BufferPool) {
        self.unsent.clear(pool: &pool)
        self.isReadable = false
        self.isBroken = true
        self.socket.reset()
    }

    package mutating func close(pool: inout BufferPool) {
        self.unsent.clear(pool: &pool)
        self.isReadable = false
        self.isBroken = true
        self.socket.close()
    }

    /// The pending error of the socket, 0 if none: how a dial ended.
    package borrowing func takeError() -> Int32 { self.socket.takeError() }
}
