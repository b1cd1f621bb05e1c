import HTTP2
import TestSupport

/// A client of HTTP/2 that a test drives frame by frame; fields are encoded as literals and decoded by nghttp2.
final class HTTP2Peer {
    struct Answer {
        /// Statuses of interim answers.
        var interims: [String] = []
        var fields: [(name: String, value: String)] = []
        var body: [UInt8] = []
        var trailers: [(name: String, value: String)] = []
        var isEnded = false
        var reset: UInt32?

        var status: String? { self.field(":status") }
        var text: String { String(decoding: self.body, as: UTF8.self) }
        func field(_ name: String) -> String? { self.fields.first { $0.name == name }?.value }
        /// Ended, or reset.
        var isOver: Bool { self.isEnded || self.reset != nil }
    }

    let connection: RawConnection
    private var held: [UInt8] = []
    private var inflater: FieldInflater
    private(set) var answers: [UInt32: Answer] = [:]
    private(set) var goAways: [(last: UInt32, code: UInt32)] = []
    private(set) var pings: [UInt64] = []
    private(set) var dataFrames = 0
    /// Whose bytes came, in their order: neighbours of one stream together.
    private(set) var order: [(stream: UInt32, count: Int)] = []
    /// What the balancer let us send: the connection, and streams.
    private(set) var credit: [UInt32: Int] = [:]
    private(set) var end: RawConnection.End?
    /// Gives back at once what came.
    var reads = true
    private var next: UInt32 = 1
    /// Lives as long as this.
    private var relay: TLSRelay?

    /// Greets unless `greets` is false. `settings`: entries of our SETTINGS.
    convenience init(_ balancer: BalancerProcess, greets: Bool = true, settings: [(UInt16, UInt32)] = []) throws {
        try self.init(over: balancer.connect(), greets: greets, settings: settings)
    }

    /// The same within TLS.
    convenience init(through relay: TLSRelay, greets: Bool = true, settings: [(UInt16, UInt32)] = []) throws {
        try self.init(over: relay.connect(), greets: greets, settings: settings)
        self.relay = relay
    }

    private init(over connection: RawConnection, greets: Bool, settings: [(UInt16, UInt32)]) throws {
        self.connection = connection
        guard let inflater = FieldInflater() else { throw TestFailure("no memory") }
        self.inflater = inflater
        guard greets else { return }
        self.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8))
        self.send(
            self.frame(
                FrameType.settings,
                settings.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 0xFF)] + Self.word($0.1) }))
        self.send(self.frame(FrameType.settings, flags: 1, []))
    }

    static func word(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

    func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8]) -> [UInt8] {
        [UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 0xFF), UInt8(payload.count & 0xFF), type, flags]
            + Self.word(stream) + payload
    }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool { self.connection.send(bytes) }

    // MARK: requests

    /// A field as a literal without indexing (RFC 7541 6.2.2).
    static func literal(_ name: String, _ value: String) -> [UInt8] {
        func text(_ text: String) -> [UInt8] {
            let bytes = Array(text.utf8)
            if bytes.count < 127 { return [UInt8(bytes.count)] + bytes }
            var rest = bytes.count - 127
            var prefix: [UInt8] = [127]
            while rest >= 128 {
                prefix.append(UInt8(rest & 127) | 128)
                rest >>= 7
            }
            return prefix + [UInt8(rest)] + bytes
        }
        return [0] + text(name) + text(value)
    }

    func headers(_ stream: UInt32, _ fields: [(String, String)], isEnd: Bool) -> [UInt8] {
        self.frame(
            FrameType.headers, flags: isEnd ? 5 : 4, stream: stream, fields.flatMap { Self.literal($0.0, $0.1) })
    }

    func newStream() -> UInt32 {
        defer { self.next += 2 }
        return self.next
    }

    @discardableResult
    func request(
        _ path: String = "/", method: String = "GET", fields: [(String, String)] = [], isEnd: Bool = true
    ) -> UInt32 {
        let stream = self.newStream()
        let head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "test")]
        self.send(self.headers(stream, head + fields, isEnd: isEnd))
        return stream
    }

    func data(_ stream: UInt32, _ bytes: [UInt8], isEnd: Bool = false) {
        self.send(self.frame(FrameType.data, flags: isEnd ? 1 : 0, stream: stream, bytes))
    }

    func data(_ stream: UInt32, _ text: String, isEnd: Bool = false) {
        self.data(stream, Array(text.utf8), isEnd: isEnd)
    }

    func reset(_ stream: UInt32, _ code: UInt32 = 8) {
        self.send(self.frame(FrameType.reset, stream: stream, Self.word(code)))
    }

    func windowUpdate(_ stream: UInt32, _ count: Int) {
        self.send(self.frame(FrameType.windowUpdate, stream: stream, Self.word(UInt32(count))))
    }

    func priorityUpdate(_ stream: UInt32, _ value: String) {
        self.send(self.frame(FrameType.priorityUpdate, HTTP2Peer.word(stream) + Array(value.utf8)))
    }

    // MARK: answers

    /// Reads until `condition`; false if the connection ends or time passes first.
    @discardableResult
    func read(seconds: Double = 30, until condition: (HTTP2Peer) -> Bool) -> Bool {
        let deadline = Deadline(seconds: seconds)
        while !condition(self) {
            if self.end != nil { return false }
            switch self.connection.receive(by: deadline) {
            case .data(let bytes):
                self.held += bytes
                self.takeFrames()
            case .timeout: return false
            case let end: self.end = end
            }
        }
        return true
    }

    /// The answer of a stream once it is over.
    func answer(_ stream: UInt32, seconds: Double = 30) throws -> Answer {
        guard self.read(seconds: seconds, until: { $0.answers[stream]?.isOver ?? false }) else {
            throw TestFailure(
                "no answer on \(stream): \(self.answers[stream] as Any), \(self.goAways), \(self.end as Any)")
        }
        return self.answers[stream] ?? Answer()
    }

    private func takeFrames() {
        var offset = 0
        self.held.withUnsafeBytes { bytes in
            while let (frame, size) = try? FrameReader.next(
                UnsafeRawBufferPointer(rebasing: bytes[offset...]), blockLimit: 1 << 20)
            {
                self.take(frame, UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + size]))
                offset += size
            }
        }
        self.held.removeFirst(offset)
    }

    private func take(_ frame: Frame, _ bytes: UnsafeRawBufferPointer) {
        switch frame {
        case .data(let stream, let content, let flow, let isEnd):
            self.dataFrames += 1
            self.answers[stream, default: Answer()].body += bytes[content]
            self.note(stream, content.count)
            if isEnd { self.answers[stream]?.isEnded = true }
            if self.reads, flow > 0 {
                self.windowUpdate(0, flow)
                if !isEnd { self.windowUpdate(stream, flow) }
            }
        case .headers(let block): self.take(block, bytes)
        case .reset(let stream, let code): self.answers[stream, default: Answer()].reset = code.rawValue
        case .goAway(let last, let code): self.goAways.append((last, code.rawValue))
        case .ping(let data, let isAcknowledgement):
            self.pings.append(data)
            if !isAcknowledgement, self.reads {
                self.send(
                    self.frame(
                        FrameType.ping, flags: 1,
                        Self.word(UInt32(data >> 32)) + Self.word(UInt32(truncatingIfNeeded: data))))
            }
        case .windowUpdate(let stream, let increment): self.credit[stream, default: 0] += increment
        default: break
        }
    }

    private func note(_ stream: UInt32, _ count: Int) {
        guard count > 0 else { return }
        if self.order.last?.stream == stream {
            self.order[self.order.count - 1].count += count
        } else {
            self.order.append((stream, count))
        }
    }

    private func take(_ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) {
        var fields: [(name: String, value: String)] = []
        var decoded = BlockFields(block, in: bytes)
        while let field = try? decoded.next(&self.inflater) {
            fields.append(
                (String(decoding: field.name, as: UTF8.self), String(decoding: field.value, as: UTF8.self)))
        }
        var answer = self.answers[block.stream, default: Answer()]
        if let status = fields.first(where: { $0.name == ":status" })?.value, status.hasPrefix("1") {
            answer.interims.append(status)
        } else if answer.fields.isEmpty {
            answer.fields = fields
        } else {
            answer.trailers = fields
        }
        if block.isEnd { answer.isEnded = true }
        self.answers[block.stream] = answer
    }
}

extension BalancerProcess {
    /// In front of one upstream, with a listener that speaks HTTP/2.
    convenience init(
        http2Before upstream: ScriptedUpstream, keys: String = "", routes: String? = nil, top: String = "",
        accessLog: Bool = false, workers: Int = 1
    ) throws {
        let text = Routes.configuration(
            upstreams: [("core", [upstream.port])], routes: routes, upstreamKeys: keys, top: top, accessLog: accessLog)
        try self.init(
            text.replacing(#""address": "127.0.0.1:0"}],"#, with: #""address": "127.0.0.1:0", "http2": true}],"#),
            workers: workers)
    }
}
