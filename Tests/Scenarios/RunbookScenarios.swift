import Foundation
import Glibc
import TestSupport
import Testing

/// docs/runbook.md, executed: its own command blocks, the real charts and programs, real load, and not one failed request.
@Suite("Runbook", .serialized) struct RunbookScenarios {
    /// The blocks that the walk runs.
    static let blocks: Set<String> = [
        "install", "install-check", "move-host", "move-host-back", "stage-1-live", "stage-1-lasting", "weights",
        "stage-2-before", "stage-2-live", "stage-2-lasting", "stage-2-step", "watch", "stage-3-live", "stage-3-lasting",
        "stage-3-back", "adopt-core", "adopt-core-back", "stage-4-routes", "stage-4-check",
        "stage-4-without-server", "stage-4-health-only", "stage-4-core", "stage-4-back-core", "stage-4-back-routes",
    ]

    /// Reads, and what else a browser and a misled client send. `/nominations` is long enough to be under way at any change.
    static let requests: [RunbookLoad.Request] =
        [.init("GET", "/nominations", 200)]
        + (0..<6).flatMap { _ in
            [
                .init("GET", "/nominators", 200), .init("GET", "/scoremetadata", 200),
                .init("OPTIONS", "/candidates", 204), .init("GET", "/lastnomination", 200),
                .init("POST", "/candidates", 404, body: "{\"a\": 1}"),
            ] as [RunbookLoad.Request]
        }

    @Test("Every command block of the runbook is run by a test, and every block that a test runs is there")
    func everyBlock() throws {
        let document = try RunbookDocument()
        #expect(document.problems.isEmpty, "\(document.problems)")
        let names = document.blocks.map(\.name)
        #expect(names.count == Set(names).count, "a name is there twice")
        // Each test says what it runs, and fails unless it has run just that.
        let run = Self.blocks.union(RunbookOnCallScenarios.blocks).union([RunbookDocument.shell])
        #expect(Set(names).subtracting(run).sorted() == [], "nothing runs these")
        #expect(run.subtracting(names).sorted() == [], "these are gone from the runbook")
        for stage in ["Stage 1: core only", "Stage 2: by weight", "Stage 3: core in reserve", "Stage 4: core retired"] {
            #expect(document.headings.contains("## \(stage)"))
        }
    }

    /// Shares in percent, within what the connections' last answers may shift.
    private func expect(
        _ load: RunbookLoad, _ expected: [String: Double], _ comment: String,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let shares = try load.shares()
        for side in Set(shares.keys).union(expected.keys) {
            let (now, then) = (shares[side] ?? 0, expected[side] ?? 0)
            // Nothing is nothing; a share is exact at each balancer, and the sample begins and ends anywhere.
            let tolerance = then == 0 || then == 100 ? 0 : 2.0
            #expect(abs(now - then) <= tolerance, "\(comment): \(shares)", sourceLocation: location)
        }
        #expect(load.failures.isEmpty, "\(comment): \(load.failures.prefix(5))", sourceLocation: location)
    }

    /// The lasting change has reached every balancer and says what the live one did.
    private func awaitLasting(_ cluster: RunbookCluster, _ weights: [String]...) throws {
        try cluster.await("weights") { text in
            let balancers = text.components(of: "== pod/otv-balancer")
            let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            return balancers >= 2 && !text.contains("file says")
                && weights.allSatisfy { words in lines.filter { $0.firstRange(of: words) != nil }.count >= balancers }
        }
    }

    @Test("From the old release through stages 1 to 4 and back to 1, under load, with pods that come and go")
    func walk() throws {
        let cluster = try RunbookCluster()
        try cluster.awaitHost("kusama.example", "kusama-otv-backend")
        let load = RunbookLoad(cluster.addresses("kusama.example"), requests: Self.requests)
        try self.expect(load, ["legacy": 100], "before")

        try cluster.run("install")
        #expect(try cluster.run("install-check").contains("FAILED") == false)
        try self.expect(load, ["legacy": 100], "installed beside it")
        let old = load.places
        try cluster.run("move-host")
        #expect(
            eventually(seconds: 60) { load.places.isDisjoint(with: old) && load.places.count == 2 },
            "the host has moved")
        try self.expect(load, ["legacy": 100], "through the balancers")
        try cluster.run("move-host-back")
        #expect(eventually(seconds: 60) { load.places == old }, "the host has moved back")

        try cluster.run("stage-1-lasting")
        try cluster.run("move-host")
        #expect(
            eventually(seconds: 60) { load.places.isDisjoint(with: old) && load.places.count == 2 },
            "the host has moved again")
        try cluster.run("stage-1-live")
        try self.expect(load, ["legacy": 100], "stage 1")

        #expect(try cluster.run("stage-2-before").contains("warning") == false)
        try cluster.run("stage-2-live")
        try self.expect(load, ["legacy": 90, "gateway": 10], "stage 2, live")
        try cluster.run("stage-2-lasting")
        try self.awaitLasting(cluster, ["core", "90"], ["gateway", "10"])
        try self.expect(load, ["legacy": 90, "gateway": 10], "stage 2, lasting")
        try cluster.run("watch")

        try self.comeAndGo(cluster, load)

        try cluster.run("stage-3-live")
        try self.expect(load, ["gateway": 100], "stage 3, live")
        try cluster.run("stage-3-lasting")
        try self.awaitLasting(cluster, ["core", "0"], ["gateway", "100"])
        try cluster.run("adopt-core")
        try cluster.run("adopt-core-back")
        try cluster.awaitPods("kusama-otv-backend", 1)
        try cluster.run("adopt-core")
        let core = try #require(try cluster.pods("otv-core").first)
        try cluster.await("watch") { text in
            text.split(separator: "\n").filter { $0.contains(" \(core.ip):") && $0.contains(" up ") }.count >= 2
        }
        try self.expect(load, ["gateway": 100], "core is of this release")

        let health = RunbookLoad(
            cluster.addresses("kusama.example"), connections: 1, requests: [.init("GET", "/healthcheck", 200)])
        try cluster.run("stage-4-routes")
        try cluster.await("stage-4-check") { $0.components(of: "\"gone\"") >= 2 }
        // The three ends: whatever core still does, the balancers neither ask it nor know it.
        for end in ["stage-4-without-server", "stage-4-health-only", "stage-4-core"] {
            try cluster.run(end)
            try self.expect(load, ["gateway": 100], end)
            #expect(try cluster.run("watch").contains(" core ") == false, "\(end)")
            try self.isRetired(cluster)
        }

        try cluster.run("stage-4-back-core")
        try health.stop()
        #expect(health.failures.isEmpty, "\(health.failures.prefix(5))")
        try cluster.run("stage-4-back-routes")
        try cluster.await("stage-4-check") { $0.components(of: "\"operations\"") >= 2 }
        try self.expect(load, ["gateway": 100], "back in stage 3")
        try cluster.run("stage-2-step", ["SHARE": "25"])
        try self.awaitLasting(cluster, ["core", "75"], ["gateway", "25"])
        try self.expect(load, ["core": 75, "gateway": 25], "back in stage 2")
        try cluster.run("stage-3-back")
        try self.expect(load, ["core": 100], "back in stage 1")
        try self.awaitLasting(cluster, ["core", "100"], ["gateway", "0"])

        try load.stop()
        #expect(load.failures.isEmpty, "\(load.total) answers, failures \(load.failures.prefix(5))")
        try self.nobodyWasHurt(cluster)
        #expect(cluster.ran == Self.blocks)
    }

    /// The autoscaler adds and removes pods of both sides while half of the traffic is the gateway's.
    private func comeAndGo(_ cluster: RunbookCluster, _ load: RunbookLoad) throws {
        try cluster.run("stage-2-step", ["SHARE": "50"])
        try self.expect(load, ["legacy": 50, "gateway": 50], "stage 2, half")
        try self.awaitLasting(cluster, ["core", "50"], ["gateway", "50"])
        try cluster.scale("otv-gateway", to: 3)
        try cluster.scale("otv-balancer", to: 3)
        try cluster.awaitPods("otv-gateway", 3)
        try cluster.awaitPods("otv-balancer", 3)
        try self.expect(load, ["legacy": 50, "gateway": 50], "three of each")
        try cluster.scale("otv-gateway", to: 2)
        try cluster.scale("otv-balancer", to: 2)
        try cluster.awaitPods("otv-gateway", 2)
        try cluster.awaitPods("otv-balancer", 2)
        try self.expect(load, ["legacy": 50, "gateway": 50], "two of each again")
    }

    private func isRetired(_ cluster: RunbookCluster) throws {
        let address = try String(contentsOfFile: cluster.addresses("kusama.example"), encoding: .utf8)
            .split(separator: "\n")[0].split(separator: ":")
        for (target, status) in [("/status", 410), ("/healthcheck", 200), ("/nominators", 200), ("/metrics", 404)] {
            let connection = try RawConnection(host: String(address[0]), port: UInt16(address[1]) ?? 0)
            connection.send("GET \(target) HTTP/1.1\r\nHost: kusama.example\r\nConnection: close\r\n\r\n")
            var reader = MessageReader(connection)
            #expect(try reader.message().status == status, "\(target)")
        }
    }

    /// No process of a pod that serves ended by itself, and none had to be killed.
    private func nobodyWasHurt(_ cluster: RunbookCluster) throws {
        for owner in ["otv-balancer", "otv-gateway", "otv-core"] {
            for pod in try cluster.pods(owner) { #expect(pod.restarts == 0, "\(pod)") }
        }
        #expect(cluster.story.allSatisfy { !$0.contains("is killed") }, "\(cluster.story)")
    }
}
