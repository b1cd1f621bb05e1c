/// How the end of a body is known (RFC 9112 6.3).
package enum BodyFraming: Equatable, Sendable {
    case none
    case length(UInt64)
    case chunked
    /// Responses only.
    case untilClose

    /// Written out, so that a comparison with a constant is a look at the case wherever it stands.
    @inlinable @inline(__always)
    package static func == (left: BodyFraming, right: BodyFraming) -> Bool {
        switch (left, right) {
        case (.none, .none), (.chunked, .chunked), (.untilClose, .untilClose): true
        case (.length(let left), .length(let right)): left == right
        default: false
        }
    }

    /// Likewise: the default one goes through the witness table.
    @inlinable @inline(__always)
    package static func != (left: BodyFraming, right: BodyFraming) -> Bool { !(left == right) }
}

/// RFC 9112 3.2.
package enum TargetForm: Sendable {
    case origin, absolute, authority, asterisk
}

/// A parsed request head. Ranges point into the bytes it was parsed from.
package struct RequestHead: Sendable {
    /// Bytes of the head, the blank line and a tolerated leading empty line included.
    package var length: Int
    /// The request line with its CRLF; empty where a message has none as text.
    package var startLine: ByteRange
    package var method: HTTPMethod
    package var methodRange: ByteRange
    package var target: ByteRange
    package var form: TargetForm
    /// Empty only in absolute-form without a path.
    package var path: ByteRange
    /// Without the `?`.
    package var query: ByteRange
    package var hasQuery: Bool
    /// Of absolute-form and authority-form.
    package var authority: ByteRange
    /// Whom the request is for: the target's authority if it has one (RFC 9112 3.2.2), else Host. Empty if an HTTP/1.0
    /// request names nobody.
    package var host: ByteRange
    package var minorVersion: UInt8
    package var framing: BodyFraming
    /// The client means to keep the connection.
    package var persistent: Bool
    package var expectContinue: Bool
    /// `Connection: upgrade` and an `Upgrade` field, in HTTP/1.1.
    package var wantsUpgrade: Bool
    package var upgrade: ByteRange
    /// How many more times the message may be forwarded. Binds TRACE and OPTIONS only (RFC 9110 7.6.2): at zero the proxy
    /// answers itself.
    package var maxForwards: UInt32?
}

/// A parsed response head.
package struct ResponseHead: Sendable {
    package var length: Int
    /// The status line with its CRLF; empty where a message has none as text.
    package var startLine: ByteRange
    package var status: UInt16
    package var reason: ByteRange
    package var minorVersion: UInt8
    package var framing: BodyFraming
    package var persistent: Bool
    package var upgrade: ByteRange
    /// `Connection: upgrade` and an `Upgrade` field.
    package var hasUpgrade: Bool
    /// Says when it was made. A proxy adds the date where it does not (RFC 9110 6.6.1).
    package var hasDate: Bool
}
