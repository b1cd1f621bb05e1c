import HTTP2
import HTTPWire
import Reactor

/// The peer's bytes on their way in, frame by frame.
extension HTTP2Carrier {
    /// One read takes at most this.
    private static var readSize: Int { 131_072 }
    /// Field blocks taken per event: a peer that floods takes turns with the others.
    private static var blocksPerEvent: Int { 64 }

    func readFrames() {
        guard self.hasRoom else { return }
        if self.pace.hasUntried {
            self.pace.hasUntried = false
            self.pace.isParsing = true
            let used = self.take(self.inbound.mutableBytes)
            self.pace.isParsing = false
            return self.keepRest(of: used)
        }
        guard self.channel.isReadable else { return }
        let input = self.core.memory.input
        // Part of a frame may wait for the rest of it.
        let held = self.inbound.count
        guard held < input.count else { return self.fail(ConnectionFault(.frameSizeError)) }
        if held > 0 { input.copyMemory(from: self.inbound.bytes) }
        let limit = min(input.count, held + Self.readSize)
        switch self.channel.read(
            into: UnsafeMutableRawBufferPointer(rebasing: input[held..<limit]), pool: &self.core.buffers)
        {
        case .bytes(let count):
            let bytes = UnsafeMutableRawBufferPointer(rebasing: input[0..<held + count])
            self.inbound.clear(pool: &self.core.buffers)
            let used = self.take(bytes)
            guard self.isServing else { return }
            self.inbound.append(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[used...]), pool: &self.core.buffers)
        case .dry: break
        case .ended: self.inputEnded(isClean: true)
        case .failed: self.inputEnded(isClean: false)
        }
    }

    private func keepRest(of used: Int) {
        if !self.isServing {
            self.inbound.clear(pool: &self.core.buffers)
        } else if used > 0 {
            self.inbound.consume(used, pool: &self.core.buffers)
        }
    }

    /// Takes whole frames. Answers how many bytes were used. DATA of one stream that comes in frames one behind the other is
    /// moved together and passed on at once: the other side gets it with one write.
    private func take(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        var offset = 0
        var blocks = 0
        var run = DataRun()
        while self.isServing {
            guard blocks < Self.blocksPerEvent, self.hasRoom else {
                self.pace.hasUntried = true
                break
            }
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            if self.awaitsPreface {
                let used = self.takePreface(UnsafeRawBufferPointer(rest))
                guard used > 0 else { return offset }
                offset += used
                continue
            }
            do throws(ConnectionFault) {
                guard
                    let (frame, size) = try FrameReader.next(
                        UnsafeRawBufferPointer(rest), blockLimit: self.session.blockLimit,
                        oversized: self.session.oversizedBlocks)
                else { break }
                if case .headers = frame { blocks += 1 }
                if case .data = frame {} else { self.passOn(&run, bytes) }
                let step = try self.judge(frame, size, UnsafeRawBufferPointer(rest))
                var used = size
                if case .data(let slot, let content, let isEnd) = step {
                    if run.slot != slot { self.passOn(&run, bytes) }
                    run.add(content, at: offset, of: slot, in: bytes)
                    if isEnd { self.passOn(&run, bytes, isEnd: true) }
                } else {
                    if case .reset = step { self.passOn(&run, bytes) }
                    used += try self.follow(step, frame, rest, behind: size)
                }
                offset += used
            } catch {
                self.fail(error)
            }
        }
        if self.isServing { self.passOn(&run, bytes) }
        return offset
    }

    /// Content of a stream that stands together in the bytes that were read.
    private func passOn(_ run: inout DataRun, _ bytes: UnsafeMutableRawBufferPointer, isEnd: Bool = false) {
        guard run.slot >= 0 else { return }
        let slot = run.slot
        run.slot = -1
        self.takeBody(
            slot, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[run.lower..<run.upper]), isEnd: isEnd)
    }

    /// Has the session judge a frame that stands at the start of `bytes`.
    func judge(
        _ frame: Frame, _ size: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(ConnectionFault) -> Session.Step {
        self.pace.frames &+= 1
        var out = FrameWriter(self.core.http2.control)
        do throws(ConnectionFault) {
            let step = try self.session.receive(frame, size: size, in: bytes, now: self.core.now, into: &out)
            self.keep(out)
            return step
        } catch {
            self.keep(out)
            throw error
        }
    }

    /// What most steps ask of either side; the others are this side's own.
    func followShared(
        _ step: Session.Step, _ bytes: UnsafeRawBufferPointer
    ) throws(ConnectionFault) {
        switch step {
        case .none: self.adoptPeerTable()
        case .windowOpened, .windowsOpened:
            self.pace.canSend = true
            self.adoptPeerTable()
        case .trailers(let slot, let block): try self.takeTrailers(slot, block, bytes)
        case .discard(let block, let slot):
            try self.skip(block, bytes)
            if let slot { self.streamBroke(slot) }
        // Passed on with what else comes of it.
        case .data: break
        case .request, .answer, .reset, .leaving: break
        }
    }

    /// Decodes a block of which nothing is wanted: the table of the connection changes with it.
    func skip(_ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        var fields = BlockFields(block, in: bytes)
        while try fields.next(&self.tables.inflater, upTo: self.session.passedOverLimit) != nil {
            // Of an endpoint the bytes alone are bounded: it has been asked for what it sends.
            guard self.session.role == .client || fields.count <= 10 * self.core.headLimits.count else {
                throw ConnectionFault(.fields)
            }
        }
        // Requests that nobody serves are their client's waste, which its floods count.
        if self.session.role == .client { self.session.decoded(fields.size) }
    }
}

private struct DataRun {
    /// -1: none.
    var slot = -1
    var lower = 0
    var upper = 0

    mutating func add(_ content: Range<Int>, at offset: Int, of slot: Int, in bytes: UnsafeMutableRawBufferPointer) {
        let start = offset + content.lowerBound
        if self.slot != slot {
            self.slot = slot
            self.lower = start
            self.upper = start + content.count
            return
        }
        if !content.isEmpty, let base = bytes.baseAddress {
            (base + self.upper).copyMemory(from: base + start, byteCount: content.count)
        }
        self.upper += content.count
    }
}
