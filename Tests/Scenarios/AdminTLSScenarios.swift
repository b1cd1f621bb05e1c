import Foundation
import Glibc
import TestSupport
import Testing

/// The admin API by TLS, and the commands that ask it.
@Suite("The admin API by TLS", .serialized) struct AdminTLSScenarios {
    private static func configuration(_ core: UInt16, _ made: (certificate: String, key: String)) -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0"}],
         "admin": {"address": "127.0.0.1:0", "observe": "127.0.0.1:0",
                   "tls": {"certificate": "\(made.certificate)", "key": "\(made.key)"}},
         "accessLog": {"enabled": false},
         "upstreams": {"core": {"endpoints": ["127.0.0.1:\(core)"]}},
         "routes": [{"name": "api", "split": {"core": 1}}]}
        """
    }

    private static func put(_ from: (certificate: String, key: String), into folder: String) throws {
        for (file, name) in [(from.certificate, "admin.crt"), (from.key, "admin.key")] {
            try Data(contentsOf: URL(fileURLWithPath: file))
                .write(to: URL(fileURLWithPath: folder + "/" + name), options: .atomic)
        }
    }

    @Test("Commands ask it by TLS and believe only whom they should; its files are followed; probes stay plain")
    func serves() throws {
        let core = try ScriptedUpstream.plain("core")
        let made = try TestCertificates()
        let strangers = try TestCertificates()
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try Self.put(made.make("first", names: ["localhost", "127.0.0.1"]), into: folder)
        let balancer = try BalancerProcess(
            Self.configuration(core.port, (folder + "/admin.crt", folder + "/admin.key")))
        let address = "https://localhost:\(balancer.adminPort)"
        func ask(_ words: String...) throws -> (status: Int32, output: String, errors: String) {
            try Program.run("balancer", words)
        }
        let status = try ask("status", "--admin", address, "--ca", made.authority)
        #expect(status.status == 0 && status.output.contains("generation"), "\(status)")
        #expect(try ask("status", "--admin", "127.0.0.1:\(balancer.adminPort)", "--ca", made.authority).status == 0)
        #expect(try ask("health", "--admin", address, "--ca", made.authority).status == 0)
        #expect(try ask("weight", "api", "core=5", "--admin", address, "--ca", made.authority).status == 0)
        #expect(try ask("status", "--admin", address, "--ca", strangers.authority).status == 2)
        #expect(try ask("status", "--admin", address).status == 2, "the system knows no such authority")
        #expect(try ask("status", "--admin", address, "--ca", folder + "/none").status == 1)
        #expect(try ask("status", "--admin", "http://127.0.0.1:\(balancer.adminPort)").status == 2, "not in the clear")
        let observed = try balancer.program.await { line -> UInt16? in
            line.hasPrefix("observe 127.0.0.1:") ? UInt16(line.dropFirst("observe 127.0.0.1:".count)) : nil
        }
        #expect(try get("/readyz", port: observed).status == 200)
        func serial() throws -> String {
            let program = try Program(
                path: "/bin/sh",
                [
                    "-c",
                    "timeout 20 openssl s_client -connect 127.0.0.1:\(balancer.adminPort) </dev/null 2>/dev/null "
                        + "| openssl x509 -noout -serial",
                ])
            _ = program.awaitExit()
            return program.output.joined()
        }
        let before = try serial()
        try Self.put(made.make("second", names: ["localhost", "127.0.0.1"]), into: folder)
        #expect(try eventually { try serial() != before && !serial().isEmpty })
        #expect(try ask("status", "--admin", address, "--ca", made.authority).status == 0)
        // What does not fit changes nothing.
        try BalancerProcess.write("nothing", to: folder + "/admin.key")
        #expect(eventually { balancer.program.errors.contains { $0.contains("$.admin.tls.key") } })
        #expect(try ask("status", "--admin", address, "--ca", made.authority).status == 0)
        #expect(balancer.stop() == 0)
    }
}
