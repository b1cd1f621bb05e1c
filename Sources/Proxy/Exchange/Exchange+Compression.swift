import Compression
import HTTPWire
import Reactor
import Traffic

/// Answers that are sent in a shorter form.
extension Exchange {
    /// How an answer of a route with compression goes down.
    struct Form {
        /// nil: as it came, or a HEAD's.
        var coder: ContentCoder?
        var head = ResponseEditor.Form()
    }

    /// Decides about an answer whose fields are in the worker's memory. `piece` is what of its body came with it.
    func form(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ piece: BodyPiece, by route: RoutePlan,
        _ compression: CompressionPlan
    ) -> Form {
        let counts = route.route.record.compression
        let span = source.bindMemory(to: UInt8.self).span
        let content = ContentFields(self.core.memory.fields.list, span)
        if let reason = Self.exclusion(head, content, span, compression) {
            counts.skip(reason)
            return Form()
        }
        // From here on it hangs on the request, or on what of the body has come: others may get another form.
        var form = Form()
        form.head.varies = !content.varies
        if head.status == 304 {
            // It has no body whose form could be told. Whoever shows a weak tag got a form of it.
            if let tag = content.strongTag { form.head.weakens = self.isKnownWeakly(span.extracting(tag.bounds)) }
            return form
        }
        switch self.choice(head, content, piece, compression) {
        case .asItCame(let reason): counts.skip(reason)
        case .coded(let coding) where head.framing == .none:
            // A HEAD is told what a GET would be.
            form.head.coding = coding.token
            form.head.weakens = true
        case .coded(let coding):
            guard let coder = self.core.coders.take(coding, level: compression.spec.level) else {
                counts.skip(.contexts)
                return form
            }
            form.coder = coder
            form.head.coding = coding.token
            form.head.weakens = true
        }
        return form
    }

    private func isKnownWeakly(_ tag: borrowing Span<UInt8>) -> Bool {
        ContentFields.isKnownWeakly(tag, self.kept.fields, self.kept.bytes.bindMemory(to: UInt8.self).span)
    }

    /// Why nobody gets this answer in another form; nil: some may.
    private static func exclusion(
        _ head: ResponseHead, _ content: ContentFields, _ span: borrowing Span<UInt8>, _ compression: CompressionPlan
    ) -> CompressionCounts.Skip? {
        switch head.status {
        case 200, 203, 304, 404, 410, 500...599: break
        default: return .status
        }
        if content.isPart { return .status }
        if content.isEncoded { return .encoded }
        if content.mustStay { return .noTransform }
        if let type = content.type {
            guard compression.takes(span.extracting(type.bounds)) else { return .type }
        } else if head.status != 304 {
            return .type
        }
        return head.status != 304 && content.length == 0 ? .size : nil
    }

    private enum Choice {
        case coded(ContentCoding)
        case asItCame(CompressionCounts.Skip)
    }

    /// The form that this client gets, or why it gets none.
    private func choice(
        _ head: ResponseHead, _ content: ContentFields, _ piece: BodyPiece, _ compression: CompressionPlan
    ) -> Choice {
        let span = self.kept.bytes.bindMemory(to: UInt8.self).span
        if ContentFields.forbidChange(self.kept.fields, span) { return .asItCame(.noTransform) }
        // A client of HTTP/1.0 would see its end by the close alone.
        guard let request = self.kept.head, request.minorVersion > 0 else { return .asItCame(.notAccepted) }
        var choice = CodingChoice(identity: AcceptEncoding.identityWeight(self.kept.fields, span))
        var wanted: ContentCoding?
        for coding in compression.spec.algorithms
        where choice.offer(AcceptEncoding.weight(of: coding.token, alias: coding.alias, self.kept.fields, span)) {
            wanted = coding
        }
        guard let wanted else { return .asItCame(.notAccepted) }
        if !compression.spec.credentials, self.hasCredentials { return .asItCame(.credentials) }
        // Who takes no body as it is gets small ones in a form too.
        let least = choice.refusesIdentity ? 1 : max(1, compression.spec.minimum)
        let known = content.length ?? (piece.isEnd && head.framing != .none ? UInt64(piece.data) : nil)
        if let known, known < least { return .asItCame(.size) }
        if self.core.load.isSaturated, head.framing != .none { return .asItCame(.saturated) }
        return .coded(wanted)
    }

    private var hasCredentials: Bool {
        self.kept.fields.present.contains(.cookie) || self.kept.fields.present.contains(.authorization)
    }

    // MARK: bodies

    /// It is its turn among the answers that are coded.
    func codeOn() {
        guard self.mayCode, let endpoint else { return }
        let stream = self.endpointStream
        endpoint.with { $0.passCoded(stream) }
    }

    /// How a piece went in its form.
    enum Coded {
        case sent(Flow)
        /// For want of memory. `hasBegun`: something of the answer was sent before.
        case failed(hasBegun: Bool)
    }

    /// Sends a piece in its form, behind its head if it is the first. All that came is flushed with it.
    func sendCoded(
        _ piece: BodyPiece, _ data: UnsafeRawPointer?,
        behind first: (head: ResponseHead, source: UnsafeRawBufferPointer)?
    ) -> Coded {
        guard let client, let coder, let route else { return .failed(hasBegun: first == nil) }
        let stream = self.clientStream
        let room = self.core.memory.roomForCoded()
        var first = first
        var flow = Flow.clear
        var input = UnsafeRawBufferPointer(start: data, count: piece.data)
        var isWhole = piece.data == 0 && !piece.isEnd
        self.core.codedInTurn += piece.data
        repeat {
            var part = BodyPiece()
            if !isWhole {
                switch coder.code(&input, isEnd: piece.isEnd, into: room) {
                case .whole(let count):
                    isWhole = true
                    part.data = count
                    part.isEnd = piece.isEnd
                    if piece.trailerBytes > 0 { part.trailerBytes = self.trailers(piece.trailerBytes) }
                case .more(let count): part.data = count
                case .failed: return .failed(hasBegun: first == nil)
                }
            }
            self.codedBytes &+= UInt64(part.data)
            let base = UnsafeRawPointer(room.baseAddress)
            if let (head, source) = first {
                first = nil
                flow = route.with { route in
                    client.with { $0.answer(head, source, edits: route.responseEdits, part, base, on: stream) }
                }
                if flow.isRefused { return .sent(flow) }
            } else if part.data > 0 || part.isEnd {
                flow = client.with { $0.answerBody(part, base, on: stream) }
            }
        } while !isWhole && flow != .gone
        return .sent(flow)
    }

    /// Of the trailers that stand in the worker's memory those that are still true; answers their bytes.
    private func trailers(_ count: Int) -> Int {
        let frames = self.core.memory.frames
        guard BodyFrames.trailerOffset + count <= frames.count else { return 0 }
        return ResponseEditor.dropDigests(
            UnsafeMutableRawBufferPointer(rebasing: frames[BodyFrames.trailerOffset...].prefix(count)))
    }

    /// A further piece of a body that goes in another form.
    func answerCoded(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        switch self.sendCoded(piece, data, behind: nil) {
        case .sent(let flow): self.passed(piece, flow)
        case .failed: self.cutCoded()
        }
    }

    /// What was sent cannot be gone on with. Our trouble, not the endpoint's.
    func cutCoded() {
        self.release(.closed)
        self.report(.cancelled)
        self.cut(.shortage)
    }

    /// What compressed the answer serves another.
    func restCoder() {
        guard let coder else { return }
        self.coder = nil
        self.core.coders.give(back: coder)
        self.route?.object.route.record.compression.add(taken: self.answerBytes, given: self.codedBytes)
    }
}

/// A route's compression with what the data plane derives from it once.
final class CompressionPlan: Sendable {
    let spec: CompressionSpec
    private let types: MediaTypes
    /// Never, whatever the types say: these are read as they come.
    private static let streams = MediaTypes(["text/event-stream"])

    init(_ spec: CompressionSpec) {
        self.spec = spec
        self.types = MediaTypes(spec.types)
    }

    func takes(_ type: borrowing Span<UInt8>) -> Bool {
        self.types.contains(type) && !Self.streams.contains(type) && !Self.isGRPC(type)
    }

    /// `application/grpc+proto`, `application/grpc-web`.
    private static func isGRPC(_ type: borrowing Span<UInt8>) -> Bool {
        ASCII.hasPrefixIgnoringCase(
            type, ByteRange(lower: 0, upper: UInt32(truncatingIfNeeded: type.count)), lowercase: "application/grpc")
    }
}
