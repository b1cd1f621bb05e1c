/// Request methods that change what the proxy does; any other token is `.other` and is passed on as it is.
package enum HTTPMethod: UInt8, Sendable {
    case get, head, post, put, delete, connect, options, trace, patch, other

    /// RFC 9110 9.2.1.
    package var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        default: false
        }
    }

    /// RFC 9110 9.2.2: may be sent again after a failure.
    package var isIdempotent: Bool { self.isSafe || self == .put || self == .delete }

    /// Methods are case-sensitive (RFC 9110 9.1).
    static func classify(_ bytes: borrowing Span<UInt8>, _ range: ByteRange) -> HTTPMethod {
        guard range.count <= 8 else { return .other }
        return switch ASCII.word(bytes, at: Int(range.lower), count: range.count) {
        case ASCII.word("GET"): .get
        case ASCII.word("PUT"): .put
        case ASCII.word("POST"): .post
        case ASCII.word("HEAD"): .head
        case ASCII.word("PATCH"): .patch
        case ASCII.word("TRACE"): .trace
        case ASCII.word("DELETE"): .delete
        case ASCII.word("OPTIONS"): .options
        case ASCII.word("CONNECT"): .connect
        default: .other
        }
    }
}
