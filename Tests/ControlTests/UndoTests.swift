@testable import Control
import RoutesFile
import TestSupport
import Testing
import Traffic

@Suite struct UndoTests {
    @Test("One change goes back, and the undo can be undone")
    func one() async throws {
        let bench = try await LedgerBench().start()
        try await bench.setWeights(50, 50)
        let change = try #require(await bench.journal().last)
        let dry = try await bench.undo(.change(change.sequence)) { $0.dryRun = true }
        #expect(dry.dryRun && dry.changed && dry.generation == 2)
        #expect(await bench.weights() == [50, 50])
        let done = try await bench.undo(.change(change.sequence))
        #expect(done.routes == dry.routes && done.generation == 3 && done.undoes == change.id)
        #expect(await bench.weights() == [90, 10])
        // Nothing stands over the file any more.
        #expect(await bench.publisher.current.state.live.isEmpty)
        let entry = try #require(await bench.journal().last)
        #expect(entry.what == .undo && entry.undoes == change.id && entry.reason == "back")
        _ = try await bench.undo(.change(entry.sequence))
        #expect(await bench.weights() == [50, 50])
        #expect(try await bench.restarted().weights() == [50, 50])
    }

    @Test("Every one of 50 generations can be gone back to, in one table, over a restart")
    func generations() async throws {
        var bench = try await LedgerBench().start()
        struct Stand: Equatable {
            var weights: [UInt32]
            var drained: [Bool]
        }
        func stand() async -> Stand {
            Stand(
                weights: await bench.weights(),
                drained: [bench.administrative(3301) == .drain, bench.administrative(3302) == .drain])
        }
        var stands: [UInt64: Stand] = [:]
        var random = SplitMix64(seed: 7)
        for _ in 1...50 {
            try await bench.setWeights(UInt32(random.next() % 1_000), UInt32(random.next() % 1_000) + 1)
            for port in [UInt16(3301), 3302] where random.next() % 3 == 0 {
                try await bench.set(bench.administrative(port) == .drain ? .ready : .drain, port)
            }
            stands[await bench.publisher.current.table.generation] = await stand()
        }
        bench = try await bench.restarted()
        for (generation, expected) in stands.sorted(by: { $0.key < $1.key }).reversed() {
            let before = await bench.publisher.current.table.generation
            let outcome = try await bench.undo(.generation(generation))
            #expect(await stand() == expected)
            #expect(outcome.generation <= before + 1 && outcome.undoes == "generation \(generation)")
        }
        // From the oldest to the newest again, by what the undos themselves have written.
        for (generation, expected) in stands.sorted(by: { $0.key < $1.key }) {
            _ = try await bench.undo(.generation(generation))
            #expect(await stand() == expected)
        }
    }

    @Test("What was changed since is not overridden unless that is meant")
    func later() async throws {
        let bench = try await LedgerBench().start()
        try await bench.setWeights(50, 50)
        try await bench.setWeights(10, 90)
        let refused = await #expect(throws: ChangeRefused.self) { try await bench.undo(.change(2)) }
        guard case .needsForce(let problems)? = refused else { return #expect(Bool(false)) }
        #expect(problems.first?.message.contains("last by entry 3 (core 50→10, gateway 50→90)") == true)
        _ = try await bench.undo(.change(2)) { $0.force = true }
        #expect(await bench.weights() == [90, 10])
        #expect(await bench.journal().last?.forced == true)
    }

    @Test("A way back to weights that leave nobody is refused by the route's path unless that is meant")
    func silenced() async throws {
        let bench = try await LedgerBench().start()
        _ = try await bench.setWeights(0, 0, force: true)
        _ = try await bench.setWeights(50, 50)
        let refused = await #expect(throws: ChangeRefused.self) { try await bench.undo(.change(3)) }
        let message = "no upstream of it would have a weight: every request would be answered 503"
        #expect(refused == .needsForce([ControlProblem(path: "$.routes.api", message: message)]))
        #expect(await bench.weights() == [50, 50])
        #expect(try await bench.undo(.change(3)) { $0.force = true }.changed)
        #expect(await bench.weights() == [0, 0])
    }

    @Test("What the file has moved since is not overridden unless that is meant")
    func moved() async throws {
        let bench = try await LedgerBench().start()
        try await bench.setWeights(50, 50)
        try await bench.setWeights(90, 10)
        _ = try await bench.publisher.load(
            Sample.configuration(core: 1_000, gateway: 5), origin: ChangeOrigin(.file, who: "routes.json"))
        let refused = await #expect(throws: ChangeRefused.self) { try await bench.undo(.change(3)) }
        guard case .needsForce(let problems)? = refused else { return #expect(Bool(false)) }
        #expect(problems.first?.message.contains("core 1000, gateway 5, as in the file") == true)
        #expect(await bench.weights() == [1_000, 5])
        #expect(try await bench.undo(.change(3)) { $0.force = true }.changed)
    }

    @Test("What cannot be taken back is refused in words")
    func refused() async throws {
        let bench = try await LedgerBench().start()
        await #expect(throws: ChangeRefused.notFound("the journal has no entry 99")) {
            try await bench.undo(.change(99))
        }
        for target in [UndoRequest.Target.change(1), .generation(99)] {
            let refused = await #expect(throws: ChangeRefused.self) { try await bench.undo(target) }
            guard case .invalid? = refused else { return #expect(Bool(false), "\(target)") }
        }
        await #expect(throws: ChangeRefused.self) { try await bench.undo(.generation(1)) { $0.ifMatch = ["\"x\""] } }
        #expect(try await bench.undo(.generation(1)).changed == false)
    }

    @Test("What does not exist any more is listed, and left out only if asked")
    func gone() async throws {
        let bench = try await LedgerBench().start()
        try await bench.setWeights(50, 50)
        try await bench.set(.drain, 3301)
        try await bench.set(.drain, 3302)
        var smaller = Sample.configuration()
        smaller.table.upstreams[1].endpoints.removeLast()
        smaller.table.routes[0].action = .split([SplitEntry(upstream: "core", weight: 1)])
        _ = try await bench.publisher.load(smaller, origin: ChangeOrigin(.file))
        try await bench.set(.ready, 3301)
        let refused = await #expect(throws: ChangeRefused.self) { try await bench.undo(.generation(2)) }
        guard case .gone(let problems)? = refused else { return #expect(Bool(false)) }
        #expect(problems.map(\.path) == ["$.routes.api", "$.endpoints.127.0.0.1:3302"])
        #expect(bench.administrative(3301) == .ready)
        let outcome = try await bench.undo(.generation(2)) { $0.partial = true }
        #expect(outcome.leftOut == problems && outcome.endpoints.map(\.after) == ["drain"])
        #expect(bench.administrative(3301) == .drain)
    }

    @Test("A thousand routes go back in a second")
    func many() async throws {
        var configuration = Sample.configuration()
        let route = configuration.table.routes[0]
        configuration.table.routes = (0..<1_000).map { index in
            var route = route
            route.name = "r\(index)"
            route.match.paths = [.prefix("/\(index)")]
            return route
        }
        let bench = try await LedgerBench().start(configuration)
        for index in 0..<1_000 { try await bench.setWeights(1, 1, route: "r\(index)") }
        let clock = ContinuousClock()
        let took = try await clock.measure { _ = try await bench.undo(.generation(1)) }
        print("undo of 1,000 routes: \(took)")
        #expect(await bench.weights("r999") == [90, 10])
        #expect(took < .seconds(10))
    }
}
