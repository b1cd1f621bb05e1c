import COpenSSL
import Traffic

/// An upstream's side of TLS: what is trusted, what is shown. One for all workers: handshakes are few there.
package final class TLSClient: Sendable {
    /// Set once; making a session counts the context by an atomic of the library's, and nothing else is written after `init`.
    nonisolated(unsafe) private let context: OpaquePointer
    private let isVerified: Bool

    /// Throws with what is wrong in words that follow the JSON path of the upstream's `tls`.
    package init(_ spec: UpstreamTLS) throws(TLSRefused) {
        var text = [CChar](repeating: 0, count: 512)
        var made: OpaquePointer?
        CertificateFacts.withText(spec.authorities?.bytes ?? []) { ca, count in
            var options = copenssl_client_options()
            options.minimum_version = spec.minimumVersion == .v13 ? 0x0304 : 0x0303
            options.verifies = spec.isVerified
            if spec.authorities != nil {
                options.authorities = ca
                options.authorities_count = count
            }
            made = copenssl_client_new(nil, &options, &text, text.count)
        }
        guard let made else { throw TLSRefused(TLSText.string(text)) }
        if let chain = spec.chain, let key = spec.key {
            let isGood = CertificateFacts.withText(chain.bytes) { chain, chainCount in
                CertificateFacts.withText(key.bytes) { key, keyCount in
                    copenssl_use(made, nil, chain, chainCount, key, keyCount, nil, 0, &text, text.count)
                }
            }
            guard isGood else {
                copenssl_context_free(made)
                throw TLSRefused("\(chain.path), \(key.path): \(TLSText.string(text))")
            }
        }
        self.context = made
        self.isVerified = spec.isVerified
    }

    deinit { copenssl_context_free(self.context) }

    /// A session to an endpoint of that name or address; nil: no memory, or the name cannot be one.
    func connect(
        _ memory: TLSMemory, to name: String, isAddress: Bool, offers: ProtocolOffer = .nothing
    ) -> OpaquePointer? {
        guard let session = copenssl_connecting(self.context, memory.bio, name, isAddress, self.isVerified) else {
            return nil
        }
        let names = offers.names
        guard names.isEmpty || copenssl_offer_protocols(session, names, UInt32(names.count)) else {
            copenssl_free(session)
            return nil
        }
        return session
    }
}

/// What a client offers to speak within TLS (RFC 7301).
package enum ProtocolOffer: Sendable {
    case nothing, http1, http2, either

    private static let http1Name: [UInt8] = [8] + "http/1.1".utf8
    private static let http2Name: [UInt8] = [2] + "h2".utf8

    fileprivate var names: [UInt8] {
        switch self {
        case .nothing: []
        case .http1: Self.http1Name
        case .http2: Self.http2Name
        case .either: Self.http2Name + Self.http1Name
        }
    }
}

/// A session that an endpoint allows to be resumed: the next handshake then takes no certificate.
package final class TLSTicket {
    private let session: OpaquePointer

    init(_ session: OpaquePointer) { self.session = session }

    deinit { copenssl_session_free(self.session) }

    func offer(to session: OpaquePointer) { copenssl_offer_session(session, self.session) }
}
