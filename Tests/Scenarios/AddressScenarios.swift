import Foundation
import TestSupport
import Testing

/// IPv6, host names, and addresses that cannot be had.
@Suite("Addresses", .serialized) struct AddressScenarios {
    /// Whether the machine has `::1`; containers may be without.
    static let hasIPv6 = ((try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8)) ?? "")
        .contains("00000000000000000000000000000001 ")

    private func configuration(listener: String, endpoint: String, top: String = "", upstream: String = "") -> String {
        """
        {"listeners": [{"name": "public", "address": "\(listener)"}], "admin": {"address": "127.0.0.1:0"}, \(top)
         "upstreams": {"core": {"endpoints": ["\(endpoint)"]\(upstream)}}, "routes": [{"name": "api", "split": {"core": 1}}]}
        """
    }

    @Test("An IPv6 listener and an IPv6 endpoint", .enabled(if: hasIPv6, "there is no ::1 on this machine"))
    func version6() throws {
        let upstream = try ScriptedUpstream.echoing()
        // The inner one listens on IPv6, and the outer one reaches it there.
        let inner = try BalancerProcess(
            self.configuration(
                listener: "[::1]:0", endpoint: "127.0.0.1:\(upstream.port)",
                top: #""trustedProxies": ["::1"], "forwarding": {"forwarded": true},"#))
        let outer = try BalancerProcess(
            self.configuration(
                listener: "127.0.0.1:0", endpoint: "[::1]:\(inner.port)",
                upstream: #", "health": {"interval": "100ms"}"#))
        let connection = try outer.connect()
        var reader = MessageReader(connection)
        for number in 0..<5 {
            connection.send("GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n")
            let response = try reader.message()
            #expect(response.status == 200 && response.text == "/\(number)")
        }
        let request = try #require(upstream.requests.first { $0.start.hasPrefix("GET /0 ") })
        #expect(request.field("x-forwarded-for") == "127.0.0.1, ::1")
        #expect(request.field("forwarded")?.hasPrefix("for=\"[::1]\"") == true)
        #expect(
            eventually { inner.program.output.contains { $0.contains("\"client\":\"::1\"") && $0.contains("\"/0\"") } })
        let upstreams = try outer.admin("/api/v1/upstreams").text
        #expect(upstreams.contains("\"address\":\"[::1]:\(inner.port)\""))
        #expect(try outer.command("endpoint", "[::1]:\(inner.port)", "drain").status == 0)
        #expect(try outer.request().status == 503)
        #expect(try outer.command("endpoint", "[::1]:\(inner.port)", "ready").status == 0)
        #expect(try outer.request().status == 200)
    }

    @Test(
        "A listener on every address takes IPv4 clients too", .enabled(if: hasIPv6, "there is no ::1 on this machine"))
    func dualStack() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            self.configuration(listener: "[::]:0", endpoint: "127.0.0.1:\(upstream.port)"))
        #expect(try balancer.request("/x").text == "/x")
        #expect(upstream.requests.first?.field("x-forwarded-for") == "127.0.0.1")
    }

    @Test("An endpoint by host name: its addresses become endpoints")
    func hostName() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            self.configuration(listener: "127.0.0.1:0", endpoint: "localhost:\(upstream.port)"))
        // Where localhost has an IPv6 address as well, nobody listens there: such attempts go on to the other one.
        for _ in 0..<20 { #expect(try balancer.request("/x").text == "/x") }
        let upstreams = try balancer.admin("/api/v1/upstreams").text
        #expect(upstreams.contains("\"address\":\"127.0.0.1:\(upstream.port)\""))
        let unknown = try Program.run(
            "balancer", ["check", try self.file("no-such-host.invalid:80", in: balancer.folder)])
        // It may be known later, and is then asked: a warning.
        #expect(unknown.status == 0)
        #expect(
            unknown.errors.contains("warning: $.upstreams.core.endpoints[0]: \"no-such-host.invalid\": "),
            "\(unknown.errors)")
    }

    private func file(_ endpoint: String, in folder: String) throws -> String {
        let path = folder + "/other.json"
        try BalancerProcess.write(self.configuration(listener: "127.0.0.1:0", endpoint: endpoint), to: path)
        return path
    }

    @Test("A listener that cannot be bound is named by its place, at the start and at a load")
    func taken() throws {
        let upstream = try ScriptedUpstream.echoing()
        let routes = { (second: String) in
            """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0"}\(second)], "admin": {"address": "127.0.0.1:0"},
             "upstreams": {"core": {"endpoints": ["127.0.0.1:1"]}}, "routes": [{"name": "api", "split": {"core": 1}}]}
            """
        }
        let taken = routes(#", {"name": "second", "address": "127.0.0.1:\#(upstream.port)"}"#)
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(taken, to: folder + "/routes.json")
        let failed = try Program.run("balancer", ["serve", "--config", folder + "/routes.json"])
        #expect(failed.status == 1 && failed.errors.contains("$.listeners[1].address: bind"), "\(failed.errors)")
        let balancer = try BalancerProcess(routes(""))
        try BalancerProcess.write(taken, to: balancer.file)
        #expect(
            try eventually {
                let reload = try balancer.json("/api/v1/status")["lastReload"] as? [String: Any]
                let problems = reload?["problems"] as? [[String: Any]] ?? []
                return reload?["ok"] as? Bool == false
                    && problems.map { $0["path"] as? String } == ["$.listeners[1].address"]
            })
    }
}
