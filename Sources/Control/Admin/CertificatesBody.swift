import Reactor

/// `GET /api/v1/certificates`.
package struct CertificatesBody: Codable, Sendable {
    package struct Certificate: Codable, Sendable {
        package var names: [String]
        package var keyType: String
        /// SHA-256, in hexadecimal digits.
        package var fingerprint: String
        package var notBefore: String
        package var notAfter: String
        /// Paths, as routes.json has them.
        package var certificate: String
        package var key: String
        package var listeners: [String]
        /// Until when the OCSP answer is stapled; absent: there is none.
        package var stapledUntil: String?
    }

    package var certificates: [Certificate]
    /// Why files that are there now are not in force; empty: they are.
    package var problems: [ControlProblem]

    init(_ records: [CertificateRecord], problems: [ControlProblem]) {
        self.certificates = records.map { record in
            Certificate(
                names: record.facts.names, keyType: record.facts.keyType, fingerprint: record.facts.fingerprint,
                notBefore: Self.text(record.facts.notBefore), notAfter: Self.text(record.facts.notAfter),
                certificate: record.certificate, key: record.key, listeners: record.listeners,
                stapledUntil: record.stapleUntil.map(Self.text))
        }
        self.problems = problems
    }

    private static func text(_ seconds: Int64) -> String {
        Timestamp.iso8601(UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000).partialValue)
    }
}
