import TestSupport
import Testing

/// The guard against a running balancer, over the API and by command.
@Suite("Guard", .serialized) struct GuardScenarios {
    @Test("A rise is refused until it has been tried or is meant; home is always open; a dry run tells what comes")
    func guarded() throws {
        let core = try ScriptedUpstream.plain("core")
        let gateway = try ScriptedUpstream.plain("gateway")
        defer { core.stop(); gateway.stop() }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                routes: "{\"name\": \"api\", \"match\": {\"path\": \"/\"}, \"split\": {\"core\": 99, \"gateway\": 1}}",
                top: "\"guard\": {\"minimum\": 20}"))
        let refused = try balancer.setWeights("{\"gateway\": 50}")
        #expect(refused.status == 409 && refused.text.contains("$.weights.gateway"), "\(refused.text)")
        #expect(refused.text.contains("must have been 20 times"))
        let dry = try balancer.command("weight", "api", "gateway=50", "--dry-run")
        #expect(dry.status == 0 && dry.errors.contains("the guard objects: gateway: it was tried 0 times"))
        #expect(try balancer.command("weight", "api", "gateway=50").status == 1)
        let forced = try balancer.command("weight", "api", "gateway=50", "--force", "--reason", "a drill")
        #expect(forced.status == 0 && forced.errors.contains("the guard objected"), "\(forced.errors)")
        // Half of them try it; then more is no question any more.
        for _ in 0..<80 { _ = try balancer.request() }
        #expect(try balancer.command("weight", "api", "gateway=200").status == 0)
        #expect(try balancer.command("weight", "api", "gateway=0").status == 0)
        #expect(try balancer.admin("/metrics").text.contains("balancer_guard_refusals_total{reason=\"minimum\"} 2\n"))
        let journal = try balancer.command("journal", "--route", "api").output
        #expect(journal.contains("(refused)") && journal.contains("(forced)"), "\(journal)")
    }
}
