import ArgumentParser
import Control

struct CertificatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates", abstract: "Shows the certificates in force, and what is wrong with newer files.")

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let data = try await client.get("/api/v1/certificates")
        try client.show(data, as: CertificatesBody.self) { body in
            if body.certificates.isEmpty { Output.line("no listener shows a certificate") }
            var table = TextTable("NAMES", "KEY", "UNTIL", "LISTENERS", "FILE")
            for certificate in body.certificates {
                table.add(
                    certificate.names.joined(separator: ", "), certificate.keyType, certificate.notAfter,
                    certificate.listeners.joined(separator: ", "), certificate.certificate)
            }
            if !body.certificates.isEmpty { Output.line(table.render()) }
            for problem in body.problems { Output.line("not in force: \(problem.path): \(problem.message)") }
        }
    }
}
