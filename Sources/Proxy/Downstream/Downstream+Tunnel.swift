import Glibc
import HTTPWire
import Reactor
import Traffic

/// After a 101 that was asked for: bytes both ways, each side's end passed on by itself.
extension Downstream {
    private static let readsPerEvent = 8

    func switchProtocols(
        _ head: ResponseHead, in bytes: UnsafeMutableRawBufferPointer, over connection: UpstreamConnection
    ) {
        guard self.exchange.upgrades, head.hasUpgrade, self.exchange.requestComplete, self.wasAskedFor(bytes) else {
            self.badGateway(.unexpectedUpgrade)
            return
        }
        self.exchange.responseStarted = true
        self.exchange.status = 101
        self.exchange.attempt = .responding
        var writer = ByteWriter(self.core.headScratch)
        let span = UnsafeRawBufferPointer(bytes).bindMemory(to: UInt8.self).span
        ResponseRewriter.write(
            head, fields: self.core.fields, source: span, framing: .none, persistence: .implicit, upgrade: true,
            edits: self.exchange.route?.responseEdits ?? .none, into: &writer)
        self.state = .tunnel
        self.exchange.tunnelledAt = self.core.nowMicroseconds
        self.core.tunnels += 1
        self.closeAfter = true
        self.core.pieces[0] = iovec(iov_base: self.core.headScratch.baseAddress, iov_len: writer.count)
        var count = 1
        let early = bytes.count - head.length
        if early > 0, let base = bytes.baseAddress {
            self.core.pieces[1] = iovec(iov_base: base + head.length, iov_len: early)
            count = 2
            self.exchange.responseBytes &+= UInt64(early)
        }
        self.write(pieces: count)
        // What the client sent behind its request, trusting in the upgrade.
        if !self.inbound.isEmpty {
            self.core.scratch.copyMemory(from: self.inbound.bytes)
            let held = self.inbound.count
            self.inbound.clear(pool: &self.core.buffers)
            self.core.pieces[0] = iovec(iov_base: self.core.scratch.baseAddress, iov_len: held)
            connection.write(pieces: 1)
        }
        self.armTunnel()
    }

    /// Whether the 101 at the start of `bytes`, whose fields were parsed last, names one protocol, and that one is the
    /// client's wish.
    private func wasAskedFor(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        let answer = UnsafeRawBufferPointer(bytes).bindMemory(to: UInt8.self).span
        let wish = self.exchange.kept.bytes.bindMemory(to: UInt8.self).span
        var answered: ByteRange?
        for index in 0..<self.core.fields.count where self.core.fields[index].id == .upgrade {
            guard answered == nil else { return false }
            answered = self.core.fields[index].value
        }
        guard let answered, !answered.isEmpty else { return false }
        let chosen = UpgradeList.name(of: answered, in: answer)
        var wishes = UpgradeList(self.exchange.upgrade)
        while let next = wishes.next(in: wish) {
            if Self.areEqual(UpgradeList.name(of: next, in: wish), wish, chosen, answer) { return true }
        }
        return false
    }

    private static func areEqual(
        _ first: ByteRange, _ firstBytes: borrowing Span<UInt8>, _ second: ByteRange,
        _ secondBytes: borrowing Span<UInt8>
    ) -> Bool {
        guard first.count == second.count else { return false }
        for offset in 0..<first.count
        where ASCII.lowercased(firstBytes[Int(first.lower) + offset])
            != ASCII.lowercased(secondBytes[Int(second.lower) + offset])
        {
            return false
        }
        return true
    }

    private func armTunnel() {
        self.exchange.deadline = self.core.now + UInt64(self.exchange.route?.timeouts.tunnelIdle ?? 3_600_000)
        self.arm(at: self.exchange.deadline)
    }

    func tunnelExpired() {
        if self.core.now >= self.exchange.deadline {
            self.endTunnel(reset: false)
        } else {
            self.arm(at: self.exchange.deadline)
        }
    }

    func pumpTunnel() {
        guard self.state == .tunnel, let connection = self.upstream else { return }
        var reads = 0
        var progressed = false
        while self.state == .tunnel, reads < Self.readsPerEvent {
            let up = self.readable && !self.tunnelInputEnded && connection.outbound.isEmpty
            let down = connection.readable && !self.tunnelOutputEnded && self.outbound.isEmpty
            guard up || down else { break }
            if up { progressed = self.moveUp(connection) || progressed }
            if down, self.state == .tunnel { progressed = self.moveDown(connection) || progressed }
            reads += 1
        }
        guard self.state == .tunnel else { return }
        if connection.writeBroken || self.broken {
            self.endTunnel(reset: true)
            return
        }
        if self.tunnelInputEnded, self.tunnelOutputEnded, self.outbound.isEmpty, connection.outbound.isEmpty {
            self.endTunnel(reset: false)
            return
        }
        if self.tunnelInputEnded, connection.outbound.isEmpty { connection.socket.shutdownWrite() }
        if progressed { self.armTunnel() }
        if reads == Self.readsPerEvent { self.core.makeRunnable(self) }
    }

    private func moveUp(_ connection: UpstreamConnection) -> Bool {
        let scratch = self.core.scratch
        switch self.socket.receive(into: scratch) {
        case .bytes(let count):
            if count < scratch.count, !self.peerClosing { self.readable = false }
            self.exchange.requestBytes &+= UInt64(count)
            self.core.pieces[0] = iovec(iov_base: scratch.baseAddress, iov_len: count)
            connection.write(pieces: 1)
            return true
        case .wouldBlock: self.readable = false
        case .end:
            self.readable = false
            self.tunnelInputEnded = true
            if connection.outbound.isEmpty { connection.socket.shutdownWrite() }
        case .failed: self.endTunnel(reset: true)
        }
        return false
    }

    private func moveDown(_ connection: UpstreamConnection) -> Bool {
        let scratch = self.core.scratch
        switch connection.socket.receive(into: scratch) {
        case .bytes(let count):
            if count < scratch.count, !connection.peerClosing { connection.readable = false }
            self.exchange.responseBytes &+= UInt64(count)
            self.core.pieces[0] = iovec(iov_base: scratch.baseAddress, iov_len: count)
            self.write(pieces: 1)
            return true
        case .wouldBlock: connection.readable = false
        case .end:
            connection.readable = false
            self.tunnelOutputEnded = true
            if self.outbound.isEmpty { self.socket.shutdownWrite() }
        case .failed: self.endTunnel(reset: true)
        }
        return false
    }

    private func endTunnel(reset: Bool) {
        guard self.state == .tunnel else { return }
        if reset {
            self.upstream?.socket.reset()
            self.socket.reset()
        }
        self.finishTunnel()
        self.close()
    }

    /// Records the exchange that became a tunnel; the connection is closed by the caller.
    func finishTunnel() {
        guard self.state == .tunnel else { return }
        self.core.tunnels -= 1
        self.detachUpstream(reusable: false)
        self.reportOutcome(.success)
        self.state = .exchange
        self.broken = true
        self.finishExchange()
    }
}
