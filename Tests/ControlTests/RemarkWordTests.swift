@testable import Control
import RoutesFile
import Testing
import Traffic

/// Warnings about configurations that are right and yet ask for a look, word by word.
@Suite("Remarks in words") struct RemarkWordTests {
    private func remarks(_ change: (inout BalancerConfiguration) -> Void) -> [String] {
        var configuration = Sample.configuration()
        change(&configuration)
        return ConfigurationRemarks.warnings(configuration).map { "\($0.path) \($0.message)" }
    }

    private static func listener(_ name: String, isSecure: Bool) -> ListenerSpec {
        var listener = ListenerSpec(name: name, address: Sample.address(8443))
        if isSecure {
            listener.tls = ListenerTLS(certificates: [
                .init(chain: NamedFile(path: "a.pem"), key: NamedFile(path: "a.key"))
            ])
        }
        return listener
    }

    private static let slow = "$2y$12$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
    private static let quick = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

    private static func passwords(_ hashes: [String]) -> BasicAuthSpec {
        var spec = BasicAuthSpec(realm: "a")
        spec.users = hashes.enumerated().map { UserSpec(name: "u\($0)", hash: $1) }
        return spec
    }

    @Test("Nothing is said of what is usual") func nothing() {
        #expect(self.remarks { _ in }.isEmpty)
        #expect(self.remarks { $0.table.routes[0].basicAuth = Self.passwords([Self.quick]) }.isEmpty)
    }

    @Test("Passwords that take long to check, and how many more") func slowPasswords() {
        let path = "$.routes[0].basicAuth a look at the password of "
        let one = self.remarks { $0.table.routes[0].basicAuth = Self.passwords([Self.quick, Self.slow]) }
        #expect(one == [path + "u1 takes about 200 ms of a processor"])
        let more = self.remarks { $0.table.routes[0].basicAuth = Self.passwords([Self.slow, Self.slow, Self.slow]) }
        #expect(more.count == 1 && more[0].hasSuffix("takes about 200 ms of a processor, and 2 others are slow too"))
    }

    @Test("Passwords in the clear, over which listener") func clear() {
        func told(_ listeners: [String], asked: [String] = []) -> [String] {
            self.remarks { configuration in
                configuration.listeners = listeners.map {
                    Self.listener($0, isSecure: $0.hasPrefix("tls"))
                }
                configuration.table.routes[0].basicAuth = Self.passwords([Self.quick])
                configuration.table.routes[0].match.listeners = asked
            }
        }
        func words(_ listener: String) -> [String] {
            [
                "$.routes[0].basicAuth passwords come in the clear over the listener \"\(listener)\": let \"match\" ask for "
                    + "the one with TLS"
            ]
        }
        #expect(told(["b", "tls", "a"]) == words("a"))
        #expect(told(["b", "tls", "a"], asked: ["tls", "b"]) == words("b"))
        #expect(told(["b", "tls"], asked: ["tls"]).isEmpty)
        #expect(told(["a", "b"]).isEmpty && told(["tls"]).isEmpty)
    }

    @Test("Listeners that believe everybody, and upstreams that are told of clients") func proxies() {
        for (block, isEverybody) in [("0.0.0.0/0", true), ("::/0", true), ("0.0.0.0/1", false), ("10.0.0.0/8", false)] {
            let told = self.remarks {
                $0.listeners[0].proxyProtocol = ProxyProtocolSpec(
                    from: ["10.0.0.0/8", block].compactMap { AddressBlock(parsing: $0) })
            }
            let words =
                "$.listeners[0].proxyProtocol.from whoever reaches the listener may claim any address: name the proxies in front"
            #expect(told == (isEverybody ? [words] : []), "\(block)")
        }
        #expect(
            self.remarks { $0.table.upstreams[1].sendProxyProtocol = 2 } == [
                "$.upstreams.gateway.sendProxyProtocol a connection tells of one client, so none is shared: each client opens "
                    + "its own"
            ])
    }

    @Test("gRPC before a side that speaks HTTP/1.1") func gRPC() {
        func told(_ value: String?, _ speaks: EndpointProtocol) -> [String] {
            self.remarks {
                $0.table.routes[0].match.headers = [HeaderMatch(name: "content-type", value: value)]
                $0.table.upstreams[0].speaks = .http2
                $0.table.upstreams[1].speaks = speaks
            }
        }
        let words =
            "$.upstreams.gateway speaks HTTP/1.1, and route \"api\" is for gRPC, which needs HTTP/2: say \"protocol\": "
            + "\"http2\", or every request gets 502"
        #expect(told("application/grpc", .http1) == [words] && told("application/grpc+proto", .http1) == [words])
        #expect(told("application/grpc", .http2).isEmpty && told("application/grpc", .negotiated).isEmpty)
        #expect(told("application/json", .http1).isEmpty && told(nil, .http1).isEmpty)
    }

    @Test("Compression whose Vary is taken away") func forms() {
        let words =
            "$.routes[0].responseHeaders takes away the Vary that \"compression\" adds: caches may give one client another's "
            + "form"
        func told(set: String? = nil, removed: Bool = false, compresses: Bool = true) -> [String] {
            self.remarks {
                if compresses { $0.table.routes[0].compression = CompressionSpec() }
                if let set { $0.table.routes[0].responseHeaders.set = [.init(name: "Vary", value: set)] }
                if removed { $0.table.routes[0].responseHeaders.remove = ["vary"] }
            }
        }
        #expect(told(set: "Origin") == [words] && told(removed: true) == [words])
        #expect(told(set: "Origin, Accept-Encoding").isEmpty && told(set: "*").isEmpty)
        #expect(told().isEmpty && told(set: "Origin", compresses: false).isEmpty)
    }
}
