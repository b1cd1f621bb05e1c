import HTTPWire
import Testing

/// Heads as they go out, line by line.
enum Rewriting {
    /// What the balancer adds to a request of `192.0.2.7` for `h` by default.
    static let ours = [
        "Via: 1.1 balancer", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: h",
        "X-Request-ID: 00000000000000010000000000000002",
    ]

    static func policy(
        path: RequestPolicy.Path = .keep, host: String? = nil, via: String = "balancer", forwarded: Bool = false,
        underscores: RequestPolicy.Underscores = .drop, edits: FieldEdits = .none, sendsOrigin: Bool = true
    ) -> RequestPolicy {
        RequestPolicy(
            path: path, host: host.map { Array($0.utf8) }, via: Array(via.utf8), xForwarded: sendsOrigin,
            forwarded: forwarded, requestID: sendsOrigin, underscores: underscores, edits: edits)
    }

    static func request(
        _ text: String, policy: RequestPolicy = Rewriting.policy(), trusted: Bool = false, upgrades: Bool = false,
        peer: String = "192.0.2.7", scheme: RequestContext.Scheme = .http, endpointHost: String? = nil
    ) throws -> [String] {
        let bytes = Parsing.bytes(text)
        var fields = FieldTable(capacity: 1)
        let parsed = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &fields)
        let head = try #require(parsed)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8_192, alignment: 1)
        defer { buffer.deallocate() }
        var writer = ByteWriter(buffer)
        var context = RequestContext(
            peer: AddressText(peer.utf8), scheme: scheme, isPeerTrusted: trusted, requestID: (1, 2),
            upgrades: upgrades)
        let host = Array((endpointHost ?? "").utf8)
        let isWhole = host.withUnsafeBytes { host in
            if endpointHost != nil { context.endpointHost = host }
            return RequestRewriter.write(
                head, fields: fields, source: bytes.span, policy: policy, context: context, into: &writer)
        }
        #expect(isWhole)
        let lines = String(decoding: buffer[..<writer.count], as: UTF8.self).split(
            separator: "\r\n", omittingEmptySubsequences: false)
        // A head ends with one blank line and nothing behind it.
        #expect(lines.suffix(2) == ["", ""])
        return lines.dropLast(2).map(String.init)
    }

    static func response(
        _ text: String, to method: HTTPMethod = .get, framing: BodyFraming, edits: FieldEdits = .none,
        persistence: ResponseRewriter.Persistence = .implicit, date: DateField? = nil, upgrade: Bool = false
    ) throws -> [String] {
        let bytes = Parsing.bytes(text)
        var fields = FieldTable(capacity: 1)
        let parsed = try HeadParser.response(bytes.span, to: method, limits: Parsing.limits, fields: &fields)
        let head = try #require(parsed)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 1)
        defer { buffer.deallocate() }
        var writer = ByteWriter(buffer)
        let isWhole = ResponseRewriter.write(
            head, fields: fields, source: bytes.span, framing: framing, persistence: persistence, upgrade: upgrade,
            edits: edits, date: date, into: &writer)
        #expect(isWhole)
        return String(decoding: buffer[..<writer.count], as: UTF8.self).split(separator: "\r\n").map(String.init)
    }
}
