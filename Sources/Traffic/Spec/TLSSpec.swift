/// A file that routes.json names, with what it held when it was last read. Its text is never printed: keys are among them.
package struct NamedFile: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    package var path: String
    package var bytes: [UInt8]

    package init(path: String, bytes: [UInt8] = []) {
        self.path = path
        self.bytes = bytes
    }

    package var description: String { "\(self.path) (\(self.bytes.count) bytes)" }
    package var debugDescription: String { self.description }
    package var customMirror: Mirror { Mirror(self, children: ["path": self.path, "count": self.bytes.count]) }
}

package enum TLSVersion: Sendable, Equatable {
    case v12, v13
}

/// How a listener speaks TLS.
package struct ListenerTLS: Sendable, Equatable {
    /// A chain, leaf first, its key, and the answer of its OCSP responder, to be stapled.
    package struct Certificate: Sendable, Equatable {
        package var chain: NamedFile
        package var key: NamedFile
        package var ocsp: NamedFile?

        package init(chain: NamedFile, key: NamedFile, ocsp: NamedFile? = nil) {
            self.chain = chain
            self.key = key
            self.ocsp = ocsp
        }
    }

    package enum UnknownName: Sendable, Equatable {
        /// The first certificate is shown.
        case first
        /// The handshake is refused.
        case refused
    }

    package struct Tickets: Sendable, Equatable {
        /// Seconds after which the next key encrypts. A ticket is good for twice as long.
        package var rotation: UInt32 = 28_800
        /// Keys that replicas share, the newest first; empty: the process makes its own.
        package var keys: [NamedFile] = []

        package init() {}
    }

    package struct ClientCertificates: Sendable, Equatable {
        package var authorities: NamedFile
        package var isRequired: Bool
        /// Certificates between the client's own and the authority's.
        package var depth: UInt32 = 4
        package var revoked: NamedFile?

        package init(authorities: NamedFile, isRequired: Bool) {
            self.authorities = authorities
            self.isRequired = isRequired
        }
    }

    /// Never empty; the first is shown to clients that name nothing.
    package var certificates: [Certificate]
    package var minimumVersion = TLSVersion.v12
    /// As OpenSSL takes them. P-256 alone would cost today's clients another round trip.
    package var groups = "X25519:P-256"
    /// SHA-256 before SHA-384: a handshake takes 5 % less.
    package var cipherSuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    /// Of TLS 1.2: ECDHE with AEAD only.
    package var ciphers =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        + "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    package var unknownName = UnknownName.first
    /// Whether a request for a name that the certificate in use does not have gets 421 (RFC 9110 15.5.20).
    package var isHostStrict = false
    /// Seconds that clients are asked to use nothing but TLS for (RFC 6797); nil: not asked.
    package var strictTransport: UInt32?
    /// nil: no sessions are resumed.
    package var tickets: Tickets? = Tickets()
    package var clientCertificates: ClientCertificates?

    package init(certificates: [Certificate]) {
        self.certificates = certificates
    }
}

/// How an upstream's endpoints speak TLS.
package struct UpstreamTLS: Sendable, Equatable {
    /// nil: the system's.
    package var authorities: NamedFile?
    /// Asked for by SNI and demanded of the certificate; nil: the name by which the endpoint is given.
    package var serverName: String?
    package var isVerified = true
    package var chain: NamedFile?
    package var key: NamedFile?
    package var minimumVersion = TLSVersion.v12

    package init() {}
}

extension UpstreamSpec {
    /// The name that endpoints are asked for by, and that their certificates must have; nil: each its own address.
    package var tlsName: String? {
        if let name = self.tls?.serverName { return name }
        if case .dns(let lookup, _)? = self.discovery { return lookup.name }
        guard let first = self.names.first, self.names.allSatisfy({ $0.host == first.host }) else { return nil }
        return first.host
    }
}
