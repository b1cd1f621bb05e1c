import Testing

@testable import Traffic

@Suite("Paths compared in another form")
struct PathFormTests {
    private func normal(_ path: String) -> String {
        let bytes = Array(path.utf8)
        let normal = NormalPath(bytes.span)
        return String(decoding: normal.range.map { normal.buffer[$0] }, as: UTF8.self)
    }

    @Test(
        "The normal form of a path",
        arguments: [
            ("/", "/"), ("/a", "/a"), ("/a/", "/a/"), ("//a", "/a"), ("/a//b", "/a/b"), ("/a///", "/a/"), ("//", "/"),
            ("/./a", "/a"), ("/a/.", "/a/"), ("/a/./b", "/a/b"), ("/a/..", "/"), ("/a/../b", "/b"), ("/a/b/..", "/a/"),
            ("/..", "/"), ("/../../a", "/a"), ("/a/../../b/./c/..", "/b/"), ("/a/%2e%2E/b", "/b"), ("/%2e/a", "/a"),
            ("/%6Detrics", "/metrics"), ("/%6detrics", "/metrics"), ("/a%2fb", "/a%2Fb"), ("/a%2Fb", "/a%2Fb"),
            ("/%7euser", "/~user"), ("/%256d", "/%256d"), ("/%", "/%"), ("/%4", "/%4"), ("/%%41", "/%A"),
            ("/%g1", "/%g1"), ("/...", "/..."), ("/.a", "/.a"), ("/a.", "/a."), ("/a/...", "/a/..."),
            ("/%2e%2e%2e", "/..."), ("/a//../b", "/b"), ("/a%00b", "/a%00b"), ("/%c3%a4", "/%C3%A4"),
        ])
    func normalForm(path: String, expected: String) {
        #expect(self.normal(path) == expected)
        #expect(ReferenceMatcher.normal(path) == expected)
        let bytes = Array(path.utf8)
        if NormalPath.isNormal(bytes.span) { #expect(path == expected) }
        #expect(self.normal(expected) == expected, "it has one only")
    }

    @Test("Agrees with a reading from the left on random paths", arguments: Seeds.first(100))
    func random(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let letters = Array("//..%%2e2E6dfFa".utf8)
        for _ in 0..<300 {
            let path = "/" + String(decoding: (0..<random.below(24)).map { _ in random.pick(letters) }, as: UTF8.self)
            #expect(self.normal(path) == ReferenceMatcher.normal(path), "\(path)")
            let bytes = Array(path.utf8)
            if NormalPath.isNormal(bytes.span) { #expect(self.normal(path) == path) }
        }
    }

    @Test(
        "Of a path of any length the beginning is kept, and its length known", arguments: [4_000, 8_190, 8_193, 70_000])
    func long(length: Int) {
        let path = "/x/../metrics/" + String(repeating: "ab/", count: length / 3) + "%61"
        let bytes = Array(path.utf8)
        let normal = NormalPath(bytes.span)
        let expected = ReferenceMatcher.normal(path)
        #expect(normal.count == expected.utf8.count)
        let kept = normal.range.map { normal.buffer[$0] }
        #expect(kept.count >= min(NormalPath.kept, normal.count))
        #expect(kept.elementsEqual(expected.utf8.prefix(kept.count)))
    }

    private func table(ignoreCase: Bool, normalise: Bool) -> RoutingTable {
        var hidden = RouteSpec(name: "hidden", action: .respond(status: 404))
        hidden.match.paths = [.prefix("/metrics"), .exact("/Status")]
        hidden.match.ignoreCase = ignoreCase
        hidden.match.normalise = normalise
        var all = RouteSpec(name: "all", action: .redirect(RedirectSpec()))
        all.match.paths = [.prefix("/")]
        return Tables.table([], routes: [hidden, all])
    }

    @Test(
        "What must not be public is found in every spelling that its forms cover",
        arguments: [
            ("/metrics", [true, true, true, true]), ("/metrics/x", [true, true, true, true]),
            ("/METRICS", [false, true, false, true]), ("//metrics", [false, false, true, true]),
            ("/x/../metrics", [false, false, true, true]), ("/%6Detrics", [false, false, true, true]),
            ("/%4Detrics", [false, false, false, true]), ("/./Metrics/", [false, false, false, true]),
            ("/status", [false, true, false, true]), ("/Status", [true, true, true, true]),
            ("/status/x", [false, false, false, false]), ("/metricsx", [false, false, false, false]),
            ("/metrics%2Fx", [false, false, false, false]),
            ("/" + String(repeating: "y", count: 60_000) + "/../metrics", [false, false, true, true]),
        ])
    func spellings(path: String, expected: [Bool]) {
        for form in 0..<4 {
            let table = self.table(ignoreCase: form & 1 != 0, normalise: form & 2 != 0)
            #expect((Probe(path: path).match(table) == 0) == expected[form], "form \(form)")
        }
    }

    @Test("Routes of several forms are ranked by their patterns' length, then by conditions, then as declared")
    func ranks() {
        var longer = MatchTests.spec("longer", paths: [.prefix("/a/b")])
        longer.match.ignoreCase = true
        var exact = MatchTests.spec("exact", paths: [.exact("/A/B")])
        exact.match.normalise = true
        let shorter = MatchTests.spec("shorter", paths: [.prefix("/A")])
        let conditional = MatchTests.spec("conditional", paths: [.prefix("/A/B")], methods: ["PUT"])
        let table = Tables.table([], routes: [shorter, longer, exact, conditional])
        func name(_ path: String, _ method: String = "GET") -> String? {
            Probe(method: method, path: path).match(table).map { table.routes[$0].name }
        }
        #expect(name("/A/B") == "exact")
        #expect(name("/A/./B") == "exact")
        #expect(name("/A/B/c") == "longer")
        #expect(name("/A/B/c", "PUT") == "conditional")
        #expect(name("/A/c") == "shorter")
        #expect(name("/a/c") == nil)
    }
}

@Suite("Routes that only headers tell apart")
struct HeaderIndexTests {
    private static func tenant(_ index: Int, also: [HeaderMatch] = [], methods: [String] = []) -> RouteSpec {
        MatchTests.spec(
            "r\(index)", paths: [.prefix("/")], methods: methods,
            headers: [HeaderMatch(name: "x-tenant", value: "t\(index)")] + also)
    }

    @Test("Five thousand are told apart by asking one or two of them")
    func many() {
        let common = HeaderMatch(name: "x-zone", value: "eu")
        let routes = (0..<5_000).map { Self.tenant($0, also: $0 % 2 == 0 ? [common] : []) }
        #expect(RouteMatcher(routes).longestWalk <= 1)
        let table = Tables.table([], routes: routes)
        for index in stride(from: 0, to: 5_000, by: 7) {
            let probe = Probe(path: "/x", headers: [("a", "b"), ("X-Zone", "eu"), ("X-Tenant", "t\(index)")])
            #expect(probe.match(table) == index)
        }
        #expect(Probe(headers: [("X-Tenant", "t5000"), ("X-Zone", "eu")]).match(table) == nil)
        #expect(Probe(headers: [("X-Tenant", "t2")]).match(table) == nil, "the other header is missing")
    }

    @Test("Those without a value to ask for stay in the order of their ranks")
    func others() {
        var routes = (0..<20).map { Self.tenant($0) }
        routes.append(
            MatchTests.spec("any", paths: [.prefix("/")], headers: [HeaderMatch(name: "x-tenant", value: nil)]))
        routes.append(Self.tenant(3, also: [HeaderMatch(name: "x-beta", value: "1")]))
        routes.append(MatchTests.spec("put", paths: [.prefix("/")], methods: ["PUT"]))
        routes.append(MatchTests.spec("rest", paths: [.prefix("/")]))
        let table = Tables.table([], routes: routes)
        func match(_ method: String = "GET", _ headers: (String, String)...) -> Int? {
            Probe(method: method, headers: headers).match(table)
        }
        #expect(match("GET", ("x-tenant", "t3")) == 3)
        #expect(match("PUT", ("x-tenant", "t3")) == 3, "declared before the other of one condition")
        #expect(match("GET", ("x-tenant", "t3"), ("x-beta", "1")) == 21, "two conditions")
        #expect(match("GET", ("x-tenant", "t77")) == 20)
        #expect(match("PUT") == 22)
        #expect(match() == 23)
    }

    @Test("Agrees with a plain reading of the rules where many share a path", arguments: Seeds.first(60))
    func reference(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let routes = (0..<60).map { index -> RouteSpec in
            var headers: [HeaderMatch] = []
            for name in ["x-a", "x-b", "x-c"] where random.chance(2, of: 3) {
                headers.append(
                    HeaderMatch(name: name, value: random.chance(1, of: 5) ? nil : random.pick(["1", "2", "3", "4"])))
            }
            return MatchTests.spec(
                "r\(index)", paths: [random.chance(1, of: 2) ? .prefix("/") : .exact("/a")],
                methods: random.chance(1, of: 4) ? [random.pick(["GET", "PUT"])] : [], headers: headers)
        }
        let table = Tables.table([], routes: routes)
        for _ in 0..<100 {
            let headers = ["X-A", "x-b", "X-c", "x-a", "x-d"].compactMap { name in
                random.chance(1, of: 2) ? (name, random.pick(["1", "2", "3", "4", "5"])) : nil
            }
            let probe = Probe(
                method: random.pick(["GET", "PUT"]), path: random.pick(["/", "/a", "/b"]), headers: headers)
            #expect(probe.match(table) == ReferenceMatcher.match(routes, probe), "seed \(seed): \(probe)")
        }
    }
}
