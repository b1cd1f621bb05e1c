import COpenSSL

/// Why a session could not be had, or ended.
package struct TLSFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Int, Sendable, CaseIterable {
        case `protocol`, plainHTTP, noSharedCipher, unknownName, clientCertificate, alpn, certificate, keyUpdates
        case closed, timeout, limit

        /// For metrics and logs.
        package var word: StaticString {
            switch self {
            case .protocol: "protocol"
            case .plainHTTP: "plain-http"
            case .noSharedCipher: "no-shared-cipher"
            case .unknownName: "unknown-name"
            case .clientCertificate: "client-certificate"
            case .alpn: "alpn"
            case .certificate: "certificate"
            case .keyUpdates: "key-update"
            case .closed: "closed"
            case .timeout: "timeout"
            case .limit: "limit"
            }
        }
    }

    package var kind: Kind
    /// The library's words, one line.
    package var text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    /// Of the call that has just failed on this thread.
    init(of session: OpaquePointer) {
        var room = [CChar](repeating: 0, count: 256)
        let code = copenssl_reason(session, &room, room.count)
        self.text = TLSText.string(room)
        self.kind =
            switch code {
            case COPENSSL_FAILURE_PLAIN_HTTP: .plainHTTP
            case COPENSSL_FAILURE_NO_SHARED_CIPHER: .noSharedCipher
            case COPENSSL_FAILURE_UNKNOWN_NAME: .unknownName
            case COPENSSL_FAILURE_CLIENT_CERTIFICATE: .clientCertificate
            case COPENSSL_FAILURE_ALPN: .alpn
            case COPENSSL_FAILURE_CERTIFICATE: .certificate
            case COPENSSL_FAILURE_KEY_UPDATES: .keyUpdates
            default: .protocol
            }
    }

    package var description: String { self.text.isEmpty ? "\(self.kind.word)" : "\(self.kind.word): \(self.text)" }
}

/// A context cannot be made of what routes.json names.
package struct TLSRefused: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

enum TLSText {
    static func string(_ room: [CChar]) -> String {
        String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
