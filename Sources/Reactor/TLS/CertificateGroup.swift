import Traffic

/// Certificates of the same names, which stand side by side in one context: the library shows the one that the client can
/// use. Read once for all workers.
package struct CertificateGroup: Sendable {
    let names: [String]
    private(set) var certificates: [ListenerTLS.Certificate]
    private(set) var publicKeys: [UInt8]

    /// In the order in which routes.json has them. Throws with the place of the one that is none.
    package static func groups(of certificates: [ListenerTLS.Certificate]) throws(TLSRefused) -> [CertificateGroup] {
        var groups: [CertificateGroup] = []
        var places: [[String]: Int] = [:]
        for (position, certificate) in certificates.enumerated() {
            let facts: CertificateFacts
            do throws(TLSRefused) {
                facts = try CertificateFacts.read(chain: certificate.chain.bytes)
            } catch {
                throw TLSRefused("certificates[\(position)]: \(certificate.chain.path) \(error)")
            }
            let key = Set(facts.names).sorted()
            if let place = places[key], !key.isEmpty {
                groups[place].certificates.append(certificate)
                groups[place].publicKeys += facts.publicKey
            } else {
                places[key] = groups.count
                groups.append(
                    CertificateGroup(names: facts.names, certificates: [certificate], publicKeys: facts.publicKey))
            }
        }
        return groups
    }
}
