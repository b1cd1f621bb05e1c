import Foundation

/// An authority of the tests' own and certificates of it, made by the `openssl` program in a folder that goes with this.
package final class TestCertificates: Sendable {
    package let folder: String

    /// The authority's certificate (PEM).
    package var authority: String { self.folder + "/ca.crt" }

    package init() throws {
        self.folder = NSTemporaryDirectory() + "certificates-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
        try self.run(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 30 "
                + "-subj /CN=tests -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
        )
    }

    deinit { try? FileManager.default.removeItem(atPath: self.folder) }

    /// A certificate for these names (`localhost`, `*.example`, `127.0.0.1`), in `FILE.crt` with the authority behind it, and
    /// `FILE.key`. Answers the two paths. `kind`: as `openssl req -newkey` takes it.
    @discardableResult
    package func make(
        _ file: String, names: [String], kind: String = "ec -pkeyopt ec_paramgen_curve:P-256", days: Int = 30,
        usage: String = "serverAuth,clientAuth"
    ) throws -> (certificate: String, key: String) {
        let subject = names.map { name in
            name.utf8.allSatisfy { $0 == 0x2E || (0x30...0x39).contains($0) } ? "IP:\(name)" : "DNS:\(name)"
        }
        let extensions = "subjectAltName=\(subject.joined(separator: ","))\nextendedKeyUsage=\(usage)\n"
        try extensions.write(toFile: "\(self.folder)/\(file).ext", atomically: false, encoding: .utf8)
        try self.run("req -newkey \(kind) -nodes -keyout \(file).key -out \(file).csr -subj /CN=\(file)")
        try self.run(
            "x509 -req -in \(file).csr -CA ca.crt -CAkey ca.key -CAcreateserial -out \(file).leaf -days \(days) "
                + "-extfile \(file).ext")
        let chain = try self.text("\(file).leaf") + self.text("ca.crt")
        try chain.write(toFile: "\(self.folder)/\(file).crt", atomically: true, encoding: .utf8)
        return ("\(self.folder)/\(file).crt", "\(self.folder)/\(file).key")
    }

    package func text(_ file: String) throws -> String {
        try String(contentsOfFile: "\(self.folder)/\(file)", encoding: .utf8)
    }

    /// Runs `openssl` in the folder.
    package func run(_ words: String) throws {
        let program = try Program(
            path: "/bin/sh", ["-c", "cd '\(self.folder)' && exec openssl \(words)"])
        guard program.awaitExit() == 0 else {
            throw TestFailure("openssl \(words): \(program.errors.joined(separator: "; "))")
        }
    }
}
