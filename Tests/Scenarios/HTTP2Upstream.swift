import HTTP2
import Synchronization
import TestSupport

/// An upstream that speaks HTTP/2 by prior knowledge. A test says what it does with each event of a connection.
final class HTTP2Upstream: Sendable {
    struct Request: Sendable {
        var stream: UInt32
        var connection: Int
        var fields: [(name: String, value: String)] = []
        var body: [UInt8] = []
        var trailers: [(name: String, value: String)] = []
        var isEnded = false

        func field(_ name: String) -> String? { self.fields.first { $0.name == name }?.value }
        var path: String { self.field(":path") ?? "" }
        var method: String { self.field(":method") ?? "" }
        var text: String { String(decoding: self.body, as: UTF8.self) }
    }

    enum Event: Sendable {
        /// Its head came.
        case began(UInt32)
        case data(UInt32, Int)
        case ended(UInt32)
        case reset(UInt32, UInt32)
        case goAway
        case ping
    }

    private struct State {
        var connections = 0
        var open = 0
        var requests: [Request] = []
        var resets: [(stream: UInt32, code: UInt32)] = []
        var goAways = 0
        /// The most streams that a connection had at a time.
        var mostStreams = 0
    }

    let plain: ScriptedUpstream
    private let state: StateBox

    private final class StateBox: Sendable {
        let value = Mutex(State())
    }

    var port: UInt16 { self.plain.port }
    /// Those that have come whole.
    var requests: [Request] { self.state.value.withLock { $0.requests } }
    var connections: Int { self.state.value.withLock { $0.connections } }
    var open: Int { self.state.value.withLock { $0.open } }
    var resets: [(stream: UInt32, code: UInt32)] { self.state.value.withLock { $0.resets } }
    var goAways: Int { self.state.value.withLock { $0.goAways } }
    var mostStreams: Int { self.state.value.withLock { $0.mostStreams } }

    func stop() { self.plain.stop() }

    /// `settings`: entries of its SETTINGS; nil: it sends none, nor a word about those of others. `reads`: whether windows are given back.
    init(
        settings: [(UInt16, UInt32)]? = [], reads: Bool = true,
        _ act: @escaping @Sendable (Event, Connection) throws -> Void
    ) throws {
        let state = StateBox()
        self.state = state
        self.plain = try ScriptedUpstream { raw, _ in
            let number = state.value.withLock { state in
                state.connections += 1
                state.open += 1
                return state.connections
            }
            defer { state.value.withLock { $0.open -= 1 } }
            let connection = try Connection(raw, number: number, settings: settings, reads: reads)
            try connection.run { event in
                state.value.withLock { state in
                    switch event {
                    case .ended(let stream):
                        if let request = connection.requests[stream] { state.requests.append(request) }
                    case .reset(let stream, let code): state.resets.append((stream, code))
                    case .goAway: state.goAways += 1
                    default: break
                    }
                    state.mostStreams = max(state.mostStreams, connection.streamCount)
                }
                try act(event, connection)
            }
        }
    }

    /// Answers each request, once it is whole, with its body, or with its path if it has none.
    static func echoing(settings: [(UInt16, UInt32)] = []) throws -> HTTP2Upstream {
        try HTTP2Upstream(settings: settings) { event, connection in
            guard case .ended(let stream) = event, let request = connection.requests[stream] else { return }
            let body = request.body.isEmpty ? Array(request.path.utf8) : request.body
            connection.answer(
                stream, fields: [("content-length", "\(body.count)")], body: request.method == "HEAD" ? [] : body)
        }
    }

    /// One connection, on its own thread.
    final class Connection {
        let raw: RawConnection
        let number: Int
        private(set) var requests: [UInt32: Request] = [:]
        private var held: [UInt8] = []
        private var inflater: FieldInflater
        private var reads: Bool
        private let greets: Bool
        /// What may be sent: of the connection, 0, and of streams.
        private var windows: [UInt32: Int] = [0: 65_535]
        private var firstWindow = 65_535
        private var waiting: [UInt32: (bytes: ArraySlice<UInt8>, trailers: [(String, String)]?, ends: Bool)] = [:]
        private var open: Set<UInt32> = []
        /// Ends the connection after the present event.
        var isOver = false

        var streamCount: Int { self.open.count }

        fileprivate init(_ raw: RawConnection, number: Int, settings: [(UInt16, UInt32)]?, reads: Bool) throws {
            guard let inflater = FieldInflater() else { throw TestFailure("no memory") }
            self.raw = raw
            self.number = number
            self.inflater = inflater
            self.reads = reads
            self.greets = settings != nil
            if let settings { self.settings(settings) }
        }

        func settings(_ entries: [(UInt16, UInt32)]) {
            self.frame(
                FrameType.settings, 0, 0,
                entries.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 0xFF)] + HTTP2Peer.word($0.1) })
        }

        @discardableResult
        func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> Bool {
            self.raw.send(
                [
                    UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 0xFF), UInt8(payload.count & 0xFF), type,
                    flags,
                ] + HTTP2Peer.word(stream) + payload)
        }

        func headers(_ stream: UInt32, _ fields: [(String, String)], ends: Bool = false) {
            if ends { self.open.remove(stream) }
            self.frame(FrameType.headers, ends ? 5 : 4, stream, fields.flatMap { HTTP2Peer.literal($0.0, $0.1) })
        }

        /// A head in as many frames as it takes.
        func longHeaders(_ stream: UInt32, _ fields: [(String, String)]) {
            var rest = fields.flatMap { HTTP2Peer.literal($0.0, $0.1) }[...]
            var type = FrameType.headers
            while !rest.isEmpty {
                let piece = rest.prefix(FrameReader.maximumLength)
                rest = rest.dropFirst(piece.count)
                let flags = (rest.isEmpty ? FrameFlag.endHeaders : 0) | (type == FrameType.headers ? 1 : 0)
                self.frame(type, flags, stream, Array(piece))
                type = FrameType.continuation
            }
        }

        /// As much as windows take now; the rest follows with them.
        func data(_ stream: UInt32, _ bytes: [UInt8], ends: Bool = false, trailers: [(String, String)]? = nil) {
            self.waiting[stream] = ((self.waiting[stream]?.bytes ?? []) + bytes, trailers, ends)
            self.flush(stream)
        }

        func answer(
            _ stream: UInt32, status: String = "200", fields: [(String, String)] = [], body: [UInt8] = [],
            trailers: [(String, String)]? = nil
        ) {
            let endsAtOnce = body.isEmpty && trailers == nil
            self.headers(stream, [(":status", status)] + fields, ends: endsAtOnce)
            if !endsAtOnce { self.data(stream, body, ends: true, trailers: trailers) }
        }

        func reset(_ stream: UInt32, _ code: ErrorCode) {
            self.open.remove(stream)
            self.waiting[stream] = nil
            self.frame(FrameType.reset, 0, stream, HTTP2Peer.word(code.rawValue))
        }

        func goAway(last: UInt32, _ code: ErrorCode = .noError) {
            self.frame(FrameType.goAway, 0, 0, HTTP2Peer.word(last) + HTTP2Peer.word(code.rawValue))
        }

        /// Gives back `count` bytes of a stream's window, where the connection does not do so by itself.
        func credit(_ stream: UInt32, _ count: Int) {
            guard count > 0 else { return }
            self.frame(FrameType.windowUpdate, 0, stream, HTTP2Peer.word(UInt32(count)))
        }

        private func flush(_ stream: UInt32) {
            guard var rest = self.waiting[stream] else { return }
            while !rest.bytes.isEmpty {
                let room = min(self.windows[0, default: 0], self.windows[stream, default: self.firstWindow], 16_384)
                guard room > 0 else { break }
                let piece = rest.bytes.prefix(room)
                rest.bytes = rest.bytes.dropFirst(room)
                self.windows[0, default: 0] -= piece.count
                self.windows[stream, default: self.firstWindow] -= piece.count
                let ends = rest.bytes.isEmpty && rest.ends && rest.trailers == nil
                if ends { self.open.remove(stream) }
                guard self.frame(FrameType.data, ends ? 1 : 0, stream, Array(piece)) else { return }
                if ends { rest.ends = false }
            }
            guard rest.bytes.isEmpty else {
                self.waiting[stream] = rest
                return
            }
            self.waiting[stream] = nil
            if let trailers = rest.trailers {
                self.headers(stream, trailers, ends: true)
            } else if rest.ends {
                self.open.remove(stream)
                self.frame(FrameType.data, 1, stream, [])
            }
        }

        fileprivate func run(_ act: (Event) throws -> Void) throws {
            var hasPreface = false
            let deadline = Deadline(seconds: 120)
            while !self.isOver {
                guard case .data(let bytes) = self.raw.receive(by: deadline) else { return }
                self.held += bytes
                if !hasPreface {
                    guard self.held.count >= Preface.count else { continue }
                    guard self.held.withUnsafeBytes({ Preface.match($0) }) == .whole else {
                        throw TestFailure("no preface")
                    }
                    self.held.removeFirst(Preface.count)
                    hasPreface = true
                }
                while !self.isOver,
                    let (frame, size) = try self.held.withUnsafeBytes({
                        try FrameReader.next($0, blockLimit: 1 << 20)
                    })
                {
                    let whole = Array(self.held[..<size])
                    self.held.removeFirst(size)
                    try self.take(frame, whole, act)
                }
            }
        }

        private func take(_ frame: Frame, _ bytes: [UInt8], _ act: (Event) throws -> Void) throws {
            switch frame {
            case .headers(let block):
                let fields = bytes.withUnsafeBytes { self.decode(block, $0) }
                if self.requests[block.stream] == nil {
                    self.requests[block.stream] = Request(
                        stream: block.stream, connection: self.number, fields: fields)
                    self.open.insert(block.stream)
                    try act(.began(block.stream))
                } else {
                    self.requests[block.stream]?.trailers = fields
                }
                if block.isEnd { try self.end(block.stream, act) }
            case .data(let stream, let content, let flow, let isEnd):
                self.requests[stream]?.body += bytes[content]
                if self.reads {
                    self.credit(0, flow)
                    if !isEnd { self.credit(stream, flow) }
                }
                try act(.data(stream, content.count))
                if isEnd { try self.end(stream, act) }
            case .reset(let stream, let code):
                self.open.remove(stream)
                self.waiting[stream] = nil
                try act(.reset(stream, code.rawValue))
            case .settings(let entries):
                for offset in stride(from: entries.lowerBound, to: entries.upperBound, by: 6)
                where bytes[offset] == 0 && bytes[offset + 1] == 4 {
                    let value = bytes[(offset + 2)..<(offset + 6)].reduce(0) { $0 << 8 | Int($1) }
                    for stream in self.windows.keys where stream > 0 {
                        self.windows[stream, default: 0] += value - self.firstWindow
                    }
                    self.firstWindow = value
                }
                if self.greets { self.frame(FrameType.settings, 1, 0, []) }
            case .windowUpdate(let stream, let increment):
                self.windows[stream, default: self.firstWindow] += increment
                for stream in self.waiting.keys.sorted() { self.flush(stream) }
            case .ping(let data, let isAcknowledgement):
                if !isAcknowledgement {
                    self.frame(
                        FrameType.ping, 1, 0,
                        HTTP2Peer.word(UInt32(data >> 32)) + HTTP2Peer.word(UInt32(truncatingIfNeeded: data)))
                }
                try act(.ping)
            case .goAway: try act(.goAway)
            default: break
            }
        }

        private func end(_ stream: UInt32, _ act: (Event) throws -> Void) throws {
            self.requests[stream]?.isEnded = true
            try act(.ended(stream))
        }

        private func decode(
            _ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer
        ) -> [(name: String, value: String)] {
            var fields: [(name: String, value: String)] = []
            var decoded = BlockFields(block, in: bytes)
            while let field = try? decoded.next(&self.inflater) {
                fields.append(
                    (String(decoding: field.name, as: UTF8.self), String(decoding: field.value, as: UTF8.self)))
            }
            return fields
        }
    }
}

extension BalancerProcess {
    /// In front of an upstream that speaks HTTP/2, with a listener that takes both.
    convenience init(
        before upstream: HTTP2Upstream, keys: String = "", routes: String? = nil, top: String = "",
        accessLog: Bool = false, workers: Int = 1
    ) throws {
        let text = Routes.configuration(
            upstreams: [("core", [upstream.port])], routes: routes,
            upstreamKeys: "\"protocol\": \"http2\"" + (keys.isEmpty ? "" : ", " + keys), top: top, accessLog: accessLog)
        try self.init(
            text.replacing(#""address": "127.0.0.1:0"}],"#, with: #""address": "127.0.0.1:0", "http2": true}],"#),
            workers: workers)
    }
}
