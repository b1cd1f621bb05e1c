import TestSupport
import Testing

/// Requests that come back to where they were.
@Suite("Loops", .serialized) struct LoopScenarios {
    @Test(
        "A request that goes in a circle ends after forwarding.maxPasses, with Via and without",
        arguments: ["\"edge\"", "false"])
    func circle(via: String) throws {
        func configuration(_ port: UInt16) -> String {
            Routes.configuration(
                upstreams: [("core", [port])], upstreamKeys: "\"retry\": {\"attempts\": 0}",
                top: "\"forwarding\": {\"via\": \(via), \"maxPasses\": 3}")
        }
        // Each is the other's endpoint; what it is called it learns by a load.
        let first = try BalancerProcess(configuration(1))
        let second = try BalancerProcess(configuration(first.port))
        try first.load(configuration(second.port))
        let response = try first.request("/round")
        #expect(response.status == 508, "\(response.start) \(response.field("x-balancer-reason") ?? "")")
        let passes = try first.sum("balancer_endpoint_requests_total") + second.sum("balancer_endpoint_requests_total")
        #expect((3...8).contains(passes), "\(passes) passes")
    }

    @Test("An endpoint that is the balancer's own listener is refused, also when a load brings it")
    func ownListener() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request().text == "ok")
        try BalancerProcess.write(
            Routes.configuration(upstreams: [("core", [balancer.port])]), to: balancer.file)
        let refused = try eventually {
            try balancer.admin("/api/v1/upstreams").text.contains("\"availability\":\"refused\"")
        }
        #expect(refused)
        #expect(try balancer.request().status == 503)
    }
}
