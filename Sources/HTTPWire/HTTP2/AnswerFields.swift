/// The fields of an HTTP/2 answer's head (RFC 9113 8.2, 8.3.2), checked one by one and written as the head of an HTTP/1.1
/// response, which `HeadParser` reads like any other: one parser decides what goes to clients.
///
/// What is wrong is remembered and not thrown, for a block must be decoded to its end whatever becomes of it.
package struct AnswerFields: ~Copyable {
    package enum Verdict: Equatable, Sendable {
        /// The head is so many bytes at the start of the room.
        case head(Int)
        case malformed(Malformation)
        /// Well formed, and more than may come.
        case tooLarge
    }

    /// Bytes of room for heads of up to `limit` bytes.
    package static func room(limit: Int) -> Int { limit + 1_024 }

    private let limits: HeadLimits
    /// The request asked for a WebSocket (RFC 8441 4), and its key is answered by this: a 2xx is then the 101 that others take it for.
    private let webSocketAnswer: [UInt8]?
    private var head: ByteWriter
    private var fault: Malformation?
    /// 0: none came.
    package private(set) var status: UInt16 = 0
    private var count = 0
    /// As RFC 9113 6.5.2 counts it.
    package private(set) var size = 0

    /// The room must outlive this.
    package init(
        _ room: UnsafeMutableRawBufferPointer, limits: HeadLimits, webSocketAnswer: [UInt8]? = nil
    ) {
        self.limits = limits
        self.webSocketAnswer = webSocketAnswer
        self.head = ByteWriter(room)
    }

    /// Takes the next field. How many may come is the carrier's to say.
    package mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        self.size += name.count + value.count + 32
        self.count += 1
        guard self.fault == nil, !self.isTooLarge else { return }
        if name.first == 0x3A {
            self.begin(name, value)
        } else if self.status == 0 {
            self.fault = .badPseudoField
        } else if !FieldRules.isName(name) {
            self.fault = .badFieldName
        } else if !FieldRules.isValue(value) {
            self.fault = .forbiddenByte
        } else if FieldRules.isOfConnection(name, value) || FieldRules.equals(name, "te") {
            self.fault = .connectionField
        } else if self.opensWebSocket, Self.meansNothing(name) {
            return
        } else {
            self.head.append(raw: name)
            self.head.append(": ")
            self.head.append(raw: value)
            self.head.append("\r\n")
        }
    }

    private var opensWebSocket: Bool { self.webSocketAnswer != nil && self.status / 100 == 2 }

    /// Of an opened WebSocket: the answer to a key that was never asked, and a length of what has none (RFC 8441 5, RFC 9110 9.3.6).
    private static func meansNothing(_ name: UnsafeRawBufferPointer) -> Bool {
        FieldRules.equals(name, "sec-websocket-accept") || FieldRules.equals(name, "content-length")
    }

    private var isTooLarge: Bool { self.size > self.limits.bytes || self.count > self.limits.count + 1 }

    /// `:status`, alone and first. HTTP/2 switches no protocols (8.6).
    private mutating func begin(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard FieldRules.equals(name, ":status"), self.status == 0 else { return self.fail(.badPseudoField) }
        guard value.count == 3 else { return self.fail(.badStatus) }
        var status: UInt16 = 0
        for byte in value {
            let digit = byte &- 0x30
            guard digit <= 9 else { return self.fail(.badStatus) }
            status = status * 10 + UInt16(digit)
        }
        guard status >= 100, status <= 599, status != 101 else { return self.fail(.badStatus) }
        self.status = status
        if let webSocketAnswer, self.opensWebSocket {
            self.head.append("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
            self.head.append("Sec-WebSocket-Accept: ")
            self.head.append(bytes: webSocketAnswer)
            self.head.append("\r\n")
            return
        }
        self.head.append("HTTP/1.1 ")
        self.head.append(raw: value)
        self.head.append(0x20)
        self.head.append(StatusText.phrase(status))
        self.head.append("\r\n")
    }

    private mutating func fail(_ fault: Malformation) { self.fault = fault }

    /// Ends the block.
    package mutating func finish() -> Verdict {
        if let fault { return .malformed(fault) }
        guard !self.isTooLarge else { return .tooLarge }
        guard self.status > 0 else { return .malformed(.badPseudoField) }
        self.head.append("\r\n")
        return self.head.overflowed ? .tooLarge : .head(self.head.count)
    }
}
