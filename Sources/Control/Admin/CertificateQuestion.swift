import Reactor
import RoutesFile
import Traffic

/// "Which certificate is shown to a client that asks for this name, and may its request go on?" Answered by what the files
/// that are in force say.
struct CertificateQuestion: Sendable {
    let serverName: String
    /// Of the request.
    let host: String
    /// nil: the only one that speaks TLS.
    let listener: String?

    /// One sentence a step.
    func answer(_ listeners: [ListenerSpec], _ records: [CertificateRecord]) -> [String] {
        let secure = listeners.filter { $0.tls != nil && (self.listener == nil || $0.name == self.listener) }
        guard let listener = secure.first, let tls = listener.tls else {
            return [self.listener.map { "the listener \"\($0)\" does not speak TLS" } ?? "no listener speaks TLS"]
        }
        guard secure.count == 1 else {
            return ["several listeners speak TLS: ask with ?listener= to see the certificate"]
        }
        let certificates = tls.certificates.map { certificate in
            (
                file: certificate.chain.path,
                names: records.first {
                    $0.certificate == certificate.chain.path && $0.key == certificate.key.path
                }?.facts.names ?? []
            )
        }
        let asked = self.serverName.lowercased()
        let found =
            certificates.first { $0.names.contains(asked) }
            ?? certificates.first { Self.wildcard(asked).map($0.names.contains) ?? false }
        guard let shown = found ?? (tls.unknownName == .refused && !asked.isEmpty ? nil : certificates.first) else {
            return ["no certificate has the name \"\(asked)\": the handshake is refused (unrecognized_name)"]
        }
        var reasons = [
            "\(listener.name) shows \(shown.file) (\(shown.names.joined(separator: ", ")))"
                + (found == nil ? ", the first one, for no certificate has the name \"\(asked)\"" : "")
        ]
        if let clients = tls.clientCertificates {
            reasons.append("a client certificate is \(clients.isRequired ? "demanded" : "asked for")")
        }
        if tls.isHostStrict, let host = AdminNames.host(of: self.host), !shown.names.contains(host),
            !(Self.wildcard(host).map(shown.names.contains) ?? false)
        {
            reasons.append("it does not name \(host), and strictHost is on: the answer is 421 misdirected")
        }
        return reasons
    }

    /// The name that stands for it and its siblings; nil: there is none.
    private static func wildcard(_ name: String) -> String? {
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return nil }
        return "*" + name[dot...]
    }
}
