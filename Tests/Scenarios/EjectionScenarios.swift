import TestSupport
import Testing

/// Which answers take an endpoint out (docs/decisions/0006), and which never do.
@Suite("Ejection", .serialized) struct EjectionScenarios {
    private static let strict = """
        "retry": {"attempts": 0}, "passive": {"consecutiveFailures": 3, "failureRate": 10, "minimumRequests": 5,
         "window": "1m", "baseEjection": "1h", "maxEjection": "1h", "maxEjectedShare": 100}
        """

    /// Two endpoints that answer what the path asks for, as in `/503`.
    private func started() throws -> (upstreams: [ScriptedUpstream], balancer: BalancerProcess) {
        let upstreams = try (0..<2).map { _ in
            try ScriptedUpstream.answering { request, _ in
                "HTTP/1.1 \(request.start.split(separator: " ")[1].dropFirst()) As Asked\r\nContent-Length: 0\r\n\r\n"
            }
        }
        let balancer = try BalancerProcess(
            Routes.configuration(upstreams: [("core", upstreams.map(\.port))], upstreamKeys: Self.strict))
        return (upstreams, balancer)
    }

    @Test("Overload and what clients provoke never eject", arguments: [503, 429, 500, 501, 400, 404, 408, 499])
    func harmless(status: Int) throws {
        let (upstreams, balancer) = try self.started()
        for _ in 0..<30 {
            let response = try balancer.request("/\(status)")
            #expect(response.status == status && response.field("x-balancer-reason") == nil)
        }
        #expect(upstreams.map(\.requests.count).reduce(0, +) == 30, "each reached an endpoint")
        #expect(try balancer.sum("balancer_ejections_total") == 0)
        #expect(try balancer.sum("balancer_endpoint_available") == 2)
    }

    @Test("What only a proxy in front of it would answer does eject", arguments: [502, 504])
    func failures(status: Int) throws {
        let (upstreams, balancer) = try self.started()
        var reached = 0
        while reached < 100, try balancer.request("/\(status)").status == status { reached += 1 }
        #expect((6...8).contains(reached), "both are out after 3 failures in a row each, not after \(reached)")
        #expect(upstreams.allSatisfy { $0.requests.count >= 3 })
        #expect(try balancer.sum("balancer_ejections_total") == 2)
        let refused = try balancer.request("/200")
        #expect(refused.status == 503 && refused.field("x-balancer-reason") == "no-endpoint-available")
    }
}
