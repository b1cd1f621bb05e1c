import TestSupport
import Testing

/// A side in reserve, with real processes.
@Suite("Reserve", .serialized) struct ReserveScenarios {
    @Test("The old side takes over when the new one is gone, and gives way when it is back; both are told")
    func takesOver() throws {
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        defer { core.stop(); gateway.stop() }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                routes:
                    "{\"name\": \"api\", \"match\": {\"path\": \"/\"}, \"split\": {\"core\": 0, \"gateway\": 1}, \"reserve\": [\"core\"]}"
            ))
        for _ in 0..<5 { #expect(try balancer.request().text == "gateway") }
        #expect(
            try balancer.admin("/metrics").text.contains("balancer_reserve_serves{route=\"api\",upstream=\"core\"} 0\n")
        )
        let drained = try balancer.command("endpoint", "127.0.0.1:\(gateway.port)", "drain", "--reason", "a drill")
        #expect(drained.status == 0)
        for _ in 0..<5 { #expect(try balancer.request().text == "core") }
        #expect(
            try balancer.admin("/metrics").text.contains("balancer_reserve_serves{route=\"api\",upstream=\"core\"} 1\n")
        )
        let explained = try balancer.command("explain", "/").output
        #expect(explained.contains("core does, in reserve"), "\(explained)")
        func journal() throws -> String { try balancer.command("journal", "--route", "api").output }
        #expect(try eventually { try journal().contains("core serves in reserve") })
        #expect(try balancer.command("endpoint", "127.0.0.1:\(gateway.port)", "ready").status == 0)
        for _ in 0..<5 { #expect(try balancer.request().text == "gateway") }
        #expect(try eventually { try journal().contains("core serves no more in reserve") })
    }
}
