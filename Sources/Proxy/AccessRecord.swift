import Compression
import HTTPWire
import Reactor
import Traffic

/// One JSON line per request. Field names are a public contract (docs/access-log.md).
enum AccessRecord {
    static func write(
        _ exchange: Exchange, _ client: ClientConnection, microseconds: UInt64, to log: AccessLogBuffer
    ) {
        guard let head = exchange.kept.head else { return }
        let core = exchange.core
        var writer = ByteWriter(core.memory.head)
        Self.begin(client, requestID: exchange.requestID, into: &writer)
        if exchange.clientAddress != client.peer {
            writer.append("\",\"forwardedFor\":\"")
            writer.append(utf8: exchange.clientAddress.description)
        }
        writer.append("\",\"status\":")
        writer.append(decimal: UInt64(exchange.status))
        let kept = exchange.kept.bytes.bindMemory(to: UInt8.self)
        Self.write(head, of: kept.span, into: &writer)
        writer.append("\",\"protocol\":\"")
        writer.append(client.protocolName(exchange.clientStream))
        if let tls = client.tls { Self.write(tls, into: &writer) }
        if exchange.clientStream > 0 {
            writer.append("\",\"stream\":")
            writer.append(decimal: UInt64(exchange.clientStream))
            writer.append(",\"requestBytes\":")
        } else {
            writer.append("\",\"requestBytes\":")
        }
        writer.append(decimal: exchange.requestBytes)
        writer.append(",\"responseBytes\":")
        writer.append(decimal: exchange.answerBytes)
        writer.append(",\"durationMicroseconds\":")
        writer.append(decimal: microseconds)
        if let route = exchange.route?.object {
            writer.append(",\"route\":\"")
            writer.append(utf8: route.name)
            writer.append("\"")
        }
        if let member = exchange.placement.member, let route = exchange.route?.object, member < route.memberNames.count
        {
            writer.append(",\"upstream\":\"")
            writer.append(bytes: route.memberNames[member])
            writer.append("\"")
        }
        if let pool = exchange.pool?.object {
            writer.append(",\"endpoint\":\"")
            writer.append(raw: pool.authority)
            writer.append("\",\"attempts\":")
            writer.append(decimal: UInt64(exchange.retries) + 1)
        }
        if let reason = exchange.reason {
            writer.append(",\"reason\":\"")
            writer.append(reason.word)
            writer.append("\"")
        }
        if let name = exchange.userName {
            writer.append(",\"user\":\"")
            let range = ByteRange(lower: 0, upper: UInt32(truncatingIfNeeded: name.count))
            Self.escape(name.span, range, limit: 255, into: &writer)
            writer.append("\"")
        }
        if let coder = exchange.coder {
            writer.append(",\"encoding\":\"")
            writer.append(coder.coding.token)
            writer.append("\",\"wireBytes\":")
            writer.append(decimal: exchange.codedBytes)
        }
        if exchange.grpcStatus >= 0 {
            writer.append(",\"grpcStatus\":")
            writer.append(decimal: UInt64(exchange.grpcStatus))
        }
        if exchange.limitedBy >= 0, let route = exchange.route?.object,
            Int(exchange.limitedBy) < route.rateLimits.count
        {
            writer.append(",\"rule\":\"")
            writer.append(utf8: route.rateLimits[Int(exchange.limitedBy)].object.spec.name)
            writer.append("\"")
        }
        writer.append("}\n")
        Self.finish(&writer, core.memory.head, log: log)
    }

    /// Within the quotes of the value before, and up to those of its own last one.
    private static func write(_ tls: ClientTLS, into writer: inout ByteWriter) {
        writer.append("\",\"tlsVersion\":\"")
        writer.append(tls.facts.version.name)
        writer.append("\",\"tlsCipher\":\"")
        writer.append(raw: tls.cipher)
        writer.append(tls.facts.isResumed ? "\",\"tlsResumed\":true" : "\",\"tlsResumed\":false")
        writer.append(",\"serverName\":\"")
        let range = ByteRange(lower: 0, upper: UInt32(truncatingIfNeeded: tls.serverName.count))
        tls.serverName.withUnsafeBufferPointer { Self.escape($0.span, range, limit: 256, into: &writer) }
    }

    /// Input that was no request.
    static func writeRejected(
        _ client: ClientConnection, requestID: (UInt64, UInt64), status: UInt16, word: String,
        to log: AccessLogBuffer
    ) {
        var writer = ByteWriter(client.core.memory.head)
        Self.begin(client, requestID: requestID, into: &writer)
        writer.append("\",\"status\":")
        writer.append(decimal: UInt64(status))
        writer.append(",\"reason\":\"")
        writer.append(utf8: word)
        writer.append("\"}\n")
        Self.finish(&writer, client.core.memory.head, log: log)
    }

    private static func begin(_ client: ClientConnection, requestID: (UInt64, UInt64), into writer: inout ByteWriter) {
        Self.begin(client.context.peer, requestID: requestID, into: &writer)
        if let relay = client.relay {
            writer.append("\",\"peer\":\"")
            writer.append(utf8: relay.proxy.description)
        }
    }

    private static func begin(_ peer: AddressText, requestID: (UInt64, UInt64), into writer: inout ByteWriter) {
        writer.append("{\"time\":\"")
        HTTPDate.writeISO(milliseconds: MonotonicClock.wallMilliseconds(), into: &writer)
        writer.append("\",\"requestId\":\"")
        writer.append(paddedHex: requestID.0)
        writer.append(paddedHex: requestID.1)
        writer.append("\",\"client\":\"")
        peer.write(into: &writer)
    }

    /// What was asked for, but for the quotes of its last value.
    private static func write(_ head: RequestHead, of span: borrowing Span<UInt8>, into writer: inout ByteWriter) {
        writer.append(",\"method\":\"")
        Self.escape(span, head.methodRange, limit: 32, into: &writer)
        writer.append("\",\"target\":\"")
        Self.escape(span, head.target, limit: 2_048, into: &writer)
        writer.append("\",\"host\":\"")
        Self.escape(span, head.host, limit: 256, into: &writer)
    }

    /// A copy that was sent. `status` is 0 where no answer came, and `reason` why; on the mirror's thread.
    static func write(
        _ job: MirrorJob, to endpoint: SocketAddress, status: UInt16, answerBytes: UInt64, microseconds: UInt64,
        reason: MirrorDrop?, in memory: UnsafeMutableRawBufferPointer, to log: AccessLogBuffer
    ) {
        let request = job.request
        let head = request.head.head
        var writer = ByteWriter(memory)
        Self.begin(request.peer, requestID: request.requestID, into: &writer)
        writer.append("\",\"mirror\":true,\"status\":")
        writer.append(decimal: UInt64(status))
        let bytes = request.head.bytes
        Self.write(head, of: bytes.span, into: &writer)
        writer.append("\",\"requestBytes\":")
        writer.append(decimal: UInt64(request.body.count))
        writer.append(",\"responseBytes\":")
        writer.append(decimal: answerBytes)
        writer.append(",\"durationMicroseconds\":")
        writer.append(decimal: microseconds)
        writer.append(",\"route\":\"")
        writer.append(utf8: request.route.name)
        writer.append("\",\"upstream\":\"")
        writer.append(utf8: request.route.route.upstream(job.member)?.name ?? "")
        writer.append("\",\"endpoint\":\"")
        writer.append(utf8: endpoint.description)
        if let reason {
            writer.append("\",\"reason\":\"")
            writer.append(utf8: reason.word)
        }
        writer.append("\"}\n")
        Self.finish(&writer, memory, log: log)
    }

    private static func finish(
        _ writer: inout ByteWriter, _ memory: UnsafeMutableRawBufferPointer, log: AccessLogBuffer
    ) {
        guard !writer.overflowed else { return }
        log.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[0..<writer.count]))
    }

    /// Bytes as JSON text: what could end the string or the line, or is no ASCII, becomes an escape.
    private static func escape(
        _ span: borrowing Span<UInt8>, _ range: ByteRange, limit: Int, into writer: inout ByteWriter
    ) {
        let upper = min(Int(range.upper), Int(range.lower) + limit, span.count)
        var index = Int(range.lower)
        while index < upper {
            let byte = span[index]
            if byte == 0x22 || byte == 0x5C {
                writer.append(0x5C)
                writer.append(byte)
            } else if byte < 0x20 || byte >= 0x7F {
                writer.append("\\u00")
                let high = byte >> 4
                let low = byte & 0xF
                writer.append(high < 10 ? 0x30 + high : 0x57 + high)
                writer.append(low < 10 ? 0x30 + low : 0x57 + low)
            } else {
                writer.append(byte)
            }
            index += 1
        }
    }
}
