/// Which fields may come behind a body (RFC 9110 6.5.1). What frames, routes, authenticates or modifies a message never does,
/// nor what the proxy itself says, nor what the route removes or sets.
package struct TrailerRules: Sendable {
    private let edits: FieldEdits

    package init(edits: FieldEdits = .none) {
        self.edits = edits
    }

    func keep(_ name: ByteRange, in source: borrowing Span<UInt8>) -> Bool {
        for forbidden in Self.forbidden where ASCII.equalsIgnoringCase(source, name, lowercase: forbidden) {
            return false
        }
        return !self.edits.drops(name, in: source)
    }

    private static let forbidden: [[UInt8]] = [
        "transfer-encoding", "content-length", "host", "connection", "te", "trailer", "upgrade", "keep-alive",
        "proxy-connection", "content-encoding", "content-type", "content-range", "authorization", "set-cookie",
        "cookie", "expect", "max-forwards", "cache-control", "x-forwarded-for", "x-forwarded-proto",
        "x-forwarded-host", "forwarded", "via", "x-request-id",
    ].map { Array($0.utf8) }
}
