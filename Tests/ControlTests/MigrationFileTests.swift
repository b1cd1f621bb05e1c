@testable import Control
import Migration
import RoutesFile
import Testing
import Traffic

/// Plans whose file changes, and that go on in another process.
@Suite struct MigrationFileTests {
    private typealias Rig = MigrationRig

    @Test("A file that changes the split or the plan pauses it, and what is in force stays; without the plan it ends")
    func files() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(by: "ann"))
        try await rig.load(Rig.configuration(core: 3, gateway: 1))
        #expect(await rig.standing?.state.pause == .fileChanged)
        #expect(await rig.weights["gateway"] == 50_000)
        try await rig.act(.resume(by: "ann"))
        #expect(await rig.standing?.state.epoch == 1, "the weights were the stage's all the time")
        try await rig.load(Rig.configuration({ $0.gates.minimum = 10 }, core: 3, gateway: 1))
        #expect(await rig.phase == .paused)
        try await rig.act(.stop(restore: true, by: "ann"))
        #expect(await rig.weights == ["core": 3, "gateway": 1])

        try await rig.act(.start(by: "ann"))
        var gone = Rig.configuration(core: 3, gateway: 1)
        gone.migrations = []
        gone.table.routes[0].migration = nil
        try await rig.load(gone)
        #expect(await rig.standing == nil)
        #expect(await rig.weights["gateway"] == 50_000)
        // Another plan of the same route never counts into what this one counted.
        try await rig.load(Rig.configuration(core: 3, gateway: 1))
        try await rig.act(.start(by: "ann"))
        #expect(await rig.standing?.state.epoch == 3)
    }

    @Test("It goes on in another process: stage, weights and hold; a retreat is not forgotten")
    func inherited() async throws {
        let first = Rig()
        try await first.load()
        try await first.act(.start(by: "ann"))
        for _ in 0..<4 { await first.tick() }
        let live = try await first.bench.publisher.beginHandOver()
        let record = try #require(live.plans?.first)
        #expect(record.held == 4_000 && record.epoch == 1 && record.share == 50_000)
        let second = Rig()
        await second.bench.publisher.inherit(live, origin: ChangeOrigin(.takeover))
        try await second.load()
        #expect(await second.phase == .running)
        #expect(await second.weights["gateway"] == 50_000)
        await second.tick()
        await second.tick()
        #expect(await second.standing?.state.held == 5_000)
        // The predecessor counts on until it has drained.
        #expect(await second.standing?.state.epoch == 2)
        // What was a plan of another file waits for eyes.
        let third = Rig()
        await third.bench.publisher.inherit(live, origin: ChangeOrigin(.takeover))
        try await third.load(Rig.configuration { $0.stages[1].hold = 1 })
        #expect(await third.standing?.state.pause == .fileChanged)
        // A word of another version is no reason to forget that it is under way.
        var strange = live
        strange.plans?[0].phase = "dreaming"
        let fourth = Rig()
        await fourth.bench.publisher.inherit(strange, as: .restored, origin: ChangeOrigin(.start))
        try await fourth.load()
        #expect(await fourth.phase == .paused)
        fourth.count(epoch: 1, new: (22, 2_000), old: (38, 38_000))
        await fourth.tick()
        #expect(await fourth.phase == .retreated)
    }

    @Test("A file that was changed while no process ran pauses it, also where the plan's weights were the file's own")
    func changedMeanwhile() async throws {
        let first = Rig()
        try await first.load(Rig.configuration(core: 950_000, gateway: 50_000))
        try await first.act(.start(by: "ann"))
        let live = try await first.bench.publisher.beginHandOver()
        #expect(live.weights.isEmpty && live.plans?.first?.share == 50_000)
        let same = Rig()
        await same.bench.publisher.inherit(live, as: .restored, origin: ChangeOrigin(.start))
        try await same.load(Rig.configuration(core: 950_000, gateway: 50_000))
        #expect(await same.phase == .running)
        let second = Rig()
        await second.bench.publisher.inherit(live, as: .restored, origin: ChangeOrigin(.start))
        try await second.load(Rig.configuration(core: 1, gateway: 1))
        #expect(await second.standing?.state.pause == .fileChanged)
        #expect(await second.weights == ["core": 950_000, "gateway": 50_000])
    }

    @Test("A plan that leads between other sides from now on judges nothing by what it has counted of those before")
    func otherSides() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(by: "ann"))
        rig.count(epoch: 1, new: (22, 2_000), old: (38, 38_000))
        var configuration = Rig.configuration {
            $0.from = "gateway"
            $0.to = "core"
        }
        configuration.table.routes[0].migration = MigrationTraffic(name: "move", from: 1, to: 0)
        try await rig.load(configuration)
        await rig.tick()
        #expect(await rig.standing?.state.pause == .fileChanged)
        #expect(await rig.standing?.state.share == 950_000)
        #expect(await rig.standing?.state.epoch == 2)
        #expect(await rig.weights == ["core": 950_000, "gateway": 50_000])
    }

    @Test("A file with other stages leaves the plan at one that gives no more than is in force")
    func otherStages() async throws {
        func change(_ shares: [UInt32]) -> BalancerConfiguration {
            Rig.configuration { plan in
                plan.stages = shares.map { .init(.share($0), hold: 10_000) }
            }
        }
        for (shares, stage, share) in [
            ([50_000, 1_000_000], 0, 50_000), ([100_000, 200_000, 300_000], 1, 200_000),
            ([50_000, 250_000], 1, 250_000), ([400_000, 500_000], 0, 400_000),
        ] as [([UInt32], Int, UInt32)] {
            let rig = Rig()
            try await rig.load()
            try await rig.act(.start(stage: 2, by: "ann"))
            try await rig.load(change(shares))
            #expect(await rig.standing?.state.pause == .fileChanged)
            #expect(await rig.weights["gateway"] == 250_000)
            #expect(await rig.standing?.state.stage == stage, "\(shares)")
            try await rig.act(.resume(by: "ann"))
            #expect(await rig.standing?.state.share == share, "\(shares)")
        }
    }

    @Test("A file with fewer stages does not take a plan into the one that retires the old side, nor out of it")
    func retiring() async throws {
        func change(_ shares: [UInt32], approval: Bool = false) -> BalancerConfiguration {
            Rig.configuration { plan in
                plan.stages = shares.map { .init(.share($0), hold: 10_000) }
                plan.stages.append(.init(.retire, hold: 20_000, approval: approval))
            }
        }
        // By the number of its stage it would be taken to retire what nobody has approved to be retired.
        for (stage, expected, held) in [(4, 1, 0), (5, 2, 6_000)] as [(Int, Int, Int64)] {
            let rig = Rig()
            try await rig.load(change([50_000, 250_000, 500_000, 1_000_000]))
            try await rig.act(.start(stage: stage, by: "ann"))
            for _ in 0..<6 { await rig.tick() }
            #expect(await rig.standing?.state.held == 6_000)
            try await rig.load(change([250_000, 500_000, 750_000, 1_000_000], approval: true))
            try await rig.load(change([500_000, 1_000_000], approval: true))
            #expect(await rig.standing?.state.stage == expected)
            #expect(await rig.standing?.state.held == held)
            #expect(await rig.weights["gateway"] == 1_000_000)
        }
    }

    @Test("Between other sides, of which the new one has less, a resume takes nothing to where the one before was")
    func lesserSide() async throws {
        func configuration(to name: String) -> BalancerConfiguration {
            var configuration = Rig.configuration { $0.to = name }
            var upstream = UpstreamSpec(name: "spare")
            upstream.endpoints = [Sample.address(3300)]
            configuration.table.upstreams.append(upstream)
            if let split = configuration.table.routes[0].split {
                configuration.table.routes[0].action = .split(split + [SplitEntry(upstream: "spare", weight: 0)])
            }
            configuration.table.routes[0].migration = MigrationTraffic(
                name: "move", from: 0, to: name == "spare" ? 2 : 1)
            return configuration
        }
        let rig = Rig()
        try await rig.load(configuration(to: "gateway"))
        try await rig.act(.start(stage: 2, by: "ann"))
        #expect(await rig.weights["gateway"] == 250_000)
        try await rig.load(configuration(to: "spare"))
        #expect(await rig.standing?.state.pause == .fileChanged)
        #expect(await rig.standing?.state.share == 0)
        #expect(await rig.standing?.state.stage == 0)
        try await rig.act(.resume(by: "ann"))
        #expect(await rig.weights["spare"] == 50_000)
    }

    @Test("A plan that the next process's file does not have is over, and a file that has it again begins it anew")
    func goneMeanwhile() async throws {
        let first = Rig()
        try await first.load()
        try await first.act(.start(by: "ann"))
        let live = try await first.bench.publisher.beginHandOver()
        let second = Rig()
        await second.bench.publisher.inherit(live, as: .restored, origin: ChangeOrigin(.start))
        var gone = Rig.configuration()
        gone.migrations = []
        gone.table.routes[0].migration = nil
        try await second.load(gone)
        #expect(await second.weights["gateway"] == 50_000)
        let words = await second.bench.publisher.entries.filter { $0.subject == "move" }.map(\.detail)
        #expect(words == ["stopped: the file has no such migration any more; weights stay"])
        try await second.load()
        #expect(await second.phase == .ready)
        try await second.act(.start(by: "ann"))
        #expect(await second.standing?.state.epoch == 2, "never the number of a run that was")
    }

    @Test("A member without weight leaves the split or joins it, and what the plan has put in force stays")
    func idleMember() async throws {
        func change(spare: Bool, gateway: UInt32) -> BalancerConfiguration {
            var configuration = Rig.configuration(core: 1, gateway: gateway)
            var upstream = UpstreamSpec(name: "spare")
            upstream.endpoints = [Sample.address(3300)]
            configuration.table.upstreams.append(upstream)
            guard spare, let split = configuration.table.routes[0].split else { return configuration }
            configuration.table.routes[0].action = .split(split + [SplitEntry(upstream: "spare", weight: 0)])
            return configuration
        }
        let rig = Rig()
        try await rig.load(change(spare: true, gateway: 0))
        try await rig.act(.start(by: "ann"))
        for (spare, gateway) in [(false, 1), (true, 2)] as [(Bool, UInt32)] {
            try await rig.load(change(spare: spare, gateway: gateway))
            #expect(await rig.standing?.state.pause == .fileChanged)
            #expect(await rig.standing?.state.share == 50_000)
            #expect(await rig.weights.filter { $0.value > 0 } == ["core": 950_000, "gateway": 50_000])
            try await rig.act(.resume(by: "ann"))
            #expect(await rig.standing?.state.epoch == 1, "the weights were the stage's all the time")
        }
    }

    @Test("Whoever resumes a plan that was paused by hand is told that the file has changed since")
    func changedWhilePaused() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(by: "ann"))
        try await rig.act(.pause(.byHand, by: "ann"))
        try await rig.load(Rig.configuration { $0.gates.minimum = 10 })
        #expect(await rig.standing?.state.pause == .fileChanged)
        let entries = await rig.bench.publisher.entries
        #expect(entries.contains { $0.detail.contains("paused") && $0.reason == "file-changed" })
    }
}
