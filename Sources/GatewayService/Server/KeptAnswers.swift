import HTTPTypes
import NIOCore
import NIOHTTP1
import Synchronization

/// Answers that need no work: what the cache holds, and what never changes. Shared by the connections' event loops and the
/// responder.
final class KeptAnswers: Sendable {
    /// What an answer counts as.
    struct Count: Sendable {
        let route: Int
        let isHit: Bool
    }

    /// An answer that lies ready.
    struct Ready {
        /// The response from the first byte to the last, or its head.
        var bytes: ByteBuffer
        /// The body that follows the head, when it is too large for loops to have copies of it.
        var body: Body?
    }

    /// The largest body of which a loop keeps copies of its own.
    private static let copiedBody = 64 * 1024
    /// The same for answers to an origin: there may be as many copies as origins.
    private static let copiedToOrigin = 4 * 1024

    private let cache: ResponseCache<Reply>?
    private let fixed: [String: Reply]
    let ledger: Ledger
    private var metrics: GatewayMetrics { ledger.metrics }
    private let drain: Drain
    private let identity: String?
    /// The codings that may be used, the preferred one first.
    let codings: [ContentCoding]
    private let clock = DateText.HeaderClock()
    private let loops = Mutex<[ObjectIdentifier: NIOLoopBound<LoopAnswers>]>([:])

    /// - Parameters:
    ///   - cache: nil for a service that keeps nothing.
    ///   - fixed: answers that never change, by path.
    ///   - identity: the value of `X-Served-By`, nil for no such header.
    ///   - codings: those that may be used, the preferred one first.
    init(
        cache: ResponseCache<Reply>?, fixed: [String: Reply], ledger: Ledger, drain: Drain, identity: String?,
        codings: [ContentCoding] = []
    ) {
        self.codings = codings
        self.cache = cache
        self.fixed = fixed
        self.ledger = ledger
        self.drain = drain
        self.identity = identity
    }

    /// Whether answers may leave by the short cut: until the process is told to stop.
    var isOpen: Bool { !drain.isBegun }

    /// The event loop's own answers; nil when requests are logged, since a log line needs more than the target.
    func answers(on loop: any EventLoop) -> LoopAnswers? {
        if ledger.log != nil { return nil }
        return loops.withLock { loops in
            let known =
                loops[ObjectIdentifier(loop)] ?? NIOLoopBound(LoopAnswers(self, on: loop), eventLoop: loop)
            loops[ObjectIdentifier(loop)] = known
            return known.value
        }
    }

    /// The response to a plain GET, and how long it may be given again. nil also when it is kept, and not in the form that
    /// the client likes best.
    func whole(
        for target: String, as coding: ContentCoding? = nil, from origin: String = ""
    ) -> (response: Ready, large: LargeHead?, until: NIODeadline, count: Count)? {
        var reply: Reply
        var until = NIODeadline.distantFuture
        let isHit: Bool
        if let kept = cache?.entry(for: target, now: .now) {
            guard let known = kept.body.known(as: coding) else { return nil }
            reply = known
            if reply.body?.tag != nil { reply.more.append(Reply.maxAge(kept.left)) }
            let (seconds, attoseconds) = kept.left.components
            until = .now() + .seconds(min(seconds, 3600)) + .nanoseconds(attoseconds / 1_000_000_000)
            isHit = true
        } else if let known = fixed[target] {
            reply = known
            isHit = false
        } else {
            return nil
        }
        guard let body = reply.body else { return nil }
        let isCopied = body.count <= (origin.isEmpty ? Self.copiedBody : Self.copiedToOrigin)
        var response = ByteBuffer()
        response.reserveCapacity(512 + (isCopied ? body.count : 0))
        response.writeStaticString("HTTP/1.1 200 OK\r\n")
        for (name, value) in fields(of: reply, origin: origin) { response.writeString("\(name): \(value)\r\n") }
        response.writeStaticString("\r\n")
        if isCopied { for piece in body.pieces { response.writeImmutableBuffer(piece) } }
        let large = isCopied ? nil : LargeHead(count: body.count, tag: body.tag, isEncoded: reply.coding != nil)
        return (
            Ready(bytes: response, body: isCopied ? nil : body), large, until,
            Count(route: metrics.index(of: reply.route), isHit: isHit)
        )
    }

    /// The body of a large answer that goes with a head made before; nil when the answer is another one by now, or none.
    ///
    /// - Parameters:
    ///   - coding: the form that the client likes best.
    ///   - head: of the answer for which the head was made.
    func body(for target: String, as coding: ContentCoding?, behind head: LargeHead) -> Body? {
        guard let kept = cache?.entry(for: target, now: .now)?.body, let plain = kept.body else { return nil }
        var body = plain
        if let coding, let forms = plain.forms {
            switch forms[coding] {
            case .made(let form): body = form
            case .useless: break
            case nil: return nil
            }
        }
        return body.count == head.count && body.tag == head.tag && (body.count < plain.count) == head.isEncoded
            ? body : nil
    }

    /// All that a head says of its body.
    struct LargeHead {
        let count: Int
        let tag: String?
        let isEncoded: Bool
    }

    func count(_ count: Count) {
        metrics.countImmediate(count.route, isHit: count.isHit)
    }

    /// The answer kept for a request, if it is a plain read: no body, no condition, no wish about the connection.
    func reply(to head: HTTPRequestHead) -> Reply? {
        guard isOpen, let cache, head.method == .GET || head.method == .HEAD, head.version == .http1_1 else {
            return nil
        }
        for (name, _) in head.headers {
            switch name.utf8.count {
            case 10 where name.utf8.lowercasedEquals("connection"): return nil
            case 6 where name.utf8.lowercasedEquals("expect"): return nil
            case 13 where name.utf8.lowercasedEquals("if-none-match"): return nil
            case 14 where name.utf8.lowercasedEquals("content-length"): return nil
            case 17 where name.utf8.lowercasedEquals("transfer-encoding"): return nil
            default: break
            }
        }
        guard let kept = cache.entry(for: head.uri, now: .now) else { return nil }
        let coding = ContentCoding.preferred(in: head.headers["Accept-Encoding"], of: codings)
        guard var reply = kept.body.known(as: coding) else { return nil }
        if reply.body?.tag != nil { reply.more.append(Reply.maxAge(kept.left)) }
        ledger.record(head, kept: reply)
        return reply
    }

    /// The head that goes before the reply's body.
    func head(of reply: Reply, to request: HTTPRequestHead) -> HTTPResponseHead {
        HTTPResponseHead(
            version: .http1_1, status: .ok,
            headers: HTTPHeaders(fields(of: reply, origin: request.headers["Origin"].joined(separator: ", "))))
    }

    private func fields(of reply: Reply, origin: String?) -> [(String, String)] {
        var fields = [
            ("Vary", cache == nil ? "Origin" : "Origin, Accept-Encoding"),
            ("Access-Control-Allow-Origin", Reply.allowedOrigin(origin)),
        ]
        if let contentType = reply.contentType { fields.append(("Content-Type", contentType)) }
        if let coding = reply.coding { fields.append(("Content-Encoding", coding.rawValue)) }
        if let tag = reply.body?.tag { fields.append(("ETag", "\"\(tag)\"")) }
        for field in reply.more { fields.append((field.name.rawName, field.value)) }
        fields.append(("Content-Length", String(reply.body?.count ?? 0)))
        fields.append(("Date", clock.now()))
        fields.append(("Connection", "keep-alive"))
        fields.append(("Keep-Alive", "timeout=5"))
        if let identity { fields.append(("X-Served-By", identity)) }
        return fields
    }
}

extension String.UTF8View {
    /// Whether these bytes are `text`, which is in lower case, in any letter case.
    func lowercasedEquals(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { expected in
            count == expected.count && zip(self, expected).allSatisfy { $0.lowercasedASCII == $1 }
        }
    }
}
