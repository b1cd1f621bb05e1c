import Migration
import Reactor
import RoutesFile
import Traffic

/// A certificate that a listener shows, as its file says it.
package struct CertificateRecord: Sendable, Equatable {
    /// Listeners that show it.
    package var listeners: [String]
    package var certificate: String
    package var key: String
    package var facts: CertificateFacts
    /// When the OCSP answer that is stapled ends to be good, in seconds of the epoch; nil: none is stapled.
    package var stapleUntil: Int64?
}

/// Reads the files that a configuration names: certificates, keys, authorities, ticket keys, users. Whole or not at all: what is
/// put in force has been tried before.
package enum NamedFiles {
    /// More is no file of this kind.
    private static let limit = 16_777_216

    package struct Outcome: Sendable {
        /// With what the files hold.
        package var configuration: BalancerConfiguration
        package var problems: [ControlProblem] = []
        /// What does not keep it from being loaded, but an operator should know.
        package var warnings: [ControlProblem] = []
        package var certificates: [CertificateRecord] = []
        /// Which state of the files this is.
        package var stamps: [FileStamp] = []
    }

    /// Blocks for as long as the file system takes. `now`: seconds of the epoch.
    package static func read(_ configuration: BalancerConfiguration, now: Int64) -> Outcome {
        var outcome = Outcome(configuration: configuration)
        outcome.stamps = self.stamps(configuration)
        var read: [String: Result<[UInt8], SystemError>] = [:]
        var problems: [ControlProblem] = []
        outcome.configuration.visitFiles { path, use, file in
            let result =
                read[file.path]
                ?? Result { () throws(SystemError) in
                    // A byte more, so that what is cut is told from what is whole.
                    try WholeFile.read(file.path, limit: Self.limit + 1, waits: false)
                }
            read[file.path] = result
            switch result {
            case .failure(let error):
                problems.append(ControlProblem(path: path, message: "\(file.path): cannot be read: \(error.reason)"))
            case .success(let bytes):
                file.bytes = bytes
                if let fault = Self.fault(in: bytes, use) {
                    problems.append(ControlProblem(path: path, message: "\(file.path): \(fault)"))
                }
            }
        }
        outcome.problems = problems + self.unknownZones(configuration)
        guard outcome.problems.isEmpty else { return outcome }
        self.tryCertificates(&outcome, now: now)
        guard outcome.problems.isEmpty else { return outcome }
        self.tryContexts(&outcome)
        return outcome
    }

    /// A window of a zone that this machine does not know would never open, or never close.
    private static func unknownZones(_ configuration: BalancerConfiguration) -> [ControlProblem] {
        configuration.migrations.enumerated().flatMap { index, migration in
            migration.plan.freeze.enumerated().filter { ZoneTable.read($0.element.zone) == nil }.map { place, window in
                ControlProblem(
                    path: "$.migrations[\(index)].freeze[\(place)].zone",
                    message: "\(ZoneTable.folder) has no zone \(window.zone)")
            }
        }
    }

    /// How the files are now. Blocks.
    package static func stamps(_ configuration: BalancerConfiguration) -> [FileStamp] {
        var configuration = configuration
        var stamps: [String: FileStamp] = [:]
        configuration.visitFiles { _, _, file in
            if stamps[file.path] == nil { stamps[file.path] = FileStamp(file.path) }
        }
        return stamps.values.sorted { $0.path < $1.path }
    }

    private static func fault(in bytes: [UInt8], _ use: NamedFileUse) -> String? {
        if bytes.isEmpty { return "is empty" }
        if bytes.count > Self.limit { return "has more than \(Self.limit) bytes" }
        switch use {
        case .ticketKey where bytes.count != TicketKeys.keySize:
            return "has \(bytes.count) bytes; a ticket key has \(TicketKeys.keySize), such as \"openssl rand 80\" makes"
        case .staple where CertificateFacts.staple(bytes) == nil:
            return "is no OCSP response in DER that says until when it is good"
        case .authorities where CertificateFacts.count(bytes) == 0: return "has no PEM certificate"
        case .users: return UserFile.read(bytes).fault
        case .certificate, .key, .staple, .authorities, .revoked, .ticketKey: return nil
        }
    }

    // MARK: trying

    private static func tryCertificates(_ outcome: inout Outcome, now: Int64) {
        for (position, listener) in outcome.configuration.listeners.enumerated() {
            for (index, certificate) in (listener.tls?.certificates ?? []).enumerated() {
                let path = "$.listeners[\(position)].tls.certificates[\(index)]"
                guard
                    let facts = self.facts(
                        certificate.chain, certificate.key, (path + ".certificate", path + ".key"), now, &outcome)
                else { continue }
                var until: Int64?
                if let staple = certificate.ocsp, let times = CertificateFacts.staple(staple.bytes) {
                    until = times.ends
                    if times.ends <= now {
                        outcome.warnings.append(
                            ControlProblem(
                                path: path + ".ocsp", message: "\(staple.path): has ended: it is not stapled"))
                    }
                }
                self.note(listener.name, certificate, facts, until, &outcome)
            }
            // The library takes nobody's certificate by a list that has ended.
            if let revoked = listener.tls?.clientCertificates?.revoked,
                let ends = CertificateFacts.revokedEnds(revoked.bytes), ends <= now
            {
                outcome.warnings.append(
                    ControlProblem(
                        path: "$.listeners[\(position)].tls.clientCertificates.crl",
                        message: "\(revoked.path): ended \(Self.text(ends)): certificates of that authority are refused"
                    ))
            }
        }
        if let tls = outcome.configuration.admin?.tls {
            let paths = ("$.admin.tls.certificate", "$.admin.tls.key")
            _ = self.facts(tls.chain, tls.key, paths, now, &outcome)
        }
        for upstream in outcome.configuration.table.upstreams {
            guard let tls = upstream.tls else { continue }
            let path = RoutesFile.path(ofUpstream: upstream.name) + ".tls"
            if let chain = tls.chain, let key = tls.key {
                _ = self.facts(chain, key, (path + ".certificate", path + ".key"), now, &outcome)
            }
            if !tls.isVerified {
                outcome.warnings.append(
                    ControlProblem(path: path + ".verify", message: "whoever answers there is taken for the endpoint"))
            }
        }
    }

    private static func facts(
        _ chain: NamedFile, _ key: NamedFile, _ paths: (chain: String, key: String), _ now: Int64,
        _ outcome: inout Outcome
    ) -> CertificateFacts? {
        let facts: CertificateFacts
        do throws(TLSRefused) {
            facts = try CertificateFacts.read(chain: chain.bytes)
        } catch {
            outcome.problems.append(ControlProblem(path: paths.chain, message: "\(chain.path): \(error)"))
            return nil
        }
        do throws(TLSRefused) {
            _ = try CertificateFacts.read(chain: chain.bytes, key: key.bytes)
        } catch {
            outcome.problems.append(ControlProblem(path: paths.key, message: "\(key.path): \(error)"))
            return nil
        }
        // Shown all the same: a weight must be changeable on the night in which a certificate ends.
        if facts.notAfter <= now {
            outcome.warnings.append(
                ControlProblem(
                    path: paths.chain,
                    message: "\(chain.path): ended \(Self.text(facts.notAfter))"))
        } else if facts.notBefore > now {
            outcome.warnings.append(
                ControlProblem(
                    path: paths.chain,
                    message: "\(chain.path): begins \(Self.text(facts.notBefore))"))
        }
        return facts
    }

    private static func text(_ seconds: Int64) -> String {
        Timestamp.iso8601(UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000).partialValue)
    }

    private static func note(
        _ listener: String, _ certificate: ListenerTLS.Certificate, _ facts: CertificateFacts, _ until: Int64?,
        _ outcome: inout Outcome
    ) {
        if let index = outcome.certificates.firstIndex(where: {
            $0.certificate == certificate.chain.path && $0.key == certificate.key.path
        }) {
            outcome.certificates[index].listeners.append(listener)
            return
        }
        outcome.certificates.append(
            CertificateRecord(
                listeners: [listener], certificate: certificate.chain.path, key: certificate.key.path, facts: facts,
                stapleUntil: until))
    }

    /// The library has its own opinion of ciphers, groups and chains: it is asked before anything is put in force.
    private static func tryContexts(_ outcome: inout Outcome) {
        if let tls = outcome.configuration.admin?.tls {
            do throws(TLSRefused) {
                _ = try AdminCertificate.context(tls)
            } catch {
                outcome.problems.append(ControlProblem(path: "$.admin.tls", message: "\(error)"))
            }
        }
        for (position, listener) in outcome.configuration.listeners.enumerated() {
            guard let tls = listener.tls else { continue }
            do throws(TLSRefused) {
                guard let library = TLSLibrary.trial else { throw TLSRefused("no memory for the TLS library") }
                _ = try TLSServer(
                    tls, CertificateGroup.groups(of: tls.certificates), listener: listener.name, http2: false,
                    tickets: nil, library: library)
            } catch {
                outcome.problems.append(ControlProblem(path: "$.listeners[\(position)].tls", message: "\(error)"))
            }
        }
        for upstream in outcome.configuration.table.upstreams {
            guard let tls = upstream.tls else { continue }
            do throws(TLSRefused) {
                _ = try TLSClient(tls)
            } catch {
                outcome.problems.append(
                    ControlProblem(
                        path: RoutesFile.path(ofUpstream: upstream.name) + ".tls", message: "\(error)"))
            }
        }
    }
}
