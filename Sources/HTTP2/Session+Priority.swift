/// The order in which a client wants its answers (RFC 9218). Trees of RFC 7540 are ignored, as SETTINGS say.
extension Session {
    /// What the request's `Priority` field says. A frame that came before it was meant for the same stream, and stands.
    package mutating func requested(_ slot: Int, urgency: UInt8) {
        guard !self.streams[slot].hasUpdate else { return }
        self.streams.setUrgency(urgency, of: slot)
    }

    /// PRIORITY_UPDATE (RFC 9218 7.1).
    mutating func priorityUpdate(_ stream: UInt32, _ value: UnsafeRawBufferPointer) throws(ConnectionFault) {
        try self.floods.priority()
        // A server sends none; and as nothing is pushed, each stream of the server's is one that is idle.
        guard self.role == .server, stream & 1 == 1 else { throw ConnectionFault(.protocolError) }
        guard let urgency = PriorityField.urgency(of: value) else { return }
        if let slot = self.streams.find(stream) {
            self.streams[slot].hasUpdate = true
            return self.streams.setUrgency(urgency, of: slot)
        }
        // It is gone, or will not be served.
        guard stream > self.streams.last, !self.isBehindLast(stream) else { return }
        if let index = self.early.firstIndex(where: { $0.stream == stream }) {
            self.early[index].urgency = urgency
            return
        }
        guard self.early.count + self.streams.openCount < self.limits.concurrentStreams else {
            // Until it has acknowledged our SETTINGS it may not know how many there may be.
            guard !self.isAcknowledged else { throw ConnectionFault(.protocolError) }
            return
        }
        self.early.append((stream, urgency))
    }

    /// The stream is opened: what came for it before, and for those below it, which are closed by that (RFC 9113 5.1.1).
    mutating func takeEarly(_ stream: UInt32) -> UInt8? {
        guard !self.early.isEmpty else { return nil }
        let urgency = self.early.first { $0.stream == stream }?.urgency
        self.early.removeAll { $0.stream <= stream }
        return urgency
    }
}
