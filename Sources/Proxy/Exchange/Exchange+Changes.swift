import Compression
import HTTPWire
import Reactor
import Traffic

/// Answers that a policy of the route changes on their way down.
extension Exchange {
    /// As `answerBegan`, of a route that changes answers. The head is written anew and parsed again, so that no carrier need
    /// know of the change.
    func changedAnswerBegan(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ piece: BodyPiece, _ data: UnsafeRawPointer?
    ) {
        guard let route = self.route?.object else { return }
        var form = route.compression.map { self.form(head, source, piece, by: route, $0) } ?? Form()
        self.coder = form.coder
        self.mayCode = form.coder != nil
        self.readsLittle = self.mayCode
        if self.pass(head, source, form.head, piece, data, route) { return }
        // It could not be coded, and nothing was sent: it goes as it came.
        self.restCoder()
        self.mayCode = false
        form.head.coding = nil
        form.head.weakens = false
        route.route.record.compression.skip(.contexts)
        guard var again = self.parse(UnsafeRawBufferPointer(rebasing: source[0..<head.length])) else {
            return self.malformedAnswer(.badResponse)
        }
        again.framing = head.framing
        _ = self.pass(again, source, form.head, piece, data, route)
    }

    /// False: nothing was sent, for its body could not be coded.
    private func pass(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ form: ResponseEditor.Form, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?, _ route: RoutePlan
    ) -> Bool {
        let room = self.core.memory.roomForChanges()
        var writer = ByteWriter(room)
        ResponseEditor.write(
            head, fields: self.core.memory.fields.list, source: source.bindMemory(to: UInt8.self).span, form: form,
            into: &writer)
        if route.policies.contains(.tellsLimits) { self.writeLimits(route, into: &writer) }
        writer.append("\r\n")
        let written = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<writer.count])
        guard !writer.overflowed else {
            self.malformedAnswer(.answerTooLarge)
            return true
        }
        guard var changed = self.parse(written) else {
            self.malformedAnswer(.badResponse)
            return true
        }
        // What the carrier said of the body its lines need not say.
        if form.coding == nil { changed.framing = head.framing }
        return self.pass(changed, written, piece, data)
    }

    /// Reads a head that was within the limits: it is not refused for what was added.
    private func parse(_ source: UnsafeRawBufferPointer) -> ResponseHead? {
        let limits = HeadLimits(requestLine: source.count, bytes: source.count, count: 20_000)
        return try? HeadParser.response(
            source.bindMemory(to: UInt8.self).span, to: self.method, limits: limits, fields: &self.core.memory.fields)
    }
}
