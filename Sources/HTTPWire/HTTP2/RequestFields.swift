/// The fields of an HTTP/2 request (RFC 9113 8.2, 8.3), checked one by one and written as the head of an HTTP/1.1 request, which
/// `HeadParser` reads like any other: one parser decides what goes upstream.
///
/// What is wrong is remembered and not thrown, for a block must be decoded to its end whatever becomes of it.
package struct RequestFields: ~Copyable {
    package enum Verdict: Equatable, Sendable {
        /// The head is so many bytes at the start of the room.
        case head(Int)
        /// The stream is to be reset.
        case malformed(Malformation)
        /// Well formed, and more than may come: 431.
        case tooLarge
    }

    /// Bytes of room for heads of up to `limit` bytes.
    package static func room(limit: Int) -> Int { 4 * (limit + 1_024) }

    /// Fields, or bytes of fields, this many times over the limit end the connection.
    private static let excess = (bytes: 4, fields: 10)

    private let limits: HeadLimits
    private let room: UnsafeMutableRawBufferPointer
    private var head: ByteWriter
    private var cookies: ByteWriter
    private var pseudo: ByteWriter
    private let cookieStart: Int
    private let pseudoStart: Int
    private var method = 0..<0
    private var scheme = 0..<0
    private var authority = 0..<0
    private var path = 0..<0
    /// Pseudo-fields that came, as bits.
    private var seen: UInt8 = 0
    /// `:protocol` may come (RFC 8441 3).
    private let allowsProtocol: Bool
    /// It asks for a WebSocket: the head is that of an upgrade, and needs a key.
    package private(set) var isWebSocket = false
    private var isBehindPseudo = false
    private var fault: Malformation?
    private var hasHost = false
    private var lengths = 0
    private var length: UInt64 = 0
    /// Fields so far, crumbs of cookies as one, and their size as RFC 9113 6.5.2 counts it.
    private var count = 0
    package private(set) var size = 0

    /// The room must outlive this. `allowsProtocol`: the client was told that it may ask for a WebSocket (RFC 8441 3).
    package init(_ room: UnsafeMutableRawBufferPointer, limits: HeadLimits, allowsProtocol: Bool = false) {
        self.allowsProtocol = allowsProtocol
        self.limits = limits
        self.room = room
        let half = room.count / 2
        let quarter = room.count / 4
        self.cookieStart = half
        self.pseudoStart = half + quarter
        self.head = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: room[0..<half]))
        self.cookies = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: room[half..<half + quarter]))
        self.pseudo = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: room[(half + quarter)...]))
    }

    /// What the request's content-length says; nil: it has none.
    package var announced: UInt64? { self.lengths > 0 ? self.length : nil }

    /// What is answered to it has no body.
    package var isHead: Bool { FieldRules.equals(self.pseudo(self.method), "HEAD") }

    /// Takes the next field. False: there are so many that the connection is to end.
    package mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        let isCrumb = FieldRules.equals(name, "cookie")
        if isCrumb, self.cookies.count > 0 {
            self.size += value.count + 2
        } else {
            self.size += name.count + value.count + 32
            self.count += 1
        }
        guard self.size <= Self.excess.bytes * self.limits.bytes, self.count <= Self.excess.fields * self.limits.count
        else { return false }
        guard self.fault == nil, !self.isTooLarge else { return true }
        if name.first == 0x3A {
            self.addPseudo(name, value)
        } else {
            if !self.isBehindPseudo { self.beginHead() }
            self.addField(name, value, isCrumb: isCrumb)
        }
        return true
    }

    private var isTooLarge: Bool { self.size > self.limits.bytes || self.count > self.limits.count + 4 }

    // MARK: pseudo-fields

    private mutating func addPseudo(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard !self.isBehindPseudo, FieldRules.isVisible(value) else { return self.fail(.badPseudoField) }
        let bit: UInt8
        let start = self.pseudo.count
        let range = start..<start + value.count
        if FieldRules.equals(name, ":method") {
            (bit, self.method) = (1, range)
            for byte in value where !ByteClass.isToken(byte) { self.fail(.badMethod) }
        } else if FieldRules.equals(name, ":scheme") {
            (bit, self.scheme) = (2, range)
        } else if FieldRules.equals(name, ":authority") {
            (bit, self.authority) = (4, range)
            // User information, a list or a path: no authority of an HTTP request.
            for byte in value where byte == 0x40 || byte == 0x2C || byte == 0x2F { self.fail(.badHost) }
        } else if FieldRules.equals(name, ":path") {
            (bit, self.path) = (8, range)
        } else if self.allowsProtocol, FieldRules.equals(name, ":protocol") {
            bit = 16
            self.isWebSocket = FieldRules.equalsIgnoringCase(value, "websocket")
        } else {
            return self.fail(.badPseudoField)
        }
        guard self.seen & bit == 0 else { return self.fail(.badPseudoField) }
        self.seen |= bit
        self.pseudo.append(raw: value)
    }

    private func pseudo(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            rebasing: UnsafeRawBufferPointer(self.room)[
                self.pseudoStart + range.lowerBound..<self.pseudoStart + range.upperBound])
    }

    /// The request line and Host, once no pseudo-field may follow.
    private mutating func beginHead() {
        self.isBehindPseudo = true
        guard self.fault == nil, !self.pseudo.overflowed else { return }
        let method = self.pseudo(self.method)
        let isConnect = FieldRules.equals(method, "CONNECT")
        // CONNECT has an authority alone (8.5), with `:protocol` all of them (RFC 8441 4), and everything else method, scheme
        // and path.
        let isExtended = self.seen & 16 != 0
        guard isExtended ? isConnect && self.seen == 31 : isConnect ? self.seen == 5 : self.seen & 11 == 11 else {
            return self.fail(.badPseudoField)
        }
        let path = self.pseudo(self.path)
        if !isConnect || isExtended {
            let scheme = self.pseudo(self.scheme)
            guard FieldRules.equalsIgnoringCase(scheme, "http") || FieldRules.equalsIgnoringCase(scheme, "https") else {
                return self.fail(.badPseudoField)
            }
            // Origin form, or the asterisk of OPTIONS (8.3.1); a fragment belongs to neither.
            guard path[0] == 0x2F || (path.count == 1 && path[0] == 0x2A) else { return self.fail(.badTarget) }
            for byte in path where byte == 0x23 { self.fail(.badTarget) }
        }
        // What else a protocol may be is refused as any CONNECT is.
        if self.isWebSocket { self.head.append("GET") } else { self.head.append(raw: method) }
        self.head.append(0x20)
        self.head.append(raw: isConnect && !self.isWebSocket ? self.pseudo(self.authority) : path)
        self.head.append(" HTTP/1.1\r\n")
        guard self.seen & 4 != 0 else { return }
        self.head.append("Host: ")
        self.head.append(raw: self.pseudo(self.authority))
        self.head.append("\r\n")
    }

    // MARK: fields

    private mutating func addField(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, isCrumb: Bool
    ) {
        guard FieldRules.isName(name) else { return self.fail(.badFieldName) }
        guard FieldRules.isValue(value) else { return self.fail(.forbiddenByte) }
        guard !FieldRules.isOfConnection(name, value) else { return self.fail(.connectionField) }
        // They mean nothing over HTTP/2 (RFC 8441 5); the endpoint gets a key of ours.
        if self.isWebSocket,
            FieldRules.equals(name, "sec-websocket-key") || FieldRules.equals(name, "sec-websocket-accept")
        {
            return
        }
        if isCrumb {
            if self.cookies.count > 0 { self.cookies.append("; ") }
            self.cookies.append(raw: value)
            return
        }
        if FieldRules.equals(name, "host") {
            guard !self.hasHost else { return self.fail(.severalHosts) }
            self.hasHost = true
            if self.seen & 4 != 0 {
                guard self.isAuthority(value) else { return self.fail(.severalHosts) }
                // It stands there already.
                return
            }
        } else if FieldRules.equals(name, "content-length") {
            guard let length = Self.decimal(value) else { return self.fail(.badContentLength) }
            guard self.lengths == 0 else { return self.fail(.repeatedContentLength) }
            self.lengths += 1
            self.length = length
        }
        self.head.append(raw: name)
        self.head.append(": ")
        self.head.append(raw: value)
        self.head.append("\r\n")
    }

    private func isAuthority(_ value: UnsafeRawBufferPointer) -> Bool {
        let authority = self.pseudo(self.authority)
        guard authority.count == value.count else { return false }
        for index in 0..<value.count where FieldRules.lower(value[index]) != FieldRules.lower(authority[index]) {
            return false
        }
        return true
    }

    private static func decimal(_ value: UnsafeRawBufferPointer) -> UInt64? {
        guard !value.isEmpty, value.count <= 19 else { return nil }
        var result: UInt64 = 0
        for byte in value {
            let digit = byte &- 0x30
            guard digit <= 9 else { return nil }
            result = result &* 10 &+ UInt64(digit)
        }
        return result
    }

    private mutating func fail(_ fault: Malformation) {
        if self.fault == nil { self.fault = fault }
    }

    // MARK: the end

    /// Adds what an HTTP/1 endpoint wants to hear before it opens a WebSocket (RFC 6455 4.1).
    package mutating func open(_ key: WebSocketKey) {
        if self.fault == nil, !self.isTooLarge, !self.isBehindPseudo { self.beginHead() }
        self.head.append("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ")
        self.head.append(bytes: key.text)
        self.head.append("\r\n")
    }

    /// Ends the block. `isEnd`: the request has no body.
    package mutating func finish(isEnd: Bool) -> Verdict {
        if self.fault == nil, !self.isTooLarge, !self.isBehindPseudo { self.beginHead() }
        if let fault { return .malformed(fault) }
        if self.isTooLarge { return .tooLarge }
        if self.cookies.count > 0 {
            self.head.append("Cookie: ")
            self.head.append(
                raw: UnsafeRawBufferPointer(
                    rebasing: UnsafeRawBufferPointer(self.room)[
                        self.cookieStart..<self.cookieStart + self.cookies.count]))
            self.head.append("\r\n")
        }
        if self.isWebSocket {
            // Neither a body nor its length: what follows is the tunnel's.
            guard self.lengths == 0 else { return .malformed(.badContentLength) }
        } else if isEnd {
            // A length and no body contradict each other (8.1.1).
            guard self.length == 0 else { return .malformed(.badContentLength) }
            if self.lengths == 0, self.announcesNoBody { self.head.append("Content-Length: 0\r\n") }
        } else if self.lengths == 0 {
            self.head.append("Transfer-Encoding: chunked\r\n")
        }
        self.head.append("\r\n")
        guard !self.head.overflowed, !self.cookies.overflowed, !self.pseudo.overflowed else { return .tooLarge }
        return .head(self.head.count)
    }

    /// Methods whose requests have bodies: that there is none is said (RFC 9110 8.6).
    private var announcesNoBody: Bool {
        let method = self.pseudo(self.method)
        return FieldRules.equals(method, "POST") || FieldRules.equals(method, "PUT")
            || FieldRules.equals(method, "PATCH")
    }
}
