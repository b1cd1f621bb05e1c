@testable import Control
import Migration
import RoutesFile
import Testing
import Traffic

@Suite("Remarks about plans") struct ConfigurationRemarkTests {
    private func paths(_ change: (inout BalancerConfiguration, inout PlanSpec) -> Void) -> [String] {
        var configuration = Sample.configuration()
        var plan = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway",
            stages: [.init(.mirror, mirror: 100_000, hold: 0), .init(.share(1_000_000), hold: 0)])
        change(&configuration, &plan)
        configuration.migrations = [MigrationSpec(plan: plan)]
        return ConfigurationRemarks.warnings(configuration).map(\.path)
    }

    @Test(
        "Fewer HTTP/2 connections than workers leave some without one",
        arguments: [EndpointProtocol.http2, .negotiated])
    func connections(_ speaks: EndpointProtocol) {
        func paths(_ limit: UInt32, _ speaks: EndpointProtocol) -> [String] {
            var configuration = Sample.configuration()
            configuration.table.upstreams[0].speaks = speaks
            configuration.table.upstreams[0].maxConnections = limit
            return ConfigurationRemarks.warnings(configuration, workers: 4).map(\.path)
        }
        #expect(paths(3, speaks) == ["$.upstreams.core.maxConnections"])
        #expect(paths(4, speaks).isEmpty)
        #expect(paths(0, speaks).isEmpty)
        #expect(paths(1, .http1).isEmpty)
    }

    @Test("Four eyes want tokens")
    func eyes() {
        #expect(self.paths { _, plan in plan.fourEyes = true } == ["$.migrations[0].fourEyes"])
        let told = self.paths { configuration, plan in
            plan.fourEyes = true
            var admin = AdminSpec()
            admin.tokensFile = "/etc/tokens"
            configuration.admin = admin
        }
        #expect(told.isEmpty)
    }
}
