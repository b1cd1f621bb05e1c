import HTTPWire
import Testing

/// What a request may say about where it came from, and what we say about it.
@Suite("Where a request came from")
struct OriginRuleTests {
    private static let strangersWords = [
        "Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port",
        "X-Forwarded-Prefix", "X-Real-IP", "Client-IP", "X-Client-IP", "True-Client-IP", "X-Cluster-Client-IP",
        "CF-Connecting-IP", "CF-Connecting-IPv6", "Fastly-Client-IP", "X-Original-Forwarded-For", "Forwarded-For",
        "X-Remote-IP", "X-Remote-Addr", "X-Originating-IP", "X-Azure-ClientIP", "X-Envoy-External-Address",
        "X-ProxyUser-IP", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-Request-ID",
    ]

    @Test("A stranger's words about the origin go no further", arguments: Self.strangersWords)
    func stranger(name: String) throws {
        for spelling in [name, name.lowercased(), name.uppercased()] {
            let lines = try Rewriting.request("GET / HTTP/1.1\r\nHost: h\r\n\(spelling): evil\r\nA: b\r\n\r\n")
            #expect(lines == ["GET / HTTP/1.1", "Host: h", "A: b"] + Rewriting.ours)
        }
        // No Connection option strips a trusted proxy's words either.
        let nominated = try Rewriting.request(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: \(name)\r\n\(name): true\r\n\r\n", trusted: true)
        #expect(nominated.contains { $0.contains("true") })
    }

    @Test("A trusted proxy's words are kept", arguments: Self.strangersWords.filter { $0 != "X-Forwarded-For" })
    func trusted(name: String) throws {
        let lines = try Rewriting.request("GET / HTTP/1.1\r\nHost: h\r\n\(name): true\r\n\r\n", trusted: true)
        #expect(lines[2] == "\(name): true")
    }

    @Test("Proxy, which CGI takes for the proxy to use, goes no further, whoever sends it", arguments: [false, true])
    func httpoxy(trusted: Bool) throws {
        let lines = try Rewriting.request("GET / HTTP/1.1\r\nHost: h\r\nProxy: evil:80\r\n\r\n", trusted: trusted)
        #expect(!lines.contains { $0.hasPrefix("Proxy") })
    }

    // MARK: names with a _

    private static let disguised =
        "GET / HTTP/1.1\r\nHost: h\r\nX_Forwarded_For: 6\r\nX-Forwarded_For: 6\r\nX_Real_IP: 6\r\nX_Request_ID: 6\r\n"
        + "Content_Length: 6\r\nX_Forwarded_Anything: 6\r\nX_Balancer_Hops: 0\r\nmy_field: 6\r\nA: b\r\n\r\n"

    @Test("Names with a _ are dropped, or kept where they disguise nothing", arguments: [false, true])
    func underscores(trusted: Bool) throws {
        for underscores in [RequestPolicy.Underscores.drop, .refuse] {
            let lines = try Rewriting.request(
                Self.disguised, policy: Rewriting.policy(underscores: underscores), trusted: trusted)
            #expect(lines == ["GET / HTTP/1.1", "Host: h", "A: b"] + Rewriting.ours)
        }
        let kept = try Rewriting.request(
            Self.disguised, policy: Rewriting.policy(underscores: .keep), trusted: trusted)
        #expect(kept == ["GET / HTTP/1.1", "Host: h", "my_field: 6", "A: b"] + Rewriting.ours)
    }

    @Test("A request with such a name is refused where the configuration says so")
    func refusal() throws {
        var fields = FieldTable()
        _ = try HeadParser.request(
            Parsing.bytes("GET /a_b?_=_ HTTP/1.1\r\nHost: h_h\r\nA: _\r\n\r\n").span, limits: Parsing.limits,
            fields: &fields)
        let harmless = Rewriting.policy(underscores: .refuse).refusal(of: fields)
        #expect(harmless == nil)
        _ = try HeadParser.request(Parsing.bytes(Self.disguised).span, limits: Parsing.limits, fields: &fields)
        let refused = Rewriting.policy(underscores: .refuse).refusal(of: fields)
        #expect(refused == .malformed(.underscoreInName) && refused?.status == 400)
        let dropped = Rewriting.policy(underscores: .drop).refusal(of: fields)
        let kept = Rewriting.policy(underscores: .keep).refusal(of: fields)
        #expect(dropped == nil && kept == nil)
        // The table forgets it with its fields.
        fields.removeAll()
        let forgotten = Rewriting.policy(underscores: .refuse).refusal(of: fields)
        #expect(forgotten == nil)
    }

    // MARK: what we say

    @Test("The scheme is the client's")
    func scheme() throws {
        let lines = try Rewriting.request(
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n", policy: Rewriting.policy(forwarded: true), scheme: .https)
        #expect(lines.contains("X-Forwarded-Proto: https"))
        #expect(lines.contains("Forwarded: for=192.0.2.7;proto=https;host=\"h\""))
        let v6 = try Rewriting.request(
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n", policy: Rewriting.policy(forwarded: true), peer: "2001:db8::1",
            scheme: .https)
        #expect(v6.contains("Forwarded: for=\"[2001:db8::1]\";proto=https;host=\"h\""))
    }

    @Test("X-Request-ID of a trusted proxy: 1 to 128 bytes, once")
    func requestID() throws {
        func ids(_ fields: String) throws -> [String] {
            try Rewriting.request("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\r\n", trusted: true)
                .filter { $0.lowercased().hasPrefix("x-request-id") }
        }
        let most = String(repeating: "i", count: 128)
        #expect(try ids("X-Request-ID: \(most)") == ["X-Request-ID: \(most)"])
        #expect(try ids("X-Request-ID: \(most)i") == [Rewriting.ours[4]])
        #expect(try ids("X-Request-ID:") == [Rewriting.ours[4]])
        #expect(try ids("X-Request-ID: one\r\nX-Request-ID: two") == ["X-Request-ID: one"])
    }

    @Test("A believed field that the route removes is gone, and is not made anew where the route sets it")
    func editedByRoute() throws {
        let edits = FieldEdits(set: [("X-Request-ID", "set")], remove: [])
        let lines = try Rewriting.request(
            "GET / HTTP/1.1\r\nHost: h\r\nX-Request-ID: theirs\r\n\r\n", policy: Rewriting.policy(edits: edits),
            trusted: true)
        #expect(lines.filter { $0.hasPrefix("X-Request-ID") } == ["X-Request-ID: set"])
    }

    // MARK: how often a request has been here

    private func passes(_ fields: String, pseudonym: String) throws -> Int {
        var table = FieldTable()
        let bytes = Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\r\n")
        _ = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &table)
        return PassCount.of(table.list, in: bytes.span, pseudonym: Array(pseudonym.utf8))
    }

    @Test(
        "Passes are counted in Via by who received, not by what else it says",
        arguments: [
            ("A: b", 0), ("Via: 1.1 balancer", 1), ("Via: 1.1 edge, 1.0 BALANCER", 1),
            ("Via: 1.1 balancer\r\nVia: HTTP/1.1 balancer , 1.1 balancer (x)", 3), ("Via: 1.1 balancer2", 0),
            ("Via: 1.1 a (b, 1.1 balancer)", 0), ("Via: 1.1 a (\\), 1.1 balancer ), 1.1 balancer", 1),
            ("Via: 1.1 a ((b), 1.1 balancer), 1.1 balancer", 1), ("Via: balancer", 0), ("Via: ,, ,1.1\tbalancer", 1),
            ("Via: 1.1 a (", 0), ("Via: 1.1 a (\\", 0), ("Via:", 0),
        ])
    func viaCount(fields: String, expected: Int) throws {
        #expect(try self.passes(fields, pseudonym: "balancer") == expected)
        #expect(try self.passes(fields, pseudonym: "") == 0)
    }

    @Test(
        "Or in a field of our own, which counts beside Via",
        arguments: [
            ("X-Balancer-Hops: 3", 3), ("x-balancer-hops: 3\r\nX-Balancer-Hops: 7", 7),
            ("X-Balancer-Hops: 7\r\nX-Balancer-Hops: 3", 7), ("X-Balancer-Hops: x", 0), ("X-Balancer-Hops:", 0),
            ("X-Balancer-Hops: 99999999999999999999", 9_999),
            ("X-Balancer-Hops: 3\r\nVia: 1.1 b", 4),
        ])
    func hopCount(fields: String, expected: Int) throws {
        #expect(try self.passes(fields, pseudonym: "b") == expected)
    }

    @Test("A pass always leaves its mark, whatever a route does to Via")
    func marks() throws {
        let request =
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Balancer-Hops\r\nX-Balancer-Hops: 2\r\nVia: 1.1 e\r\n\r\n"
        for policy in [
            Rewriting.policy(via: ""), Rewriting.policy(edits: FieldEdits(set: [], remove: ["via"])),
            Rewriting.policy(edits: FieldEdits(set: [("Via", "x")], remove: [])),
        ] {
            let lines = try Rewriting.request(request, policy: policy)
            #expect(lines.filter { $0.hasPrefix("X-Balancer") } == ["X-Balancer-Hops: 3"])
        }
        // Where Via marks the pass, what other routes counted stays.
        let lines = try Rewriting.request(request)
        #expect(lines.filter { $0.hasPrefix("X-Balancer") } == ["X-Balancer-Hops: 2"])
        #expect(lines.contains("Via: 1.1 balancer"))
    }
}
