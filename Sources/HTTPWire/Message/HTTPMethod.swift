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
        let lower = Int(range.lower)
        switch range.count {
        case 3:
            if bytes[lower] == 0x47, bytes[lower + 1] == 0x45, bytes[lower + 2] == 0x54 { return .get }
            if Self.matches(bytes, range, "PUT") { return .put }
        case 4:
            if Self.matches(bytes, range, "POST") { return .post }
            if Self.matches(bytes, range, "HEAD") { return .head }
        case 5:
            if Self.matches(bytes, range, "PATCH") { return .patch }
            if Self.matches(bytes, range, "TRACE") { return .trace }
        case 6: if Self.matches(bytes, range, "DELETE") { return .delete }
        case 7:
            if Self.matches(bytes, range, "OPTIONS") { return .options }
            if Self.matches(bytes, range, "CONNECT") { return .connect }
        default: break
        }
        return .other
    }

    private static func matches(_ bytes: borrowing Span<UInt8>, _ range: ByteRange, _ text: StaticString) -> Bool {
        let lower = Int(range.lower)
        return text.withUTF8Buffer { wanted in
            for index in wanted.indices where bytes[lower + index] != wanted[index] { return false }
            return true
        }
    }
}
