/// Deadlines in milliseconds.
package struct SessionTimeouts: Sendable, Equatable {
    /// Until the client's preface and SETTINGS are there.
    package var preface: UInt64 = 10_000
    /// Without an open stream.
    package var keepAlive: UInt64 = 75_000
    /// Without a frame while streams are open: then the peer is asked.
    package var ping: UInt64 = 30_000

    package init() {}

    /// Our SETTINGS not acknowledged.
    static let settings: UInt64 = 10_000
    /// Our PING not answered.
    static let pingAnswer: UInt64 = 15_000
    /// From the first GOAWAY to the second, at most.
    static let warning: UInt64 = 1_000
}

/// How a connection ends, and the deadlines that end it.
extension Session {
    /// The peer was told that the connection ends.
    package var isEnding: Bool {
        if case .open = self.phase { false } else { true }
    }

    /// Nothing is left to do: the peer knows the last stream that was taken, and no stream is open.
    package var isOver: Bool {
        guard self.streams.isEmpty else { return false }
        switch self.phase {
        case .open: return self.isPeerLeaving
        case .warned: return false
        case .last, .failed: return true
        }
    }

    /// Begins the graceful end: GOAWAY that names no stream, and PING, whose answer says that it was read. What the peer sent
    /// before that is still served. A client says once that it goes, when it has no stream open.
    package mutating func warn(now: UInt64, into out: inout FrameWriter) {
        guard case .open = self.phase else { return }
        guard self.role == .server else {
            // Nothing of the server's is on its way that would have to be named.
            self.phase = .last(0)
            return out.goAway(last: 0, .noError)
        }
        self.phase = .warned(until: now + SessionTimeouts.warning)
        out.goAway(last: UInt32(Self.largestWindow), .noError)
        self.ping(now: now, into: &out)
    }

    /// The second GOAWAY.
    mutating func sayLast(into out: inout FrameWriter) {
        guard case .warned = self.phase else { return }
        self.phase = .last(self.streams.last)
        out.goAway(last: self.streams.last, .noError)
    }

    /// Behind a fault: GOAWAY with its code.
    package mutating func fail(_ fault: ConnectionFault, into out: inout FrameWriter) {
        if case .failed = self.phase { return }
        // Never more than was said before (6.8).
        var last = self.role == .server ? self.streams.last : 0
        if case .last(let said) = self.phase { last = min(last, said) }
        self.phase = .failed
        out.goAway(last: last, fault.code)
    }

    /// The peer took what it was sent at that time: it lives, whatever its frames wait behind.
    package mutating func moved(at time: UInt64) { self.lastFrame = max(self.lastFrame, time) }

    private mutating func ping(now: UInt64, into out: inout FrameWriter) {
        self.pings &+= 1
        self.pingSent = now
        out.ping(self.pings, isAcknowledgement: false)
    }

    mutating func pingAnswered(_ data: UInt64, into out: inout FrameWriter) {
        guard self.pingSent != nil, data == self.pings else { return }
        self.pingSent = nil
        self.sayLast(into: &out)
    }

    // MARK: deadlines

    /// Does what is due. Throws where the connection must end at once.
    package mutating func tick(now: UInt64, into out: inout FrameWriter) throws(ConnectionFault) {
        if !self.hasPeerSettings {
            guard now < self.began + self.timeouts.preface else { throw ConnectionFault(.protocolError) }
            return
        }
        if !self.isAcknowledged, now >= self.began + SessionTimeouts.settings {
            throw ConnectionFault(.settingsTimeout)
        }
        // A server is asked nothing while it works: gRPC's count such PINGs. And who holds it idle closes it.
        guard self.role == .server else { return }
        switch self.phase {
        case .open:
            if now >= self.began + self.lifetime { self.warn(now: now, into: &out) }
            if self.streams.isEmpty, now >= self.idleSince + self.timeouts.keepAlive { self.warn(now: now, into: &out) }
        case .warned(let until): if now >= until { self.sayLast(into: &out) }
        case .last, .failed: break
        }
        guard !self.streams.isEmpty else { return }
        if let pingSent {
            guard now >= pingSent + SessionTimeouts.pingAnswer else { return }
            // Whoever sends other frames lives.
            guard self.lastFrame > pingSent else { throw ConnectionFault(.noError) }
            self.pingSent = nil
        } else if now >= self.lastFrame + self.timeouts.ping {
            self.ping(now: now, into: &out)
        }
    }

    /// When `tick` is to be called at the latest.
    package var deadline: UInt64 {
        guard self.hasPeerSettings else { return self.began + self.timeouts.preface }
        var next = UInt64.max
        guard self.role == .server else {
            return self.isAcknowledged ? next : self.began + SessionTimeouts.settings
        }
        switch self.phase {
        case .open:
            next = self.began + self.lifetime
            if self.streams.isEmpty { next = min(next, self.idleSince + self.timeouts.keepAlive) }
        case .warned(let until): next = until
        case .last, .failed: break
        }
        if !self.isAcknowledged { next = min(next, self.began + SessionTimeouts.settings) }
        if !self.streams.isEmpty {
            next = min(
                next, self.pingSent.map { $0 + SessionTimeouts.pingAnswer } ?? self.lastFrame + self.timeouts.ping)
        }
        return next
    }
}
