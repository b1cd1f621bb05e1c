import ArgumentParser
import FoundationEssentials
import NIOSSL

/// Whom the commands that ask believe, where they ask by TLS.
struct TrustOptions: ParsableArguments {
    @Option(
        name: .customLong("ca"),
        help: """
            File with the authorities (PEM) that vouch for an admin API by TLS. Without it: the environment's \
            BALANCER_ADMIN_CA, else the system's.
            """)
    var authority: String?

    /// The file that holds; nil: the system's authorities do.
    var file: String? {
        let file = self.authority ?? ProcessInfo.processInfo.environment["BALANCER_ADMIN_CA"]
        return file?.isEmpty == false ? file : nil
    }

    /// Whether the address that was given, or else holds, is asked by TLS.
    func isSecure(_ address: String?) -> Bool {
        AdminAddress.isSecure(address, authority: self.file, environment: ProcessInfo.processInfo.environment)
    }

    /// Throws the exit status where the file is none.
    func configuration() throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        guard let file = self.file else { return configuration }
        do {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(file))
        } catch {
            Output.error("balancer: cannot read the authorities in \(file): \(error)".visible)
            throw ExitCode(1)
        }
        return configuration
    }
}
