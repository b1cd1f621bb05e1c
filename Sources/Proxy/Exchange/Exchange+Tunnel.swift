import HTTPWire
import Reactor
import Traffic

/// After a 101 that was asked for: bytes both ways, each side's end passed on by itself.
extension Exchange {
    /// The endpoint switches protocols; `source` begins with its head, whose fields are in the worker's memory. False if it
    /// must not.
    func switched(_ head: ResponseHead, _ source: UnsafeRawBufferPointer) -> Bool {
        guard let client = self.client?.object, let route = self.route?.object, self.grantsUpgrade, head.hasUpgrade,
            self.phase.isRequestWhole,
            self.wasAskedFor(source)
        else {
            self.malformedAnswer(.unexpectedUpgrade)
            return false
        }
        let early = UnsafeRawBufferPointer(rebasing: source[head.length...])
        let flow = client.answerSwitch(
            head, source, edits: route.responseEdits, early: early, on: self.clientStream)
        guard !flow.isRefused else {
            self.malformedAnswer(flow == .tooLarge ? .answerTooLarge : .unexpectedUpgrade)
            return false
        }
        self.status = 101
        self.answerBytes &+= UInt64(early.count)
        self.phase.switched()
        self.mayCode = false
        self.readsLittle = false
        self.isProxied = true
        self.tunnelledAt = self.core.nowMicroseconds
        self.headAt = self.tunnelledAt
        self.core.counts.tunnels += 1
        if flow == .gone {
            self.cutTunnel()
            return false
        }
        self.tunnelMoved()
        return true
    }

    /// Whether the 101 at the start of `source` names one protocol, and that one is the client's wish.
    private func wasAskedFor(_ source: UnsafeRawBufferPointer) -> Bool {
        guard let head = self.kept.head else { return false }
        let answer = source.bindMemory(to: UInt8.self).span
        let wish = self.kept.bytes.bindMemory(to: UInt8.self).span
        var answered: ByteRange?
        for index in 0..<self.core.memory.fields.count where self.core.memory.fields[index].id == .upgrade {
            guard answered == nil else { return false }
            answered = self.core.memory.fields[index].value
        }
        guard let answered, !answered.isEmpty else { return false }
        let chosen = UpgradeList.name(of: answered, in: answer)
        var wishes = UpgradeList(head.upgrade)
        while let next = wishes.next(in: wish) {
            if ASCII.equalsIgnoringCase(wish, UpgradeList.name(of: next, in: wish), answer, chosen) { return true }
        }
        return false
    }

    func tunnelUp(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        guard let endpoint = self.endpoint?.object else { return }
        if piece.isEnd { self.phase.tunnelEnded(byClient: true) }
        self.tunnelPassed(endpoint.requestBody(piece, data, on: self.endpointStream))
    }

    func tunnelDown(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        guard let client = self.client?.object else { return }
        self.answerBytes &+= UInt64(piece.data)
        if piece.isEnd { self.phase.tunnelEnded(byClient: false) }
        self.tunnelPassed(client.answerBody(piece, data, on: self.clientStream))
    }

    private func tunnelPassed(_ flow: Flow) {
        if flow == .gone { return self.cutTunnel() }
        if self.phase.isTunnelOver { return self.endTunnel() }
        self.tunnelMoved()
    }

    private func tunnelMoved() {
        let timeouts = self.route?.object.timeouts ?? Timeouts()
        let isHalf = self.phase.hasClientEnded || self.phase.hasEndpointEnded
        self.deadline = self.core.now + UInt64(isHalf ? timeouts.tunnelHalfClosed : timeouts.tunnelIdle)
        self.arm()
    }

    /// Both directions have ended; over once all of it has left.
    func endTunnel() {
        guard let client = self.client?.object, let endpoint = self.endpoint?.object, client.isClear(self.clientStream),
            endpoint.isClear(self.endpointStream)
        else {
            return self.arm()
        }
        self.release(.closed)
        self.report(.success)
        self.conclude()
    }

    /// Ends a tunnel before its end: both sides see a reset, so that half of what was said does not look like all of it.
    func cutTunnel() {
        self.release(.cut)
        self.report(.success)
        let (client, stream) = (self.client?.object, self.clientStream)
        self.recordAndRest()
        client?.unreachable(stream)
    }
}
