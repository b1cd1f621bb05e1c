import CEpoll
import Glibc
import Synchronization
import Traffic

/// How one dialled exchange ended and what it brought.
package struct DialResult: Sendable {
    package enum End: Sendable, Equatable {
        /// The caller's `until` was satisfied.
        case complete
        case refused
        /// No route, address not usable.
        case unreachable
        /// This process ran out of descriptors, ports or memory; nothing was asked.
        case exhausted
        case connectTimeout
        case reset
        /// The peer closed before `until` was satisfied.
        case closed
        case responseTimeout
        /// More than `limit` bytes came.
        case limit
        /// Reached, but no session of TLS came of it.
        case handshake(TLSFailure)
        /// The caller's task was cancelled.
        case cancelled
    }
    package var end: End
    package var bytes: [UInt8]
    package var microseconds: UInt64
}

/// How a dialled exchange speaks TLS.
package struct DialTLS: Sendable {
    package var client: TLSClient
    /// Asked for and demanded of the certificate; an address is only demanded.
    package var name: String
    package var isAddress: Bool
    /// Sent before TLS begins.
    package var preamble: [UInt8]
    package var offers: ProtocolOffer
    /// Sent in the place of what is given, where HTTP/2 is agreed on.
    package var overHTTP2: [UInt8]

    package init(
        _ client: TLSClient, name: String, isAddress: Bool, preamble: [UInt8] = [], offers: ProtocolOffer = .nothing,
        overHTTP2: [UInt8] = []
    ) {
        self.client = client
        self.name = name
        self.isAddress = isAddress
        self.preamble = preamble
        self.offers = offers
        self.overHTTP2 = overHTTP2
    }
}

/// Opens a connection, sends some bytes, reads the answer: the connector of the data plane for the control plane's
/// probes, on a loop of its own so that a probe never waits behind traffic, nor traffic behind a probe.
package actor Dialer {
    private nonisolated let loop: EventLoop
    private var pending: [UInt64: Pending] = [:]
    private nonisolated let nextToken = Atomic<UInt64>(0)
    /// Tokens of exchanges whose callers were cancelled, for the loop's next turn.
    private nonisolated let cancelled = Mutex<[UInt64]>([])

    package nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    /// For the sessions of TLS: made when the first is wanted.
    private var tls: TLSMemory?
    private var buffers = BufferPool()

    private final class Pending {
        var socket: Socket
        let tls: DialTLS?
        /// With TLS, once connected.
        var channel: Channel?
        var isSecure = false
        var isEstablished = false
        /// Every datagram is a whole answer, or none.
        let isDatagram: Bool
        var connected: Bool
        var unsent: ArraySlice<UInt8>
        var received: [UInt8] = []
        let limit: Int
        let until: @Sendable ([UInt8]) -> Bool
        let began: UInt64
        /// Milliseconds of the monotonic clock.
        let connectDeadline: UInt64
        let deadline: UInt64
        let continuation: CheckedContinuation<DialResult, Never>

        init(
            socket: consuming Socket, tls: DialTLS?, isDatagram: Bool, send: [UInt8], limit: Int,
            until: @escaping @Sendable ([UInt8]) -> Bool,
            began: UInt64, connectDeadline: UInt64, deadline: UInt64,
            continuation: CheckedContinuation<DialResult, Never>
        ) {
            self.socket = socket
            self.tls = tls
            self.isDatagram = isDatagram
            self.connected = isDatagram
            self.unsent = send[...]
            self.limit = limit
            self.until = until
            self.began = began
            self.connectDeadline = connectDeadline
            self.deadline = deadline
            self.continuation = continuation
        }
    }

    /// Starts its thread at once.
    package init() throws(SystemError) {
        let loop = try EventLoop()
        self.loop = loop
        let actor = Weak(self)
        try Thread.start(named: "dialer") {
            loop.run { batch in NextTurn(timeout: actor.value?.turn(batch) ?? -1) }
        }
    }

    deinit { self.loop.stop() }

    private struct Weak: Sendable {
        weak let value: Dialer?
        init(_ value: Dialer) { self.value = value }
    }

    /// One exchange. `connectMilliseconds` bounds the connect, `milliseconds` the whole. Never throws: every end is a
    /// result.
    package func exchange(
        with address: SocketAddress, tls: DialTLS? = nil, send: [UInt8], connectMilliseconds: UInt32,
        milliseconds: UInt32, limit: Int, until: @escaping @Sendable ([UInt8]) -> Bool
    ) async -> DialResult {
        let token = self.nextToken.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.begin(
                    token, send, tls: tls, limit: limit, connectMilliseconds: connectMilliseconds,
                    milliseconds: milliseconds, until: until, isDatagram: false, continuation
                ) { () throws(SystemError) in try Socket.dial(IPEndpoint(address)) }
            }
        } onCancel: {
            self.cancel(token)
        }
    }

    /// One question over UDP: sends one datagram and takes the first that `accept` takes, whichever come before it.
    package func exchangeDatagram(
        with address: SocketAddress, send: [UInt8], milliseconds: UInt32, accept: @escaping @Sendable ([UInt8]) -> Bool
    ) async -> DialResult {
        let token = self.nextToken.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.begin(
                    token, send, tls: nil, limit: Int(UInt16.max), connectMilliseconds: milliseconds,
                    milliseconds: milliseconds,
                    until: accept, isDatagram: true, continuation
                ) { () throws(SystemError) in try Socket.datagram(to: IPEndpoint(address)) }
            }
        } onCancel: {
            self.cancel(token)
        }
    }

    private nonisolated func cancel(_ token: UInt64) {
        self.cancelled.withLock { $0.append(token) }
        self.loop.wake()
    }

    private func begin(
        _ token: UInt64, _ send: [UInt8], tls: DialTLS?, limit: Int, connectMilliseconds: UInt32, milliseconds: UInt32,
        until: @escaping @Sendable ([UInt8]) -> Bool, isDatagram: Bool,
        _ continuation: CheckedContinuation<DialResult, Never>, open: () throws(SystemError) -> Socket
    ) {
        let began = MonotonicClock.microseconds()
        let now = began / 1_000
        // Cancelled before it began: whoever cancels later finds it among the pending.
        guard !Task.isCancelled else {
            continuation.resume(returning: DialResult(end: .cancelled, bytes: [], microseconds: 0))
            return
        }
        do throws(SystemError) {
            let socket = try open()
            try socket.register(with: self.loop, token: token)
            self.pending[token] = Pending(
                socket: socket, tls: tls, isDatagram: isDatagram, send: send, limit: limit, until: until, began: began,
                connectDeadline: now + UInt64(min(connectMilliseconds, milliseconds)),
                deadline: now + UInt64(milliseconds), continuation: continuation)
            // The wait in progress knows nothing of the new deadline.
            self.loop.wake()
        } catch {
            let end: DialResult.End =
                error.isLocalShortage ? .exhausted : error.code == ECONNREFUSED ? .refused : .unreachable
            continuation.resume(returning: DialResult(end: end, bytes: [], microseconds: 0))
        }
    }

    private nonisolated func turn(_ batch: EventBatch) -> Int32 {
        // The closure given to `run` is called on the loop's thread only, which is this actor's executor.
        self.assumeIsolated { isolated in
            for index in 0..<batch.count where batch.token(index) != EventLoop.wakeToken {
                isolated.ready(batch.token(index), batch.readiness(index))
            }
            isolated.finishCancelled()
            return isolated.expire()
        }
    }

    private func ready(_ token: UInt64, _ readiness: Readiness) {
        guard let exchange = self.pending[token] else { return }
        if !exchange.connected {
            let code = exchange.socket.takeError()
            switch code {
            case 0: break
            case ECONNREFUSED: return self.finish(token, .refused)
            case ETIMEDOUT: return self.finish(token, .connectTimeout)
            case ECONNRESET: return self.finish(token, .reset)
            default: return self.finish(token, .unreachable)
            }
            exchange.connected = true
        }
        if let tls = exchange.tls { return self.readySecurely(token, exchange, tls, readiness) }
        while !exchange.unsent.isEmpty {
            let result = exchange.unsent.withUnsafeBytes { exchange.socket.send($0) }
            switch result {
            case .bytes(let count): exchange.unsent = exchange.unsent.dropFirst(count)
            case .wouldBlock, .end: return
            case .failed(ENOTCONN):
                // Readiness that came before the connect ended; the next event tells.
                exchange.connected = false
                return
            case .failed(ECONNREFUSED): return self.finish(token, .refused)
            case .failed: return self.finish(token, .reset)
            }
        }
        var chunk = [UInt8](repeating: 0, count: exchange.isDatagram ? Int(UInt16.max) : 16_384)
        while true {
            switch chunk.withUnsafeMutableBytes({ exchange.socket.receive(into: $0) }) {
            case .bytes(let count):
                if exchange.isDatagram { exchange.received.removeAll(keepingCapacity: true) }
                exchange.received.append(contentsOf: chunk[0..<count])
                if exchange.received.count > exchange.limit { return self.finish(token, .limit) }
                if exchange.until(exchange.received) { return self.finish(token, .complete) }
            case .wouldBlock: return
            // An empty datagram.
            case .end where exchange.isDatagram: continue
            case .end: return self.finish(token, .closed)
            case .failed(ECONNREFUSED): return self.finish(token, .refused)
            case .failed: return self.finish(token, .reset)
            }
        }
    }

    // MARK: TLS

    private func readySecurely(_ token: UInt64, _ exchange: Pending, _ tls: DialTLS, _ readiness: Readiness) {
        // Readiness that came before the connect ended; the next event tells.
        if !exchange.isSecure, exchange.socket.peerAddress() == nil {
            exchange.connected = false
            return
        }
        guard var channel = exchange.isSecure ? exchange.channel.take() : self.beginTLS(exchange, tls) else {
            return self.finish(token, .handshake(TLSFailure(.limit, "no session can be made")))
        }
        // Edge-triggered: whatever has come is read until there is nothing.
        channel.note(readiness.union(.input))
        let end = self.converse(&channel, exchange)
        exchange.channel = consume channel
        if let end { self.finish(token, end) }
    }

    private func beginTLS(_ exchange: Pending, _ tls: DialTLS) -> Channel? {
        exchange.isSecure = true
        var socket = Socket(owning: -1)
        swap(&socket, &exchange.socket)
        var channel = Channel(socket)
        if !tls.preamble.isEmpty { _ = self.write(tls.preamble, &channel) }
        if self.tls == nil { self.tls = TLSMemory() }
        guard let memory = self.tls,
            channel.beginTLS(
                tls.client, memory: memory, name: tls.name, isAddress: tls.isAddress, ticket: nil,
                offers: tls.offers)
        else {
            channel.close(pool: &self.buffers)
            return nil
        }
        return channel
    }

    /// Goes on as far as it goes now; answers how the exchange has ended, if it has.
    private func converse(_ channel: inout Channel, _ exchange: Pending) -> DialResult.End? {
        self.tls?.now = MonotonicClock.milliseconds()
        if channel.flush(pool: &self.buffers).flow == .gone { return .reset }
        while !exchange.isEstablished {
            switch channel.shake(pool: &self.buffers) {
            case .done(let facts):
                exchange.isEstablished = true
                if facts.isHTTP2, let tls = exchange.tls {
                    exchange.unsent = tls.overHTTP2[...]
                } else if exchange.tls?.offers == .http2 {
                    return .handshake(TLSFailure(.alpn, "the endpoint does not agree on HTTP/2"))
                }
                guard self.write(Array(exchange.unsent), &channel) else { return .reset }
                exchange.unsent = []
            case .waits: guard channel.isReadable else { return nil }
            case .failed(let failure): return .handshake(failure)
            }
        }
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while channel.isReadable {
            let inflow = chunk.withUnsafeMutableBytes { channel.read(into: $0, pool: &self.buffers) }
            switch inflow {
            case .bytes(let count):
                exchange.received.append(contentsOf: chunk[0..<count])
                if exchange.received.count > exchange.limit { return .limit }
                if exchange.until(exchange.received) { return .complete }
            case .dry: break
            case .ended: return .closed
            case .failed: return .reset
            }
        }
        return nil
    }

    private func write(_ bytes: [UInt8], _ channel: inout Channel) -> Bool {
        var bytes = bytes
        return bytes.withUnsafeMutableBytes { all in
            var piece = iovec(iov_base: all.baseAddress, iov_len: all.count)
            return withUnsafeMutablePointer(to: &piece) { pointer in
                channel.write(UnsafeMutableBufferPointer(start: pointer, count: 1), pool: &self.buffers) != .gone
            }
        }
    }

    private func finishCancelled() {
        let tokens = self.cancelled.withLock { tokens in
            let taken = tokens
            tokens.removeAll()
            return taken
        }
        for token in tokens { self.finish(token, .cancelled) }
    }

    private func expire() -> Int32 {
        let now = MonotonicClock.milliseconds()
        var next = UInt64.max
        var late: [(UInt64, DialResult.End)] = []
        for (token, exchange) in self.pending {
            let deadline = exchange.connected ? exchange.deadline : exchange.connectDeadline
            if deadline <= now {
                late.append((token, exchange.connected ? .responseTimeout : .connectTimeout))
            } else {
                next = min(next, deadline - now)
            }
        }
        for (token, end) in late { self.finish(token, end) }
        return next == .max ? -1 : Int32(clamping: next + 1)
    }

    private func finish(_ token: UInt64, _ end: DialResult.End) {
        guard let exchange = self.pending.removeValue(forKey: token) else { return }
        exchange.socket.close()
        exchange.channel?.close(pool: &self.buffers)
        exchange.continuation.resume(
            returning: DialResult(
                end: end, bytes: exchange.received, microseconds: MonotonicClock.microseconds() - exchange.began))
    }
}
