import Foundation
import Glibc
import Reactor
import RoutesFile
import TestSupport
import Testing
import Traffic

@testable import Control

/// What the files that a configuration names come to before they are put in force.
@Suite("Files that a configuration names")
struct NamedFileTests {
    private static let made = Result { try TestCertificates() }
    private static let place = "$.listeners[0].tls.certificates[0]"

    private func configuration(_ chain: String, _ key: String) -> BalancerConfiguration {
        var configuration = Sample.configuration()
        configuration.listeners[0].tls = ListenerTLS(certificates: [
            ListenerTLS.Certificate(chain: NamedFile(path: chain), key: NamedFile(path: key))
        ])
        return configuration
    }

    @Test(
        "A certificate is told of from the second in which it ends, and up to the one in which it begins; it is shown all the same"
    )
    func times() throws {
        let pair = try Self.made.get().make("times", names: ["a.example"])
        let configuration = self.configuration(pair.certificate, pair.key)
        let present = NamedFiles.read(configuration, now: Int64(time(nil)))
        #expect(present.problems.isEmpty && present.warnings.isEmpty, "\(present.problems) \(present.warnings)")
        let facts = try #require(present.certificates.first?.facts)
        for (now, words) in [
            (facts.notBefore - 1, "begins "), (facts.notBefore, nil), (facts.notAfter - 1, nil),
            (facts.notAfter, "ended "),
        ] as [(Int64, String?)] {
            let outcome = NamedFiles.read(configuration, now: now)
            #expect(outcome.problems.isEmpty && outcome.certificates == present.certificates)
            #expect(outcome.warnings.map(\.path) == (words == nil ? [] : [Self.place + ".certificate"]))
            guard let words else { continue }
            let end = Timestamp.iso8601(UInt64(words == "ended " ? facts.notAfter : facts.notBefore) * 1_000)
            #expect(outcome.warnings.first?.message == "\(pair.certificate): \(words)\(end)")
        }
    }

    @Test("What is told of a certificate is what its file says")
    func told() throws {
        let pair = try Self.made.get().make("told", names: ["a.example"])
        let outcome = NamedFiles.read(self.configuration(pair.certificate, pair.key), now: Int64(time(nil)))
        var record = try #require(outcome.certificates.first)
        record.stapleUntil = 1_000_000_000
        let shown = try #require(CertificatesBody([record], problems: []).certificates.first)
        #expect(record.facts.notBefore < record.facts.notAfter)
        #expect(shown.notBefore == Timestamp.iso8601(UInt64(record.facts.notBefore) * 1_000))
        #expect(shown.notAfter == Timestamp.iso8601(UInt64(record.facts.notAfter) * 1_000))
        #expect(shown.stapledUntil == "2001-09-09T01:46:40.000Z")
        #expect(shown.names == ["a.example"] && shown.fingerprint == record.facts.fingerprint)
        #expect(shown.certificate == pair.certificate && shown.key == pair.key && shown.listeners == record.listeners)
    }

    @Test("What is wrong is said of the file that it is wrong with")
    func places() throws {
        let made = try Self.made.get()
        let pair = try made.make("places", names: ["a.example"])
        let other = try made.make("other", names: ["b.example"])
        for (chain, key, place) in [
            (pair.certificate, other.key, ".key"), (pair.key, pair.key, ".certificate"),
            (made.folder + "/none", pair.key, ".certificate"), (pair.certificate, made.folder + "/none", ".key"),
        ] {
            let outcome = NamedFiles.read(self.configuration(chain, key), now: Int64(time(nil)))
            #expect(outcome.problems.map(\.path) == [Self.place + place], "\(outcome.problems)")
            #expect(outcome.certificates.isEmpty)
        }
    }

    @Test("Each kind of file has a form, and what has another is not loaded")
    func forms() throws {
        let made = try Self.made.get()
        let pair = try made.make("forms", names: ["a.example"])
        func path(_ name: String, _ bytes: [UInt8]) throws -> String {
            let path = "\(made.folder)/\(name)"
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            return path
        }
        let empty = try path("empty", [])
        let large = try path("large", [UInt8](repeating: 0x20, count: 16_777_217))
        let text = try path("text", Array("nothing of the kind\n".utf8))
        let key = try path("ticket", [UInt8](repeating: 7, count: 80))
        let short = try path("short", [UInt8](repeating: 7, count: 79))
        let users = try path("users", Array("ann:\n".utf8))
        func problems(_ change: (inout BalancerConfiguration) -> Void) -> [String] {
            var configuration = self.configuration(pair.certificate, pair.key)
            change(&configuration)
            return NamedFiles.read(configuration, now: Int64(time(nil))).problems.map(\.message)
        }
        let none = problems { _ in }
        #expect(none.isEmpty)
        for (file, words) in [
            (empty, "is empty"), (large, "has more than 16777216 bytes"), (text, "has no PEM certificate"),
        ] {
            let found = problems {
                $0.listeners[0].tls?.clientCertificates = ListenerTLS.ClientCertificates(
                    authorities: NamedFile(path: file), isRequired: true)
            }
            #expect(found == ["\(file): \(words)"])
        }
        let whole = problems { $0.listeners[0].tls?.tickets?.keys = [NamedFile(path: key)] }
        #expect(whole.isEmpty)
        let part = problems { $0.listeners[0].tls?.tickets?.keys = [NamedFile(path: short)] }
        #expect(part.first?.hasPrefix("\(short): has 79 bytes; a ticket key has 80") == true, "\(part)")
        let staple = problems { $0.listeners[0].tls?.certificates[0].ocsp = NamedFile(path: text) }
        #expect(staple.first?.hasPrefix("\(text): is no OCSP response") == true, "\(staple)")
        let auth = problems {
            $0.table.routes[0].basicAuth = BasicAuthSpec(realm: "a")
            $0.table.routes[0].basicAuth?.file = NamedFile(path: users)
        }
        #expect(auth.count == 1 && auth.first?.hasPrefix("\(users): line 1: ") == true, "\(auth)")
        let upstream = problems {
            $0.table.upstreams[0].tls = UpstreamTLS()
            $0.table.upstreams[0].tls?.chain = NamedFile(path: pair.certificate)
            $0.table.upstreams[0].tls?.key = NamedFile(path: text)
        }
        #expect(upstream.count == 1 && upstream.first?.hasPrefix("\(text): ") == true, "\(upstream)")
    }

    @Test("An endpoint whose certificate is not looked at is told of")
    func unverified() throws {
        let pair = try Self.made.get().make("unverified", names: ["a.example"])
        var configuration = self.configuration(pair.certificate, pair.key)
        configuration.table.upstreams[0].tls = UpstreamTLS()
        #expect(NamedFiles.read(configuration, now: Int64(time(nil))).warnings.isEmpty)
        configuration.table.upstreams[0].tls?.isVerified = false
        let outcome = NamedFiles.read(configuration, now: Int64(time(nil)))
        #expect(outcome.problems.isEmpty)
        #expect(outcome.warnings.map(\.path) == ["$.upstreams.core.tls.verify"])
    }

    @Test("One certificate of several listeners is one, with all their names")
    func shared() throws {
        let pair = try Self.made.get().make("shared", names: ["a.example"])
        var configuration = self.configuration(pair.certificate, pair.key)
        configuration.listeners.append(configuration.listeners[0])
        configuration.listeners[1].name = "second"
        let outcome = NamedFiles.read(configuration, now: Int64(time(nil)))
        #expect(outcome.certificates.map(\.listeners) == [[configuration.listeners[0].name, "second"]])
        #expect(outcome.stamps.count == 2)
    }
}
