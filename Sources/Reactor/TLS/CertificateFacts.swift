import COpenSSL

/// What a certificate says of itself.
package struct CertificateFacts: Sendable, Equatable {
    /// DNS names and IPv4 addresses, in lower case.
    package var names: [String]
    /// Such as `EC 256`.
    package var keyType: String
    /// SHA-256 of the certificate, in hexadecimal digits.
    package var fingerprint: String
    /// SHA-256 of the public key: the same after a renewal that keeps the key.
    package var publicKey: [UInt8]
    /// Seconds of the epoch.
    package var notBefore: Int64
    package var notAfter: Int64

    /// Reads the first certificate of `chain` (PEM) and tries `key` against it, if there is one. Throws with what is wrong, in
    /// words that follow a file's name.
    package static func read(chain: [UInt8], key: [UInt8] = []) throws(TLSRefused) -> CertificateFacts {
        let room = UnsafeMutablePointer<copenssl_certificate>.allocate(capacity: 1)
        defer { room.deallocate() }
        var text = [CChar](repeating: 0, count: 256)
        let isGood = Self.withText(chain) { chain, chainCount in
            Self.withText(key) { key, keyCount in
                copenssl_inspect(chain, chainCount, key, keyCount, room, &text, text.count)
            }
        }
        guard isGood else { throw TLSRefused(TLSText.string(text)) }
        let names = String(cString: copenssl_names(room))
        return CertificateFacts(
            names: names.split(separator: "\n").map(String.init),
            keyType: withUnsafeBytes(of: &room.pointee.key_type) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            },
            fingerprint: withUnsafeBytes(of: &room.pointee.fingerprint) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            },
            publicKey: withUnsafeBytes(of: &room.pointee.public_key) { Array($0) },
            notBefore: room.pointee.not_before, notAfter: room.pointee.not_after)
    }

    /// Certificates that a PEM text has; 0: it is none.
    package static func count(_ pem: [UInt8]) -> Int {
        Self.withText(pem) { copenssl_count_certificates($0, $1) }
    }

    /// When an OCSP answer (DER) begins and ends to be good, in seconds of the epoch; nil: it is none.
    package static func staple(_ bytes: [UInt8]) -> (begins: Int64, ends: Int64)? {
        var (begins, ends) = (Int64(0), Int64(0))
        return copenssl_staple_times(bytes, bytes.count, &begins, &ends) ? (begins, ends) : nil
    }

    /// When the first of the revocation lists in a PEM text ends to be good, in seconds of the epoch; nil: it has none.
    package static func revokedEnds(_ pem: [UInt8]) -> Int64? {
        var ends = Int64(0)
        return Self.withText(pem) { copenssl_revoked_ends($0, $1, &ends) } ? ends : nil
    }

    static func withText<Result>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>?, Int) -> Result) -> Result {
        bytes.withUnsafeBytes { body($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count) }
    }
}
