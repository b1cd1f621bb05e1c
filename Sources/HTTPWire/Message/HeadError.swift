/// Why bytes are no acceptable head. `status` is what a client is answered; the same in a response is a 502.
package enum HeadError: Error, Equatable, Sendable {
    case requestLineTooLong
    case headTooLarge
    case tooManyFields
    case versionNotSupported
    case expectationFailed
    case malformed(Malformation)

    package var status: UInt16 {
        switch self {
        case .requestLineTooLong: 414
        case .headTooLarge, .tooManyFields: 431
        case .versionNotSupported: 505
        case .expectationFailed: 417
        case .malformed: 400
        }
    }

    /// A short fixed word for logs and `X-Balancer-Reason`.
    package var reason: String {
        switch self {
        case .requestLineTooLong: "request-line-too-long"
        case .headTooLarge: "header-block-too-large"
        case .tooManyFields: "too-many-header-fields"
        case .versionNotSupported: "version-not-supported"
        case .expectationFailed: "expectation-failed"
        case .malformed(let malformation): malformation.rawValue
        }
    }
}

/// The particular way in which a head breaks RFC 9112.
package enum Malformation: String, Sendable {
    case bareLF = "bare-lf"
    case bareCR = "bare-cr"
    case forbiddenByte = "forbidden-byte"
    case spaceBeforeColon = "space-before-colon"
    case obsFold = "obs-fold"
    case emptyName = "empty-field-name"
    case missingColon = "missing-colon"
    case badMethod = "bad-method"
    case badTarget = "bad-target"
    case badVersion = "bad-version"
    case badStatus = "bad-status"
    case missingHost = "missing-host"
    case severalHosts = "several-hosts"
    case badHost = "bad-host"
    case badContentLength = "bad-content-length"
    case repeatedContentLength = "repeated-content-length"
    case lengthWithTransferEncoding = "content-length-with-transfer-encoding"
    case badTransferEncoding = "bad-transfer-encoding"
    case transferEncodingInHTTP10 = "transfer-encoding-in-http-1.0"
    case bodyNotAllowed = "body-not-allowed"
    case tooManyConnectionOptions = "too-many-connection-options"
    /// HTTP/2: a pseudo-field that is unknown, missing, repeated or misplaced; a name that is none, or in upper case; a field of
    /// HTTP/1 connections.
    case badPseudoField = "bad-pseudo-field"
    case badFieldName = "bad-field-name"
    case connectionField = "connection-field"
    /// Refused only where the configuration asks for it.
    case underscoreInName = "underscore-in-name"
}
