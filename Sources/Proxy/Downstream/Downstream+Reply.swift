import Glibc
import HTTPWire
import Reactor
import Traffic

/// Answers of our own.
extension Downstream {
    /// Answers the present exchange and finishes it.
    func reply(_ reason: LocalReason) { self.reply(reason, status: reason.status) }

    func reply(_ reason: LocalReason, status: UInt16) {
        guard self.state == .exchange else { return }
        self.needsDispatch = false
        self.exchange.attempt = .none
        self.exchange.reason = reason
        self.exchange.status = status
        if !self.exchange.requestComplete || self.core.draining { self.closeAfter = true }
        var writer = ByteWriter(self.core.headScratch)
        self.writeReply(
            status: status, word: reason.word, retryAfter: reason.retryAfter, location: nil,
            hasBody: self.exchange.method != .head, into: &writer)
        self.core.pieces[0] = iovec(iov_base: self.core.headScratch.baseAddress, iov_len: writer.count)
        self.write(pieces: 1)
        self.finishExchange()
    }

    func replyRedirect(_ redirect: RedirectSpec, head: RequestHead, source: UnsafeRawBufferPointer) {
        // A client of HTTP/1.0 need not say which host it means; the location then stays relative to where it is, which
        // cannot be on another scheme.
        let isRelative = redirect.host == nil && head.host.isEmpty
        guard !isRelative || redirect.scheme == nil else { return self.reply(.badRequest) }
        self.exchange.reason = .redirect
        self.exchange.status = redirect.status
        if !self.exchange.requestComplete || self.core.draining { self.closeAfter = true }
        let span = source.bindMemory(to: UInt8.self).span
        // The location is built behind the room that the reply itself takes.
        let half = self.core.headScratch.count / 2
        let area = UnsafeMutableRawBufferPointer(rebasing: self.core.headScratch[half...])
        var location = ByteWriter(area)
        if !isRelative {
            location.append(utf8: redirect.scheme ?? "http")
            location.append("://")
            if let host = redirect.host { location.append(utf8: host) } else { location.append(span, head.host) }
        }
        if let path = redirect.path {
            location.append(utf8: path)
        } else if head.path.isEmpty {
            location.append(0x2F)
        } else {
            location.append(span, head.path)
        }
        if head.hasQuery {
            location.append(0x3F)
            location.append(span, head.query)
        }
        let built = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(area)[0..<location.count])
        var writer = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: self.core.headScratch[0..<half]))
        self.writeReply(
            status: redirect.status, word: LocalReason.redirect.word, retryAfter: nil, location: built,
            hasBody: self.exchange.method != .head, into: &writer)
        self.core.pieces[0] = iovec(iov_base: self.core.headScratch.baseAddress, iov_len: writer.count)
        self.write(pieces: 1)
        self.finishExchange()
    }

    /// Refuses input that is no request; the connection ends.
    func reject(_ error: HeadError) {
        self.rejectInput(status: error.status, word: error.reason)
    }

    /// A head that did not come in time.
    func reject(_ reason: LocalReason) {
        self.rejectInput(status: reason.status, word: nil, reason: reason.word)
    }

    private func rejectInput(status: UInt16, word: String?, reason: StaticString = "bad-request") {
        self.core.countRejected(status)
        self.closeAfter = true
        self.exchange.acceptsJSON = false
        self.exchange.requestID = (self.core.random.next(), self.core.random.next())
        var writer = ByteWriter(self.core.headScratch)
        self.writeReply(
            status: status, word: reason, detail: word, retryAfter: nil, location: nil, hasBody: true, into: &writer)
        self.core.pieces[0] = iovec(iov_base: self.core.headScratch.baseAddress, iov_len: writer.count)
        self.write(pieces: 1)
        if let log = self.core.log {
            AccessRecord.writeRejected(self, status: status, word: word ?? "\(reason)", to: log)
        }
        self.state = .idle
        if self.broken { self.close() } else { self.finishClosing() }
    }

    private func writeReply(
        status: UInt16, word: StaticString, detail: String? = nil, retryAfter: UInt64?,
        location: UnsafeRawBufferPointer?, hasBody: Bool, into writer: inout ByteWriter
    ) {
        let phrase = StatusText.phrase(status)
        writer.append("HTTP/1.1 ")
        writer.append(decimal: UInt64(status))
        writer.append(0x20)
        writer.append(phrase)
        writer.append("\r\nDate: ")
        HTTPDate.write(seconds: MonotonicClock.wallMilliseconds() / 1_000, into: &writer)
        writer.append("\r\n")
        let wordLength = detail?.utf8.count ?? word.utf8CodeUnitCount
        let explain = self.core.runtime.table.spec.explainErrors
        if explain {
            writer.append("X-Balancer-Reason: ")
            if let detail { writer.append(utf8: detail) } else { writer.append(word) }
            writer.append("\r\n")
        }
        writer.append("X-Request-ID: ")
        writer.append(paddedHex: self.exchange.requestID.0)
        writer.append(paddedHex: self.exchange.requestID.1)
        writer.append("\r\n")
        if let retryAfter {
            writer.append("Retry-After: ")
            writer.append(decimal: retryAfter)
            writer.append("\r\n")
        }
        if let location {
            writer.append("Location: ")
            writer.append(raw: location)
            writer.append("\r\n")
        }
        if status == 405 { writer.append("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n") }
        if self.exchange.acceptsJSON {
            // {"status":S,"error":"P","reason":"W"}
            let fixed = #"{"status":,"error":"","reason":""}"#.utf8.count + 3 + phrase.utf8CodeUnitCount + 1
            writer.append("Content-Type: application/json\r\nContent-Length: ")
            writer.append(decimal: UInt64(fixed + (explain ? wordLength : 0)))
        } else {
            writer.append("Content-Type: text/plain; charset=utf-8\r\nContent-Length: ")
            writer.append(decimal: UInt64(4 + phrase.utf8CodeUnitCount + (explain ? 2 + wordLength : 0) + 1))
        }
        writer.append("\r\n")
        if self.closeAfter {
            writer.append("Connection: close\r\n")
        } else if self.exchange.minorVersion == 0 {
            writer.append("Connection: keep-alive\r\n")
        }
        writer.append("\r\n")
        guard hasBody else { return }
        if self.exchange.acceptsJSON {
            writer.append("{\"status\":")
            writer.append(decimal: UInt64(status))
            writer.append(",\"error\":\"")
            writer.append(phrase)
            writer.append("\",\"reason\":\"")
            if explain { if let detail { writer.append(utf8: detail) } else { writer.append(word) } }
            writer.append("\"}\n")
        } else {
            writer.append(decimal: UInt64(status))
            writer.append(0x20)
            writer.append(phrase)
            if explain {
                writer.append(": ")
                if let detail { writer.append(utf8: detail) } else { writer.append(word) }
            }
            writer.append("\n")
        }
    }
}
