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
