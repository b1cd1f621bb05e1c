import HTTPWire
import Reactor
import Traffic

/// One JSON line per request. Field names are a public contract (docs/access-log.md).
enum AccessRecord {
    static func write(_ connection: Downstream, microseconds: UInt64, to log: AccessLogBuffer) {
        let core = connection.core
        var writer = ByteWriter(core.headScratch)
        let exchange = connection.exchange
        Self.begin(connection, status: exchange.status, into: &writer)
        let kept = exchange.kept.bytes.bindMemory(to: UInt8.self)
        let span = kept.span
        writer.append(",\"method\":\"")
        Self.escape(span, exchange.methodRange, limit: 32, into: &writer)
        writer.append("\",\"target\":\"")
        Self.escape(span, exchange.target, limit: 2_048, into: &writer)
        writer.append("\",\"host\":\"")
        Self.escape(span, exchange.host, limit: 256, into: &writer)
        writer.append("\",\"protocol\":\"HTTP/1.")
        writer.append(decimal: UInt64(exchange.minorVersion))
        writer.append("\",\"requestBytes\":")
        writer.append(decimal: exchange.requestBytes)
        writer.append(",\"responseBytes\":")
        writer.append(decimal: exchange.responseBytes)
        writer.append(",\"durationMicroseconds\":")
        writer.append(decimal: microseconds)
        if let route = exchange.route {
            writer.append(",\"route\":\"")
            writer.append(utf8: route.name)
            writer.append("\"")
        }
        if exchange.member >= 0, let route = exchange.route, exchange.member < route.memberNames.count {
            writer.append(",\"upstream\":\"")
            writer.append(bytes: route.memberNames[exchange.member])
            writer.append("\"")
        }
        if let pool = exchange.pool {
            writer.append(",\"endpoint\":\"")
            writer.append(bytes: pool.authority)
            writer.append("\",\"attempts\":")
            writer.append(decimal: UInt64(exchange.attempts) + 1)
        }
        if let reason = exchange.reason {
            writer.append(",\"reason\":\"")
            writer.append(reason.word)
            writer.append("\"")
        }
        writer.append("}\n")
        Self.finish(&writer, core: core, log: log)
    }

    /// Input that was no request.
    static func writeRejected(_ connection: Downstream, status: UInt16, word: String, to log: AccessLogBuffer) {
        var writer = ByteWriter(connection.core.headScratch)
        Self.begin(connection, status: status, into: &writer)
        writer.append(",\"reason\":\"")
        writer.append(utf8: word)
        writer.append("\"}\n")
        Self.finish(&writer, core: connection.core, log: log)
    }

    private static func begin(_ connection: Downstream, status: UInt16, into writer: inout ByteWriter) {
        writer.append("{\"time\":\"")
        HTTPDate.writeISO(milliseconds: MonotonicClock.wallMilliseconds(), into: &writer)
        writer.append("\",\"requestId\":\"")
        writer.append(paddedHex: connection.exchange.requestID.0)
        writer.append(paddedHex: connection.exchange.requestID.1)
        writer.append("\",\"client\":\"")
        writer.append(bytes: connection.peerText)
        if connection.exchange.client != connection.peer {
            writer.append("\",\"forwardedFor\":\"")
            writer.append(utf8: connection.exchange.client.description)
        }
        writer.append("\",\"status\":")
        writer.append(decimal: UInt64(status))
    }

    private static func finish(_ writer: inout ByteWriter, core: WorkerCore, log: AccessLogBuffer) {
        guard !writer.overflowed else { return }
        log.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(core.headScratch)[0..<writer.count]))
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
