import Glibc
import HTTPWire
import Reactor
import Traffic

extension Downstream {
    /// A head is read at most this much at a time; what comes behind the request waits in memory, so this bounds it.
    private static let headRead = 65_536

    /// Reads towards a head.
    func readHead() {
        let held = self.inbound.count
        let scratch = self.core.scratch
        if held > 0 { scratch.copyMemory(from: self.inbound.bytes) }
        let room = UnsafeMutableRawBufferPointer(rebasing: scratch[held..<min(scratch.count, held + Self.headRead)])
        switch self.socket.receive(into: room) {
        case .bytes(let count):
            if count < room.count, !self.peerClosing { self.readable = false }
            self.inbound.clear(pool: &self.core.buffers)
            self.process(UnsafeMutableRawBufferPointer(rebasing: scratch[0..<held + count]), scanned: held)
        case .wouldBlock: self.readable = false
        case .end:
            self.inputEnded = true
            self.readable = false
            // Half a request, or none: nobody waits for an answer.
            self.close()
        case .failed: self.close()
        }
    }

    /// Goes on with what was read behind the last request.
    func processInbound() {
        let scratch = self.core.scratch
        let count = self.inbound.count
        scratch.copyMemory(from: self.inbound.bytes)
        self.inbound.clear(pool: &self.core.buffers)
        self.process(UnsafeMutableRawBufferPointer(rebasing: scratch[0..<count]), scanned: 0)
    }

    /// Parses and begins requests from `bytes` (in the worker's scratch) until one has to wait or the bytes end. What is
    /// left goes back to `inbound`.
    private func process(_ bytes: UnsafeMutableRawBufferPointer, scanned: Int) {
        var offset = 0
        if self.state == .head, scanned > 0 {
            let span = UnsafeRawBufferPointer(bytes).bindMemory(to: UInt8.self).span
            if !HeadParser.mayBeComplete(span, scanned: scanned, limits: self.core.runtime.headLimits) {
                self.inbound.append(UnsafeRawBufferPointer(bytes), pool: &self.core.buffers)
                return
            }
        }
        while offset < bytes.count, self.state == .idle || self.state == .head, self.outbound.isEmpty, !self.closeAfter
        {
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            let span = UnsafeRawBufferPointer(rest).bindMemory(to: UInt8.self).span
            do throws(HeadError) {
                guard
                    let head = try HeadParser.request(
                        span, limits: self.core.runtime.headLimits, fields: &self.core.fields)
                else {
                    self.expectMoreOfHead()
                    break
                }
                offset += self.begin(head, in: rest)
            } catch {
                self.reject(error)
                return
            }
        }
        // Behind the last request of a connection nothing is kept, but that request's own body is.
        let bodyAwaited = self.state == .exchange && !self.exchange.requestComplete
        if offset < bytes.count, self.state != .closed, self.state != .lingering, !self.closeAfter || bodyAwaited {
            self.inbound.append(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[offset...]), pool: &self.core.buffers)
        }
    }

    private func expectMoreOfHead() {
        guard self.state != .head else { return }
        self.state = .head
        self.requestStartedAt = self.core.now
        // From the first byte, and never moved: one byte a second buys no time.
        self.arm(at: self.core.now + UInt64(self.core.runtime.table.spec.timeouts.requestHeader))
    }

    /// Whether body bytes may be read now: there is somewhere to put them.
    var canTakeBody: Bool {
        guard !self.exchange.requestComplete, let upstream, !upstream.writeBroken else { return false }
        switch self.exchange.attempt {
        case .awaiting, .responding: return upstream.outbound.isEmpty
        case .none, .queued, .connecting, .flushing: return false
        }
    }

    /// Reads body bytes and passes them on. False when it must not go on at once.
    func readBody() -> Bool {
        let scratch = self.core.scratch
        // Part of a chunk's frame may wait for the rest of it.
        let held = self.inbound.count
        if held > 0 { scratch.copyMemory(from: self.inbound.bytes) }
        let room = UnsafeMutableRawBufferPointer(rebasing: scratch[held...])
        switch self.socket.receive(into: room) {
        case .bytes(let received):
            if received < room.count, !self.peerClosing { self.readable = false }
            self.inbound.clear(pool: &self.core.buffers)
            let count = held + received
            let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch[0..<count])
            self.exchange.bodyDeadline =
                self.core.now + UInt64(self.exchange.route?.timeouts.requestBodyIdle ?? 30_000)
            let consumed = self.forwardBody(bytes, prefix: 0)
            if consumed < count, self.state == .exchange || self.state == .idle {
                self.inbound.append(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[consumed...]),
                    pool: &self.core.buffers)
            }
            if self.readable, self.state == .exchange { self.core.makeRunnable(self) }
            return false
        case .wouldBlock:
            self.readable = false
            return false
        case .end, .failed:
            // The body was cut: nobody may take it for whole.
            self.inputEnded = true
            self.abandonExchange(.clientClosed)
            self.close()
            return false
        }
    }
}
