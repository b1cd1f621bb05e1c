import JSONText
import RoutesFile
import Testing
import Traffic

@Suite("The section discovery")
struct DiscoveryTests {
    private func read(_ members: String) throws -> DiscoverySpec? {
        let configuration = try Document(core: "\"discovery\": { \(members) }").parse()
        #expect(configuration.table.upstreams.first?.endpoints.isEmpty == true)
        return configuration.table.upstreams.first?.discovery
    }

    @Test("dns: name and port, with defaults and with every key")
    func dns() throws {
        var lookup = NameLookup(name: "gateway.default.svc.cluster.local")
        #expect(
            try self.read(#""dns": { "name": "gateway.default.svc.cluster.local", "port": 3301 }"#)
                == .dns(lookup, port: 3_301))
        #expect(lookup.interval == 5_000)
        lookup.name = "gateway."
        lookup.interval = 250
        lookup.resolver = try address("10.96.0.10:53")
        lookup.staleFor = 3_600_000
        let text = """
            "dns": { "name": "gateway.", "port": 1, "interval": "250ms", "resolver": "10.96.0.10:53", "staleFor": "1h" }
            """
        #expect(try self.read(text) == .dns(lookup, port: 1))
    }

    @Test("srv: a name with underscores")
    func srv() throws {
        var lookup = NameLookup(name: "_http._tcp.gateway")
        lookup.interval = 60_000
        #expect(try self.read(#""srv": { "name": "_http._tcp.gateway", "interval": "1m" }"#) == .srv(lookup))
    }

    @Test("endpointSlices: the port by name or number, with defaults and with every key")
    func endpointSlices() throws {
        var lookup = EndpointSliceLookup(service: "gateway", port: .name("http"))
        let text = #""endpointSlices": { "service": "gateway", "port": "http" }"#
        #expect(try self.read(text) == .endpointSlices(lookup))
        lookup.port = .number(3_301)
        lookup.namespace = "default"
        lookup.server = "https://10.96.0.1:443"
        lookup.tokenFile = "/run/token"
        lookup.caFile = "/run/ca.crt"
        #expect(
            try self.read(
                #"""
                "endpointSlices": { "service": "gateway", "namespace": "default", "port": 3301,
                  "server": "https://10.96.0.1:443", "tokenFile": "/run/token", "caFile": "/run/ca.crt" }
                """#) == .endpointSlices(lookup))
    }

    @Test(
        "Faults, each at its place",
        arguments: [
            ("", "", "expected \"dns\", \"srv\" or \"endpointSlices\""),
            (#""dns": { "name": "a", "port": 1 }, "srv": { "name": "a" }"#, "", "not several of them"),
            (#""srv": { "name": "a" }, "dnss": {}"#, ".dnss", #"did you mean "dns"?"#),
            (#""dns": { "port": 1 }"#, ".dns", #"the key "name" is missing"#),
            (#""dns": { "name": "a" }"#, ".dns", #"the key "port" is missing"#),
            (#""dns": { "name": "a", "port": 0 }"#, ".dns.port", "an integer from 1 to 65535"),
            (#""dns": { "name": "10.0.0.1", "port": 1 }"#, ".dns.name", "a domain name"),
            (#""dns": { "name": "a..b", "port": 1 }"#, ".dns.name", "a domain name"),
            (#""dns": { "name": "", "port": 1 }"#, ".dns.name", "a domain name"),
            (#""dns": { "name": "a:80", "port": 1 }"#, ".dns.name", "a domain name"),
            (#""dns": { "name": "a", "port": 1, "interval": "10ms" }"#, ".dns.interval", "from 100ms to 1h"),
            (#""dns": { "name": "a", "port": 1, "resolver": "dns:53" }"#, ".dns.resolver", "a name server"),
            (#""dns": { "name": "a", "port": 1, "resolver": "10.0.0.1:0" }"#, ".dns.resolver", "a name server"),
            (#""srv": { "name": "a", "staleFor": "1ms" }"#, ".srv.staleFor", "from 1s to 720h"),
            (#""srv": { "name": "a", "port": 1 }"#, ".srv.port", "unknown key"),
            (#""endpointSlices": { "port": 1 }"#, ".endpointSlices", #"the key "service" is missing"#),
            (#""endpointSlices": { "service": "Up", "port": 1 }"#, ".endpointSlices.service", "the name of a Service"),
            (#""endpointSlices": { "service": "a", "port": "" }"#, ".endpointSlices.port", "the number of a port"),
            (#""endpointSlices": { "service": "a", "port": 70000 }"#, ".endpointSlices.port", "from 1 to 65535"),
            (
                #""endpointSlices": { "service": "a", "port": 1, "namespace": "a/b" }"#, ".endpointSlices.namespace",
                "the name of a namespace"
            ),
            (
                #""endpointSlices": { "service": "a", "port": 1, "server": "https://a/b" }"#, ".endpointSlices.server",
                "without a path"
            ),
            (
                #""endpointSlices": { "service": "a", "port": 1, "server": "ftp://a" }"#, ".endpointSlices.server",
                "a URL such as"
            ),
            (
                #""endpointSlices": { "service": "a", "port": 1, "caFile": "" }"#, ".endpointSlices.caFile",
                "expected a path"
            ),
        ])
    func faults(members: String, path: String, fragment: String) {
        let found = Document(core: "\"discovery\": { \(members) }").problems()
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.path == "$.upstreams.core.discovery" + path)
        #expect(found.first?.message.contains(fragment) == true, "\(found)")
    }

    @Test("Either endpoints or discovery")
    func both() {
        let text = #""endpoints": ["127.0.0.1:1"], "discovery": { "srv": { "name": "a" } }"#
        let found = Document(core: text).problems()
        #expect(found.map(\.path) == ["$.upstreams.core"])
        #expect(found.first?.message == #"expected "endpoints" or "discovery", not both"#)
    }
}
