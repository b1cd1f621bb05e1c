import HTTPWire
import Reactor
import Traffic

/// The client's bytes on their way in: heads, then bodies.
extension HTTP1Client {
    func readHead(_ budget: inout Int) {
        if self.inbound.isEmpty {
            let room = UnsafeMutableRawBufferPointer(rebasing: self.core.memory.input[0..<Self.headRead])
            switch self.channel.read(into: room, pool: &self.core.buffers) {
            case .bytes(let count):
                let bytes = UnsafeMutableRawBufferPointer(rebasing: room[0..<count])
                let used = self.parse(bytes, &budget)
                if used < count { self.keep(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[used...])) }
            case .dry: break
            case .ended, .failed: self.close()
            }
            return
        }
        // Behind what is there, so that bytes which come one at a time are moved once.
        let room = self.inbound.room(atLeast: Self.headRoom, pool: &self.core.buffers)
        switch self.channel.read(
            into: UnsafeMutableRawBufferPointer(rebasing: room.prefix(Self.headRead)), pool: &self.core.buffers)
        {
        case .bytes(let count):
            self.inbound.commit(count)
            self.parseHeld(&budget)
        case .dry: break
        case .ended, .failed:
            // Half a request: there is no one to answer.
            self.close()
        }
    }

    func parseHeld(_ budget: inout Int) {
        self.hasUntried = false
        self.isParsing = true
        let used = self.parse(self.inbound.mutableBytes, &budget)
        self.isParsing = false
        switch self.state {
        case .closing, .lingering, .closed: self.inbound.clear(pool: &self.core.buffers)
        case .serving where self.isLast && self.reader.isEnded: self.inbound.clear(pool: &self.core.buffers)
        case .idle, .head, .serving:
            if used > 0 { self.inbound.consume(used, pool: &self.core.buffers) }
            if self.state == .serving, !self.inbound.isEmpty { self.hasUntried = true }
        }
    }

    /// Keeps what stands behind the bytes that were used. Behind the last request of a connection nothing is kept, but
    /// that request's own body is.
    private func keep(_ bytes: UnsafeRawBufferPointer) {
        switch self.state {
        case .closing, .lingering, .closed: return
        case .serving:
            if self.isLast, self.reader.isEnded { return }
            self.hasUntried = true
        case .idle, .head: break
        }
        self.inbound.append(bytes, pool: &self.core.buffers)
    }

    /// Begins the requests that stand in `bytes` until one has to wait or the bytes end. Answers how many were used.
    private func parse(_ bytes: UnsafeMutableRawBufferPointer, _ budget: inout Int) -> Int {
        var offset = 0
        let limits = self.core.headLimits
        while offset < bytes.count, self.state == .idle || self.state == .head, self.channel.isClear, !self.isLast {
            guard budget > 0 else {
                self.hasUntried = true
                break
            }
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            let span = UnsafeRawBufferPointer(rest).bindMemory(to: UInt8.self).span
            if self.state == .idle {
                // An empty line before a request is no request (RFC 9112 2.2): the connection stays idle.
                let empty = HeadParser.leadingEmptyLine(span)
                if empty == 1 { break }
                if empty > 0 {
                    offset += empty
                    continue
                }
            } else if !self.scan.mayBeComplete(span, limits: limits) {
                break
            }
            do throws(HeadError) {
                guard let head = try HeadParser.request(span, limits: limits, fields: &self.core.memory.fields) else {
                    self.expectMoreOfHead(span, limits)
                    break
                }
                budget -= 1
                offset += self.open(head, in: rest)
            } catch {
                self.reject(status: error.status, word: "bad-request", detail: error.reason)
                return bytes.count
            }
        }
        return offset
    }

    private func expectMoreOfHead(_ bytes: borrowing Span<UInt8>, _ limits: HeadLimits) {
        guard self.state != .head else { return }
        self.state = .head
        self.scan = HeadScan()
        _ = self.scan.mayBeComplete(bytes, limits: limits)
        // From the first byte, and never moved: one byte a second buys no time.
        self.arm(at: self.core.now + UInt64(self.timeouts.requestHeader))
    }

    /// Opens an exchange for the head at the start of `bytes`. Answers how many bytes were used.
    private func open(_ head: RequestHead, in bytes: UnsafeMutableRawBufferPointer) -> Int {
        self.state = .serving
        self.isLast = !head.persistent
        self.minorVersion = head.minorVersion
        self.wishesUpgrade = head.wantsUpgrade
        self.reader = BodyReader(head.framing, extensionLimit: 0, trailerLimit: 0)
        let exchange = self.core.openExchange()
        self.exchange = exchange
        guard head.wantsUpgrade else { return exchange.with { self.serve(head, in: bytes, by: $0) } }
        self.bytesBehind = UInt32(clamping: bytes.count - head.length)
        defer { self.bytesBehind = nil }
        return exchange.with { self.serve(head, in: bytes, by: $0) }
    }

    private func serve(_ head: RequestHead, in bytes: UnsafeMutableRawBufferPointer, by exchange: Exchange) -> Int {
        guard exchange.begin(head, UnsafeRawBufferPointer(bytes), for: self, on: 0) else { return head.length }
        if self.reader.isEnded {
            if exchange.attach() { exchange.send(head, UnsafeRawBufferPointer(bytes), BodyPiece(), nil) }
            return head.length
        }
        if head.framing == .chunked {
            let limits = exchange.chunkLimits
            self.reader = BodyReader(
                head.framing, extensionLimit: limits.extension, trailerLimit: limits.trailers)
        }
        let body = UnsafeMutableRawBufferPointer(rebasing: bytes[head.length...])
        if exchange.collects(head, available: body.count) {
            return head.length + (body.isEmpty ? 0 : self.feed(body))
        }
        guard exchange.attach() else { return head.length }
        do throws(ChunkError) {
            let piece =
                body.isEmpty
                ? BodyPiece()
                : try self.reader.take(body, frames: self.core.memory.frames, trailers: exchange.requestTrailers)
            exchange.send(head, UnsafeRawBufferPointer(bytes), piece, UnsafeRawPointer(body.baseAddress))
            return head.length + piece.consumed
        } catch {
            exchange.requestBroke(.badChunk)
            return bytes.count
        }
    }

    // MARK: bodies

    func feedHeld() {
        self.hasUntried = false
        self.isParsing = true
        let used = self.feed(self.inbound.mutableBytes)
        self.isParsing = false
        if self.state == .closed {
            self.inbound.clear(pool: &self.core.buffers)
        } else if used > 0 {
            self.inbound.consume(used, pool: &self.core.buffers)
        }
    }

    /// Passes body bytes to the exchange. Answers how many were used.
    private func feed(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        guard let exchange else { return 0 }
        do throws(ChunkError) {
            let piece = try self.reader.take(
                bytes, frames: self.core.memory.frames, trailers: exchange.with { $0.requestTrailers })
            if piece.data > 0 || piece.isEnd {
                exchange.with { $0.requestBody(piece, UnsafeRawPointer(bytes.baseAddress)) }
            }
            return piece.consumed
        } catch {
            exchange.with { $0.requestBroke(.badChunk) }
            return bytes.count
        }
    }

    func readBody() {
        let input = self.core.memory.input
        // Part of a chunk's frame may wait for the rest of it.
        let held = self.inbound.count
        if held > 0 { input.copyMemory(from: self.inbound.bytes) }
        switch self.channel.read(
            into: UnsafeMutableRawBufferPointer(rebasing: input[held...]), pool: &self.core.buffers)
        {
        case .bytes(let count):
            self.inbound.clear(pool: &self.core.buffers)
            let bytes = UnsafeMutableRawBufferPointer(rebasing: input[0..<held + count])
            let used = self.feed(bytes)
            guard used < bytes.count else { return }
            switch self.state {
            case .serving where !self.reader.isEnded || !self.isLast, .idle where !self.isLast:
                self.inbound.append(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[used...]), pool: &self.core.buffers)
                if self.reader.isEnded { self.hasUntried = true }
            default: break
            }
        case .dry: break
        case .ended:
            if self.isTunnel {
                self.exchange?.with { $0.requestBody(BodyPiece(isEnd: true), nil) }
            } else {
                // The body was cut: no one may take it for whole.
                self.skipsLinger = true
                if self.exchange?.with({ $0.requestCut() }) != true { self.lost() }
            }
        case .failed: self.lost()
        }
    }
}
