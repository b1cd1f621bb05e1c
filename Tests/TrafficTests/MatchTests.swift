import Testing
import Traffic

/// A request as matching sees it.
struct Probe: CustomStringConvertible {
    var method = "GET"
    var host = "example.org"
    var path = "/"
    var headers: [(String, String)] = []
    var listener = "public"

    var description: String { "\(self.method) \(self.host) \(self.path) \(self.headers) on \(self.listener)" }

    func match(_ table: RoutingTable) -> Int? {
        var bytes: [UInt8] = []
        var fields: [FieldReference] = []
        for (name, value) in self.headers {
            let nameLower = UInt32(bytes.count)
            bytes += Array(name.utf8)
            let nameUpper = UInt32(bytes.count)
            bytes += Array(": ".utf8)
            let valueLower = UInt32(bytes.count)
            bytes += Array(value.utf8)
            fields.append(
                FieldReference(
                    nameLower: nameLower, nameUpper: nameUpper, valueLower: valueLower, valueUpper: UInt32(bytes.count))
            )
        }
        let method = Array(self.method.utf8)
        let host = Array(self.host.utf8)
        let path = Array(self.path.utf8)
        return table.match(
            method: method.span, host: host.span, path: path.span, listener: table.bit(ofListener: self.listener),
            bytes: bytes.span, fields: fields.span)
    }
}

@Suite("Finding a request's route")
struct MatchTests {
    static func spec(
        _ name: String, hosts: [HostPattern] = [], paths: [PathPattern] = [], methods: [String] = [],
        headers: [HeaderMatch] = []
    ) -> RouteSpec {
        var spec = RouteSpec(name: name, action: .split([]))
        spec.match.hosts = hosts
        spec.match.paths = paths
        spec.match.methods = methods
        spec.match.headers = headers
        return spec
    }

    private func name(_ routes: [RouteSpec], _ probe: Probe) -> String? {
        probe.match(Tables.table([], routes: routes)).map { routes[$0].name }
    }

    @Test(
        "Prefixes end on segment borders",
        arguments: [
            ("/a", "/a", true), ("/a", "/a/", true), ("/a", "/a/b", true), ("/a", "/a//b", true), ("/a", "/ab", false),
            ("/a", "/", false), ("/a", "/A", false), ("/a", "a", false), ("/a/", "/a/", true), ("/a/", "/a/b", true),
            ("/a/", "/a", false), ("/a/", "/a//", true), ("/a/b", "/a/b/c", true), ("/a/b", "/a/bc", false),
            ("/", "/", true), ("/", "/x/y", true), ("/", "*", true), ("/", "", true), ("/a//b", "/a//b", true),
            ("/a//b", "/a/b", false), ("/a", "/a%2Fb", false), ("/a", "/a;x", false),
        ])
    func prefixes(prefix: String, path: String, matches: Bool) {
        let routes = [Self.spec("r", paths: [.prefix(prefix)])]
        #expect((self.name(routes, Probe(path: path)) == "r") == matches)
    }

    @Test(
        "A path that is exact is compared whole",
        arguments: [("/a", true), ("/a/", false), ("/a/b", false), ("/A", false), ("/", false), ("", false)])
    func exact(path: String, matches: Bool) {
        let routes = [Self.spec("r", paths: [.exact("/a")])]
        #expect((self.name(routes, Probe(path: path)) == "r") == matches)
    }

    @Test(
        "Hosts are compared without port, case and final dot; a suffix needs a label before it",
        arguments: [
            ("example.org", "exact"), ("EXAMPLE.org:8080", "exact"), ("example.org.", "exact"),
            ("example.org.:80", "exact"),
            ("www.example.org", "suffix"), ("A.B.Example.Org", "suffix"), ("x.api.example.org", "longer"),
            ("api.example.org", "suffix"), (".example.org", nil), ("badexample.org", nil), ("example.com", nil),
            ("[::1]", "v6"), ("[::1]:80", "v6"), ("[::2]", nil), ("[::1", nil), ("", nil), (".", nil), (":80", nil),
        ] as [(String, String?)])
    func hosts(host: String, expected: String?) {
        let routes = [
            Self.spec("suffix", hosts: [.suffix(".example.org")]), Self.spec("exact", hosts: [.exact("example.org")]),
            Self.spec("longer", hosts: [.suffix(".api.example.org")]), Self.spec("v6", hosts: [.exact("[::1]")]),
        ]
        #expect(self.name(routes, Probe(host: host)) == expected)
        let open = routes + [Self.spec("any")]
        #expect(self.name(open, Probe(host: host)) == expected ?? "any")
    }

    @Test(
        "A route may ask where the connection came in: that is one condition more, and who came in elsewhere misses it")
    func listeners() {
        var plain = Self.spec("plain", paths: [.prefix("/")])
        plain.match.listeners = ["plain"]
        var both = Self.spec("both", paths: [.prefix("/a")])
        both.match.listeners = ["plain", "public"]
        let routes = [Self.spec("any", paths: [.prefix("/")]), plain, both, Self.spec("a", paths: [.prefix("/a")])]
        #expect(self.name(routes, Probe(listener: "plain")) == "plain")
        #expect(self.name(routes, Probe(listener: "public")) == "any")
        #expect(self.name(routes, Probe(path: "/a", listener: "plain")) == "both")
        #expect(self.name(routes, Probe(path: "/a", listener: "public")) == "both")
        #expect(self.name(routes, Probe(path: "/a", listener: "gone")) == "a")
        #expect(self.name([plain], Probe(listener: "")) == nil)
    }

    @Test("Sixty-four listeners are told apart, each by a bit of its own")
    func manyListeners() {
        let names = (0..<64).map { "l\($0)" }
        var routes = names.map { name in
            var spec = Self.spec(name)
            spec.match.listeners = [name]
            return spec
        }
        var all = Self.spec("all")
        all.match.listeners = names
        routes.append(all)
        for name in names { #expect(self.name(routes, Probe(listener: name)) == name) }
    }

    @Test("Host outweighs path, path outweighs conditions, conditions outweigh the order")
    func precedence() {
        let routes = [
            Self.spec("any"),
            Self.spec("deep", paths: [.exact("/a/b")]),
            Self.spec("prefix", paths: [.prefix("/a")]),
            Self.spec("prefix-later", paths: [.prefix("/a")]),
            Self.spec("prefix-post", paths: [.prefix("/a")], methods: ["POST"]),
            Self.spec(
                "prefix-two", paths: [.prefix("/a")], methods: ["POST"], headers: [HeaderMatch(name: "x-a", value: nil)]
            ),
            Self.spec("host", hosts: [.suffix(".org")], paths: [.prefix("/")]),
            Self.spec("host-get", hosts: [.exact("b.org")], methods: ["GET"]),
        ]
        #expect(self.name(routes, Probe(host: "x.com", path: "/z")) == "any")
        #expect(self.name(routes, Probe(host: "x.com", path: "/a/b")) == "deep")
        #expect(self.name(routes, Probe(host: "x.com", path: "/a/b/c")) == "prefix")
        #expect(self.name(routes, Probe(method: "POST", host: "x.com", path: "/a")) == "prefix-post")
        #expect(
            self.name(routes, Probe(method: "POST", host: "x.com", path: "/a", headers: [("X-A", "")])) == "prefix-two")
        #expect(self.name(routes, Probe(host: "a.org", path: "/a/b")) == "host")
        #expect(self.name(routes, Probe(host: "b.org", path: "/a/b")) == "host-get")
        #expect(self.name(routes, Probe(method: "PUT", host: "b.org", path: "/a/b")) == "host")
    }

    @Test("Methods are compared with case, header names without, header values with")
    func conditions() {
        let routes = [
            Self.spec(
                "m", methods: ["GET", "PURGE"],
                headers: [HeaderMatch(name: "x-env", value: "Blue"), HeaderMatch(name: "x-any", value: nil)])
        ]
        func found(_ method: String, _ headers: [(String, String)]) -> Bool {
            self.name(routes, Probe(method: method, headers: headers)) == "m"
        }
        #expect(found("PURGE", [("x-ANY", "1"), ("X-Env", "Blue")]))
        #expect(found("GET", [("X-Env", "green"), ("X-Env", "Blue"), ("X-Any", "")]))
        #expect(!found("GET", [("X-Env", "blue"), ("X-Any", "")]))
        #expect(!found("GET", [("X-Env", "Blue")]))
        #expect(!found("get", [("x-any", "1"), ("X-Env", "Blue")]))
        #expect(!found("POST", [("x-any", "1"), ("X-Env", "Blue")]))
    }

    @Test("Only tables with header conditions ask for headers")
    func needsHeaders() {
        #expect(!Tables.table([], routes: [Self.spec("r", methods: ["GET"])]).needsHeaders)
        #expect(Tables.table([], routes: [Self.spec("r", headers: [HeaderMatch(name: "a", value: nil)])]).needsHeaders)
    }

    @Test("A field reference outside the bytes matches nothing and harms nobody")
    func wildReferences() {
        let table = Tables.table([], routes: [Self.spec("r", headers: [HeaderMatch(name: "abc", value: "x")])])
        let bytes = Array("abc".utf8)
        for field in [
            FieldReference(nameLower: 1, nameUpper: 4, valueLower: 0, valueUpper: 1),
            FieldReference(nameLower: 3, nameUpper: 0, valueLower: 0, valueUpper: 1),
            FieldReference(nameLower: .max - 3, nameUpper: .max, valueLower: 0, valueUpper: 1),
            FieldReference(nameLower: 0, nameUpper: 3, valueLower: 9, valueUpper: 10),
        ] {
            #expect(
                table.match(
                    method: bytes.span, host: bytes.span, path: bytes.span, bytes: bytes.span, fields: [field].span)
                    == nil)
        }
    }

    @Test("A thousand routes are all found")
    func thousand() {
        let routes = (0..<1_000).map { index in
            Self.spec(
                "r\(index)", hosts: [.exact("h\(index % 50).example.org")],
                paths: [.prefix("/svc\(index)/v\(index % 7)")])
        }
        let table = Tables.table([], routes: routes)
        for index in stride(from: 0, to: 1_000, by: 3) {
            #expect(
                Probe(host: "h\(index % 50).example.org", path: "/svc\(index)/v\(index % 7)/x").match(table) == index)
            #expect(Probe(host: "h\(index % 50).example.org", path: "/svc\(index)/v\(index % 7)x").match(table) == nil)
            #expect(
                Probe(host: "h\((index + 1) % 50).example.org", path: "/svc\(index)/v\(index % 7)").match(table) == nil)
        }
    }

    @Test(
        "Agrees with a plain reading of the rules on random tables, with paths compared in several forms too",
        arguments: Seeds.first(200), [false, true])
    func reference(seed: UInt64, disguised: Bool) {
        var random = SplitMix64(seed: seed)
        let routes = (0..<1 + random.below(25)).map { RandomMatch.route($0, &random, disguised: disguised) }
        let table = Tables.table([], routes: routes)
        for _ in 0..<80 {
            let probe = RandomMatch.probe(&random, disguised: disguised)
            let expected = ReferenceMatcher.match(routes, probe)
            let found = probe.match(table)
            if found != expected {
                Issue.record(
                    "seed \(seed): \(probe) gives \(String(describing: found)), not \(String(describing: expected))")
            }
        }
    }
}
