import Traffic

/// What can be asked for.
enum DNSType: UInt16, Sendable {
    case a = 1
    case aaaa = 28
    case srv = 33
}

struct DNSQuestion: Hashable, Sendable {
    var name: DNSName
    var type: DNSType
}

/// The messages of RFC 1035 §4, as far as a stub resolver needs them. Pure.
enum DNSMessage {
    /// Bytes of a datagram that we announce to take (RFC 6891 §6.2.5): what passes every common path in one piece.
    static let datagramSize: UInt16 = 1_232

    /// A question with recursion desired; `extended`: with the OPT record that allows long answers.
    static func query(id: UInt16, _ question: DNSQuestion, extended: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ value: UInt16) {
            bytes.append(UInt8(value >> 8))
            bytes.append(UInt8(value & 0xFF))
        }
        append(id)
        append(0x0100)
        append(1)
        append(0)
        append(0)
        append(extended ? 1 : 0)
        bytes += question.name.wire
        append(question.type.rawValue)
        append(1)
        if extended {
            bytes.append(0)
            append(41)
            append(Self.datagramSize)
            append(0)
            append(0)
            append(0)
        }
        return bytes
    }

    /// Whether the bytes claim to be the response to this question: its id, its name, its type. Anything else is
    /// somebody else's or forged, and to be passed over.
    static func answers(_ bytes: [UInt8], id: UInt16, _ question: DNSQuestion) -> Bool {
        var reader = DNSReader(bytes)
        return (try? Self.head(&reader, id: id, question)) != nil
    }

    /// Reads the response to a question.
    static func response(_ bytes: [UInt8], id: UInt16, _ question: DNSQuestion) throws(DNSFault) -> DNSResponse {
        var reader = DNSReader(bytes)
        let head = try Self.head(&reader, id: id, question)
        var response = DNSResponse(code: head.code, isTruncated: head.isTruncated)
        guard !head.isTruncated else { return response }
        for _ in 0..<head.answers {
            if let record = try Self.record(&reader) { response.answers.append(record) }
        }
        for _ in 0..<head.authorities { _ = try Self.record(&reader) }
        for _ in 0..<head.additional {
            if let record = try Self.record(&reader) { response.additional.append(record) }
        }
        return response
    }

    private struct Head {
        var code: DNSResponse.Code
        var isTruncated: Bool
        var answers: UInt16
        var authorities: UInt16
        var additional: UInt16
    }

    private static func head(
        _ reader: inout DNSReader, id: UInt16, _ question: DNSQuestion
    ) throws(DNSFault) -> Head {
        guard try reader.uint16() == id else { throw .unrelated }
        let flags = try reader.uint16()
        // A response (QR) to a standard query (OPCODE 0).
        guard flags & 0xF800 == 0x8000 else { throw .unrelated }
        let questions = try reader.uint16()
        let head = Head(
            code: DNSResponse.Code(UInt8(flags & 0xF)), isTruncated: flags & 0x0200 != 0,
            answers: try reader.uint16(), authorities: try reader.uint16(), additional: try reader.uint16())
        // Servers that could not read the question need not repeat it.
        if questions == 0, head.code == .formatError || head.code == .notImplemented { return head }
        guard questions == 1, try reader.name() == question.name, try reader.uint16() == question.type.rawValue,
            try reader.uint16() == 1
        else { throw .unrelated }
        return head
    }

    /// nil: of a kind or class that does not matter.
    private static func record(_ reader: inout DNSReader) throws(DNSFault) -> DNSRecord? {
        let name = try reader.name()
        let type = try reader.uint16()
        let isInternet = try reader.uint16() == 1
        try reader.skip(4)
        let length = Int(try reader.uint16())
        let end = reader.position + length
        // `skip` proves that the data lies within the message.
        var data = reader
        try reader.skip(length)
        guard isInternet else { return nil }
        let content: DNSRecord.Content
        switch type {
        case DNSType.a.rawValue:
            guard length == 4 else { throw .badRecord }
            content = .address(IPAddress(v4: try data.uint32()))
        case DNSType.aaaa.rawValue:
            guard length == 16 else { throw .badRecord }
            content = .address(IPAddress(high: try data.uint64(), low: try data.uint64()))
        case DNSType.srv.rawValue:
            content = .service(
                DNSService(
                    priority: try data.uint16(), weight: try data.uint16(), port: try data.uint16(),
                    target: try data.name()))
        case 5: content = .alias(try data.name())
        default: return nil
        }
        guard data.position == end else { throw .badRecord }
        return DNSRecord(name: name, content: content)
    }
}
