import HTTP2
import HTTPWire
import Traffic

/// A probe over HTTP/2: the bytes to send and what comes back. Pure; everything of ours is sent at once, so the server's frames
/// need no answer before its own is whole.
enum HTTP2Probe {
    /// What has come so far.
    struct Answer {
        /// 0: no final head.
        var status: UInt16 = 0
        var body: [UInt8] = []
        /// Of `grpc-status`, in the trailers, or in the head where there is nothing else.
        var grpcStatus: String?
        var isEnded = false
        var isMalformed = false
    }

    /// The one that the probe opens.
    private static let stream: UInt32 = 1
    /// Bytes of a field block that are taken.
    private static let blockLimit = 32_768
    /// What the fields of one block may come to.
    private static let fieldLimit = 4 * blockLimit

    // MARK: the request

    static func request(_ spec: ProbeSpec, host: String, isSecure: Bool) -> [UInt8] {
        var fields = [
            (":method", spec.grpc == nil ? spec.method : "POST"), (":scheme", isSecure ? "https" : "http"),
            (":path", spec.grpc == nil ? spec.path : "/grpc.health.v1.Health/Check"), (":authority", host),
            ("user-agent", "balancer-probe"),
        ]
        if spec.grpc == nil {
            fields.append(("accept", "*/*"))
        } else {
            fields += [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "\(spec.timeout)m")]
        }
        let body = spec.grpc.map { Self.message(asking: $0) } ?? []
        let block = Self.encode(fields)
        return [UInt8](unsafeUninitializedCapacity: block.count + body.count + 256) { room, count in
            var out = FrameWriter(UnsafeMutableRawBufferPointer(room))
            out.preface()
            // Nothing pushed.
            out.settings([(0x2, 0)])
            block.withUnsafeBytes { out.headers(Self.stream, $0, isEnd: body.isEmpty) }
            if !body.isEmpty { body.withUnsafeBytes { out.data(Self.stream, $0, isEnd: true) } }
            count = out.count
        }
    }

    private static func encode(_ fields: [(String, String)]) -> [UInt8] {
        guard var deflater = FieldDeflater() else { return [] }
        var array = FieldArray(capacity: fields.count)
        var bytes: [UInt8] = []
        var ranges: [(Range<Int>, Range<Int>)] = []
        for (name, value) in fields {
            let start = bytes.count
            bytes += name.utf8
            let middle = bytes.count
            bytes += value.utf8
            ranges.append((start..<middle, middle..<bytes.count))
        }
        return bytes.withUnsafeBytes { source in
            for (name, value) in ranges {
                array.append(
                    name: UnsafeRawBufferPointer(rebasing: source[name]),
                    value: UnsafeRawBufferPointer(rebasing: source[value]))
            }
            return [UInt8](unsafeUninitializedCapacity: 2 * source.count + 256) { room, count in
                count = deflater.encode(array, into: UnsafeMutableRawBufferPointer(room)) ?? 0
            }
        }
    }

    /// `HealthCheckRequest { service = 1 }`, behind the five bytes that gRPC puts before each message.
    private static func message(asking service: String) -> [UInt8] {
        var message: [UInt8] = []
        if !service.isEmpty {
            let name = Array(service.utf8)
            // A string of field 1; its length is a varint of one or two bytes.
            message = [0x0A]
            if name.count < 128 {
                message.append(UInt8(name.count))
            } else {
                message += [UInt8(name.count & 0x7F) | 0x80, UInt8(name.count >> 7)]
            }
            message += name
        }
        return [0, 0, 0, UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message
    }

    /// Whether a body is `HealthCheckResponse { status = SERVING }`.
    static func saysServing(_ body: [UInt8]) -> Bool { body == [0, 0, 0, 0, 2, 0x08, 0x01] }

    // MARK: the answer

    static func read(_ bytes: [UInt8]) -> Answer {
        var answer = Answer()
        guard var inflater = FieldInflater() else { return answer }
        bytes.withUnsafeBytes { bytes in
            var rest = UnsafeRawBufferPointer(rebasing: bytes[...])
            do throws(ConnectionFault) {
                while !answer.isEnded,
                    let (frame, size) = try FrameReader.next(rest, blockLimit: Self.blockLimit)
                {
                    try Self.take(frame, rest, &inflater, &answer)
                    rest = UnsafeRawBufferPointer(rebasing: rest[size...])
                }
            } catch {
                answer.isMalformed = true
            }
        }
        return answer
    }

    private static func take(
        _ frame: Frame, _ bytes: UnsafeRawBufferPointer, _ inflater: inout FieldInflater, _ answer: inout Answer
    ) throws(ConnectionFault) {
        switch frame {
        case .headers(let block):
            var fields = BlockFields(block, in: bytes)
            var status: UInt16?
            while let field = try fields.next(&inflater, upTo: Self.fieldLimit) {
                let name = String(decoding: field.name, as: UTF8.self)
                if name == ":status" { status = UInt16(String(decoding: field.value, as: UTF8.self)) }
                if name == "grpc-status" { answer.grpcStatus = String(decoding: field.value, as: UTF8.self) }
            }
            if let status, status >= 200, answer.status == 0 { answer.status = status }
            if block.isEnd { answer.isEnded = true }
        case .data(_, let content, _, let isEnd):
            answer.body += bytes[content]
            if isEnd { answer.isEnded = true }
        case .goAway(let last, _) where last >= Self.stream:
            // It ends the connection behind what it has taken, and that is the probe (RFC 9113 6.8).
            break
        case .reset, .goAway:
            // No answer follows, or none that could be trusted.
            if !answer.isEnded { throw ConnectionFault(.protocolError) }
        default: break
        }
    }
}
