import HTTPWire
import Reactor
import Traffic

/// A client's connection up to the moment at which its requests may begin: what has to be said first is said here, in this
/// order, each step with a deadline of its own that nothing moves. Then the connection of the protocol that was found takes
/// its place, with its channel, slot and token.
///
///     proxyHeader ──whole header──▶ over (a `ClientConnection` goes on)
///          └──malformed, ended, late──▶ closed
///
/// Only connections that have such a step get one of these; all others are clients from accept on. Bytes behind a step are
/// left in the kernel for the next one: nothing is read beyond what belongs here.
final class ClientHandshake: Handle {
    private enum Step {
        /// The peer is a proxy that says whom it connects for (PROXY protocol).
        case proxyHeader
        case over
    }

    private let core: WorkerCore
    private var channel: Channel
    private let plan: ListenerPlan
    /// The address is the peer's until a proxy names another.
    private var origin: ClientOrigin
    private var step = Step.proxyHeader
    private var isDraining = false

    init(core: WorkerCore, socket: consuming Socket, origin: ClientOrigin) {
        self.core = core
        self.channel = Channel(socket)
        self.plan = origin.listener.plan
        self.origin = origin
        super.init()
    }

    /// Counts itself in and registers.
    func start() {
        self.core.counts.connections += 1
        self.core.register(self)
        do throws(SystemError) {
            try self.channel.register(with: self.core.loop, token: self.token)
        } catch {
            return self.close()
        }
        self.core.wheel.schedule(self.slot, at: self.core.now + UInt64(self.core.timeouts.proxyHeader))
    }

    // MARK: events

    override func ready(_ readiness: Readiness) {
        self.channel.note(readiness)
        if readiness.contains(.error) || readiness.contains(.hangUp) { return self.fail(.closed) }
        self.advance()
    }

    override func resume() { self.advance() }

    override func expired() { self.fail(.timeout) }

    override func drain(grace: UInt64) { self.isDraining = true }

    override func abandon() { self.close() }

    private func advance() {
        guard self.channel.isReadable else { return }
        switch self.step {
        case .proxyHeader: self.readProxyHeader()
        case .over: break
        }
    }

    // MARK: PROXY protocol

    private func readProxyHeader() {
        let input = self.core.memory.input
        let room = UnsafeMutableRawBufferPointer(rebasing: input[0..<min(ProxyHeader.longest, input.count)])
        switch self.channel.peek(into: room) {
        case .bytes(let count):
            let bytes = UnsafeRawBufferPointer(rebasing: room[0..<count]).bindMemory(to: UInt8.self).span
            do throws(ProxyHeaderError) {
                let header = try ProxyHeader.read(bytes, self.plan.proxyVersions) { text in
                    IPAddress(parsing: text.extracting(0..<text.count)).map { ($0.high, $0.low) }
                }
                guard let header else {
                    // All that will ever come is there.
                    if self.channel.isPeerClosing { self.fail(.closed) }
                    return
                }
                self.take(header)
            } catch {
                self.fail(.malformed)
            }
        case .dry: break
        case .ended, .failed: self.fail(.closed)
        }
    }

    private func take(_ header: ProxyHeader) {
        guard self.channel.skip(header.length, scratch: self.core.memory.input) else { return self.fail(.closed) }
        if let source = header.source, let destination = header.destination {
            self.origin.listener.counts.proxyHeaders.accepted &+= 1
            self.origin.relay = RelayedConnection(
                proxy: self.origin.address, source: SocketAddress(source), destination: SocketAddress(destination))
            self.origin.address = IPAddress(high: source.high, low: source.low)
        } else {
            self.origin.listener.counts.proxyHeaders.local &+= 1
        }
        self.finish()
    }

    // MARK: ends

    /// Nothing more has to be said first: who the client is, is known, and its protocol.
    private func finish() {
        self.step = .over
        guard self.core.admit(&self.origin) else { return self.close() }
        let client = HTTP1Client(core: self.core, channel: self.channel.take(), origin: self.origin)
        client.takePlace(of: self)
        if self.isDraining { client.drain(grace: ListenerHandle.settle) }
    }

    private enum Failure { case malformed, timeout, closed }

    private func fail(_ failure: Failure) {
        let counts = self.origin.listener.counts
        switch failure {
        case .malformed: counts.proxyHeaders.malformed &+= 1
        case .timeout: counts.proxyHeaders.timeout &+= 1
        case .closed: counts.proxyHeaders.closed &+= 1
        }
        self.close()
    }

    private func close() {
        guard self.slot >= 0 else { return }
        self.step = .over
        self.channel.close(pool: &self.core.buffers)
        self.core.counts.connections -= 1
        self.core.admission.leave()
        self.core.forget(self)
    }
}
