import Compression
import HTTPWire
import Reactor
import Traffic

/// Answers that are sent in a shorter form.
extension Exchange {
    /// How an answer of a route with compression goes down.
    struct Form {
        /// nil: as it came.
        var coder: ContentCoder?
        /// A strong entity tag would name bytes that not every client gets.
        var weakens = false
        /// It hangs on Accept-Encoding, be it for other clients.
        var varies = false
    }

    /// Decides about an answer whose fields are in the worker's memory. `piece` is what of its body came with it.
    func form(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ piece: BodyPiece, by route: RoutePlan,
        _ compression: CompressionPlan
    ) -> Form {
        let counts = route.route.record.compression
        let fields = self.core.memory.fields.list
        let span = source.bindMemory(to: UInt8.self).span
        let content = ContentFields(fields, span)
        if let reason = self.exclusion(head, content, span, piece, compression) {
            counts.skip(reason)
            return Form()
        }
        var form = Form(varies: !content.varies)
        guard let coding = self.wantedCoding(compression) else {
            counts.skip(.notAccepted)
            return form
        }
        if !compression.spec.credentials, self.hasCredentials {
            counts.skip(.credentials)
            return form
        }
        // What has no body is what a GET's answer would be.
        guard head.framing != .none else {
            form.weakens = true
            return form
        }
        guard !self.core.load.isSaturated else {
            counts.skip(.saturated)
            return form
        }
        guard let coder = self.core.coders.take(coding, level: compression.spec.level) else {
            counts.skip(.contexts)
            return form
        }
        counts.count(coding)
        form.coder = coder
        form.weakens = true
        return form
    }

    /// Why nobody gets this answer in another form; nil: some may.
    private func exclusion(
        _ head: ResponseHead, _ content: ContentFields, _ span: borrowing Span<UInt8>, _ piece: BodyPiece,
        _ compression: CompressionPlan
    ) -> CompressionCounts.Skip? {
        switch head.status {
        case 200, 203, 304, 404, 410, 500...599: break
        default: return .status
        }
        if content.isPart { return .status }
        if content.isEncoded { return .encoded }
        if content.mustStay
            || ContentFields.forbidChange(self.kept.fields, self.kept.bytes.bindMemory(to: UInt8.self).span)
        {
            return .noTransform
        }
        if let type = content.type {
            guard compression.takes(span.extracting(type.bounds)) else { return .type }
        } else if head.status != 304 {
            return .type
        }
        switch head.framing {
        case .length(let length): return length < max(1, compression.spec.minimum) ? .size : nil
        case .chunked, .untilClose:
            return piece.isEnd && UInt64(piece.data) < max(1, compression.spec.minimum) ? .size : nil
        case .none: return nil
        }
    }

    private var hasCredentials: Bool {
        self.kept.fields.present.contains(.cookie) || self.kept.fields.present.contains(.authorization)
    }

    /// The one that the client wants most, of those it wants alike the one that the route prefers; nil: none.
    private func wantedCoding(_ compression: CompressionPlan) -> ContentCoding? {
        // A client of HTTP/1.0 would see its end by the close alone.
        guard let head = self.kept.head, head.minorVersion > 0 else { return nil }
        let fields = self.kept.fields
        let span = self.kept.bytes.bindMemory(to: UInt8.self).span
        var best: ContentCoding?
        var bestWeight = 0
        for coding in compression.spec.algorithms {
            let weight = AcceptEncoding.weight(of: coding.token, alias: coding.alias, fields, span)
            if weight > bestWeight { (best, bestWeight) = (coding, weight) }
        }
        return best
    }

    // MARK: bodies

    /// Sends a piece in its form, behind its head if it is the first. All that came is flushed with it. nil: it could not be.
    func sendCoded(
        _ piece: BodyPiece, _ data: UnsafeRawPointer?,
        behind first: (head: ResponseHead, source: UnsafeRawBufferPointer)?
    ) -> Flow? {
        guard let client, let coder, let route else { return nil }
        let stream = self.clientStream
        let room = self.core.memory.roomForCoded()
        var first = first
        var flow = Flow.clear
        var input = UnsafeRawBufferPointer(start: data, count: piece.data)
        var isWhole = piece.data == 0 && !piece.isEnd
        repeat {
            var part = BodyPiece()
            if !isWhole {
                switch coder.code(&input, isEnd: piece.isEnd, into: room) {
                case .whole(let count):
                    isWhole = true
                    part.data = count
                    part.isEnd = piece.isEnd
                    part.trailerBytes = piece.trailerBytes
                case .more(let count): part.data = count
                case .failed: return nil
                }
            }
            self.codedBytes &+= UInt64(part.data)
            let base = UnsafeRawPointer(room.baseAddress)
            if let (head, source) = first {
                first = nil
                flow = route.with { route in
                    client.with { $0.answer(head, source, edits: route.responseEdits, part, base, on: stream) }
                }
                if flow.isRefused { return flow }
            } else if part.data > 0 || part.isEnd {
                flow = client.with { $0.answerBody(part, base, on: stream) }
            }
        } while !isWhole && flow != .gone
        return flow
    }

    /// A further piece of a body that goes in another form.
    func answerCoded(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        guard let flow = self.sendCoded(piece, data, behind: nil) else {
            // Our trouble, not the endpoint's.
            self.release(.closed)
            self.report(.cancelled)
            return self.cut(.shortage)
        }
        self.passed(piece, flow)
    }

    /// The exchange is over: what compressed its answer serves another.
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
