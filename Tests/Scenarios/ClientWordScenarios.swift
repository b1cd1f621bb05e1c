import Foundation
import TestSupport
import Testing

/// What a client says of itself, and what of it goes on.
@Suite("A client's word", .serialized) struct ClientWordScenarios {
    @Test(
        "Behind a word that is no address nobody further left is believed",
        arguments: [
            "unknown", "", "_hidden", "fe80::1%eth0", "10.0.0.256", "203.0.113.9:80x", "\"203.0.113.9\"", "[::1",
        ])
    func unbelievable(word: String) throws {
        let (core, gateway) = (try ScriptedUpstream.plain("core"), try ScriptedUpstream.plain("gateway"))
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                routes: """
                    {"name": "api", "split": {"core": 1, "gateway": 0},
                     "override": {"header": "X-Balancer-Upstream", "from": ["203.0.113.9"]}}
                    """,
                top: "\"trustedProxies\": [\"127.0.0.1\", \"10.0.0.0/8\"]", accessLog: true))
        let cases: [(fields: [String], client: String?)] = [
            (["203.0.113.9", word], nil), (["203.0.113.9, \(word)"], nil),
            (["203.0.113.9", word, "10.0.0.1"], "10.0.0.1"),
            (["203.0.113.9, \(word), 10.0.0.1"], "10.0.0.1"), ([word], nil), ([word, "203.0.113.9"], "203.0.113.9"),
        ]
        for (number, (fields, client)) in cases.enumerated() {
            let text = fields.map { "X-Forwarded-For: \($0)\r\n" }.joined()
            let response = try balancer.request("/\(number)", fields: text + "X-Balancer-Upstream: gateway\r\n")
            #expect(response.text == (client == "203.0.113.9" ? "gateway" : "core"), "\(fields)")
            #expect(try balancer.record(of: "/\(number)")["forwardedFor"] as? String == client, "\(fields)")
        }
    }

    @Test("The log line of input that is no request names no client that a proxy spoke for")
    func rejectedInput() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(
            before: upstream, top: "\"trustedProxies\": [\"127.0.0.1\"]", accessLog: true)
        #expect(try balancer.exchange("NONSENSE\r\n\r\n").text.hasPrefix("HTTP/1.1 400 "))
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        connection.send("GET /good HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
        #expect(try reader.message().status == 200)
        connection.send("NONSENSE\r\n\r\n")
        #expect(try reader.message().status == 400)
        func rejected() -> [String] { balancer.program.output.filter { $0.contains("\"status\":400") } }
        #expect(eventually { rejected().count == 2 })
        for line in rejected() {
            let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
            #expect(Set(record.keys) == ["time", "requestId", "client", "status", "reason"], "\(line)")
            #expect(record["client"] as? String == "127.0.0.1")
        }
        #expect(try balancer.record(of: "/good")["forwardedFor"] as? String == "203.0.113.9")
    }

    /// Fields by which CGI and its heirs would take a stranger for somebody else.
    private static let disguises = [
        "X_Forwarded_For", "X-Forwarded_For", "x_real_ip", "X_Request_ID", "X_Forwarded",
    ]
    /// Those that are nobody's else.
    private static let honest = ["Forwarded_", "_Host", "My_Own"]

    @Test("Fields with an underscore are dropped, kept or refused, as forwarding.underscores says")
    func underscores() throws {
        let text = (Self.disguises + Self.honest).map { "\($0): 6.6.6.6\r\n" }.joined() + "X-Plain: 1\r\n"
        for (setting, passes) in [(nil, false), ("drop", false), ("keep", true)] as [(String?, Bool)] {
            let upstream = try ScriptedUpstream.plain("ok")
            let balancer = try BalancerProcess(
                before: upstream, top: setting.map { "\"forwarding\": {\"underscores\": \"\($0)\"}" } ?? "")
            #expect(try balancer.request(fields: text).status == 200)
            let seen = try #require(upstream.requests.first)
            for name in Self.disguises { #expect(seen.field(name) == nil, "\(name), \(setting ?? "-")") }
            for name in Self.honest { #expect((seen.field(name) != nil) == passes, "\(name), \(setting ?? "-")") }
            #expect(seen.field("x-plain") == "1")
        }
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(before: upstream, top: "\"forwarding\": {\"underscores\": \"refuse\"}")
        for name in Self.disguises + Self.honest {
            #expect(try balancer.request(fields: "\(name): 6.6.6.6\r\n").status == 400, "\(name)")
        }
        #expect(try balancer.request(fields: "X-Plain: a_b\r\n").status == 200)
        #expect(upstream.requests.count == 1)
    }

    @Test("A stranger's word on its origin is not passed on under any name")
    func origin() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(before: upstream)
        let names = [
            "X-Real-IP", "X-Forwarded", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-By", "Client-IP",
        ]
        #expect(
            try balancer.request(fields: names.map { "\($0): 6.6.6.6\r\n" }.joined() + "X-Kept: 1\r\n").status == 200)
        let seen = try #require(upstream.requests.first)
        for name in names { #expect(seen.field(name) == nil, "\(name)") }
        #expect(seen.field("x-forwarded-for") == "127.0.0.1" && seen.field("x-kept") == "1")
        #expect(!seen.fields.contains { $0.value.contains("6.6.6.6") && $0.name.lowercased().hasPrefix("x-forwarded") })
    }

    @Test("Trailers bring nothing that a head may not bring, in both directions")
    func trailers() throws {
        let own = [
            "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Request-ID", "X_Real_IP", "Via",
        ]
        let hop = ["Connection", "Transfer-Encoding", "Content-Length", "Host", "Upgrade", "Keep-Alive", "TE"]
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n"
                + "X-Balancer-Reason: no-endpoint\r\nX-Powered-By: Koa\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"
        }
        let balancer = try BalancerProcess(
            before: upstream,
            routes: """
                {"name": "api", "split": {"core": 1}, "requestHeaders": {"remove": ["X-Debug"], "set": {"X-Tier": "public"}},
                 "responseHeaders": {"remove": ["X-Powered-By"]}}
                """)
        for fields in [own, ["X-Debug", "X-Tier"], hop] {
            let connection = try balancer.connect()
            connection.send(
                "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nup\r\n0\r\n"
                    + fields.map { "\($0): 6.6.6.6\r\n" }.joined() + "X-Check: 1\r\n\r\n")
            var reader = MessageReader(connection)
            let response = try reader.message()
            // What frames a message may also be refused.
            if response.status == 400, fields == hop { continue }
            #expect(response.status == 200 && response.text == "ok")
            #expect(response.trailers == ["X-Sum: 2"])
            #expect(upstream.requests.last?.trailers == ["X-Check: 1"], "\(fields)")
        }
    }
}
