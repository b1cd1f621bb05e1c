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
