import TestSupport
import Testing

/// Whom a request is from when proxies stand in front.
@Suite("Client behind proxies", .serialized) struct ForwardedClientScenarios {
    @Test("With trusted hops in between the client is the first from the right that is not trusted")
    func trustedHops() throws {
        let (core, gateway) = (try ScriptedUpstream.plain("core"), try ScriptedUpstream.plain("gateway"))
        let route = """
            {"name": "api", "split": {"core": 1, "gateway": 0},
             "override": {"header": "X-Balancer-Upstream", "from": ["203.0.113.9"]}}
            """
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])], routes: route,
                top: "\"trustedProxies\": [\"127.0.0.1\", \"10.0.0.0/8\", \"fd00::/8\"]", accessLog: true))
        for (number, (fields, client)) in [
            (["203.0.113.9"], "203.0.113.9"),
            (["203.0.113.9, 10.0.0.1"], "203.0.113.9"),
            (["203.0.113.9, 10.0.0.2, 10.0.0.1"], "203.0.113.9"),
            (["6.6.6.6, 203.0.113.9, 10.0.0.1"], "203.0.113.9"),
            (["203.0.113.9, 6.6.6.6, 10.0.0.1"], "6.6.6.6"),
            (["203.0.113.9, fd00::1, 10.0.0.1"], "203.0.113.9"),
            (["6.6.6.6, 203.0.113.9", "10.0.0.1", "10.0.0.2"], "203.0.113.9"),
            (["203.0.113.9", "6.6.6.6, 10.0.0.1"], "6.6.6.6"),
        ].enumerated() {
            let text = fields.map { "X-Forwarded-For: \($0)\r\n" }.joined()
            let response = try balancer.request("/\(number)", fields: text + "X-Balancer-Upstream: gateway\r\n")
            #expect(response.text == (client == "203.0.113.9" ? "gateway" : "core"), "\(fields)")
            let record = try balancer.record(of: "/\(number)")
            #expect(record["forwardedFor"] as? String == client, "\(fields)")
            #expect(record["client"] as? String == "127.0.0.1")
        }
    }

    @Test("Proxy-Authenticate, and Expect where no body is announced, concern this hop only")
    func fieldsOfThisHop() throws {
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nProxy-Authenticate: Basic\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok"
        }
        let balancer = try BalancerProcess(before: upstream)
        let response = try balancer.request(fields: "Expect: 100-continue\r\nX-Kept: 2\r\n")
        #expect(response.field("proxy-authenticate") == nil && response.field("x-kept") == "1")
        let request = try #require(upstream.requests.first)
        #expect(request.field("expect") == nil && request.field("x-kept") == "2")
    }
}
