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
        let plain = try ask("status", "--admin", "http://127.0.0.1:\(balancer.adminPort)")
        #expect(plain.status == 2 && plain.errors.contains("speaks TLS: ask https://127.0.0.1:"), "\(plain)")
        let told = try get("/healthz", port: balancer.adminPort)
        #expect(told.status == 400 && told.text == "This port speaks TLS: use https.\n")
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

    @Test("A token is shown to no port that would read it in the clear: not by TLS's own, and to no other machine")
    func keepsToken() throws {
        let core = try ScriptedUpstream.answering { _, _ in "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" }
        let secure = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 33\r\n\r\nThis port speaks TLS: use https.\n"
        }
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let token = folder + "/token"
        try BalancerProcess.write("secret-of-an-operator\n", to: token)
        func ask(_ address: String, _ words: String...) throws -> (status: Int32, output: String, errors: String) {
            try Program.run("balancer", ["routes", "--json", "--admin", address, "--token-file", token] + words)
        }
        func seen(_ upstream: ScriptedUpstream) -> [String?] { upstream.requests.map { $0.field("authorization") } }
        let refused = try ask("127.0.0.1:\(secure.port)")
        #expect(refused.status == 2 && refused.errors.contains("it speaks TLS: ask https://"), "\(refused)")
        #expect(seen(secure) == [nil])
        // The kernel leads there too, but it is no address of this machine alone.
        let elsewhere = try ask("0.0.0.0:\(core.port)")
        #expect(elsewhere.status == 1 && elsewhere.errors.contains("in the clear"), "\(elsewhere)")
        #expect(core.requests.isEmpty)
        #expect(try ask("0.0.0.0:\(core.port)", "--insecure").status == 0)
        #expect(try ask("localhost:\(core.port)").status == 0)
        #expect(seen(core) == [nil, "Bearer secret-of-an-operator", nil, "Bearer secret-of-an-operator"])
    }
}
