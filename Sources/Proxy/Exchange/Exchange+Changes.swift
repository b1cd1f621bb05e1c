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
        let form = route.compression.map { self.form(head, source, piece, by: route, $0) } ?? Form()
        self.coder = form.coder
        let room = self.core.memory.roomForChanges()
        var writer = ByteWriter(room)
        ResponseEditor.write(
            head, fields: self.core.memory.fields.list, source: source.bindMemory(to: UInt8.self).span,
            coding: form.coder?.coding.token, weakens: form.weakens, varies: form.varies, into: &writer)
        if route.policies.contains(.tellsLimits) { self.writeLimits(route, into: &writer) }
        writer.append("\r\n")
        guard !writer.overflowed else { return self.malformedAnswer(.answerTooLarge) }
        self.pass(room, count: writer.count, piece, data)
    }

    private func pass(
        _ room: UnsafeMutableRawBufferPointer, count: Int, _ piece: BodyPiece, _ data: UnsafeRawPointer?
    ) {
        let source = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<count])
        // What was within the limits is not refused for what was added.
        let limits = HeadLimits(requestLine: count, bytes: count, count: 20_000)
        do throws(HeadError) {
            guard
                let head = try HeadParser.response(
                    source.bindMemory(to: UInt8.self).span, to: self.method, limits: limits,
                    fields: &self.core.memory.fields)
            else { return self.malformedAnswer(.badResponse) }
            self.pass(head, source, piece, data)
        } catch {
            self.malformedAnswer(.badResponse)
        }
    }
}
