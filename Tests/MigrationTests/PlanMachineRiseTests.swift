import Testing

@testable import Migration

/// What holds a rise back whose old side is gone.
@Suite("A plan without its old side")
struct PlanMachineRiseTests {
    private typealias Fixture = PlanFixture
    private let machine = PlanMachine.of(PlanFixture.spec())

    @Test("Nobody to go back to: no share rises, save by force; what gives the new side no more goes on")
    func nobodyToGoBackTo() throws {
        var facts = Fixture.facts(0)
        facts.isFromAvailable = false
        var running = Fixture.state(.running)
        (running.stage, running.share) = (1, 10_000)
        let words = "core has no available endpoint: there would be nobody to go back to"
        let held = try self.machine.step(running, .tick, facts)
        #expect(held.state.phase == .inconclusive && held.state.share == 10_000)
        #expect(
            held.actions == [.journal(.inconclusive, by: "", reason: words, forced: false), .alert(.inconclusive)])
        let again = try self.machine.step(held.state, .tick, Fixture.facts(0))
        #expect(again.state.phase == .running && again.state.share == 250_000)
        #expect(try self.machine.step(Fixture.state(.waiting), .approve(by: "bob"), facts).state.share == 250_000)
        #expect(throws: PlanRefusal.guarded(words)) { try self.machine.step(running, .advance(by: "a"), facts) }
        let forced = try self.machine.step(running, .advance(by: "a", force: true, reason: "r"), facts)
        #expect(forced.state.share == 250_000)
        var lowered = Fixture.state(.paused)
        lowered.share = 1_000
        #expect(throws: PlanRefusal.unresumable(words)) { try self.machine.step(lowered, .resume(by: "a"), facts) }
        // The last stage gives no more than the one before.
        var full = Fixture.state(.waiting)
        (full.stage, full.share) = (3, 1_000_000)
        #expect(try self.machine.step(full, .approve(by: "bob"), facts).state.stage == 4)
    }

    @Test("Nor by a start, nor by a resume where only some of its routes have less than the stage gives")
    func startedAndResumed() throws {
        var facts = Fixture.facts(0)
        facts.isFromAvailable = false
        let words = "core has no available endpoint: there would be nobody to go back to"
        let ready = PlanState()
        #expect(throws: PlanRefusal.guarded(words)) {
            try self.machine.step(ready, .start(stage: 2, by: "a"), facts)
        }
        let forced = try self.machine.step(ready, .start(stage: 2, by: "a", force: true, reason: "r"), facts)
        #expect(forced.state.share == 10_000)
        // Copies alone give the new side nothing.
        #expect(try self.machine.step(ready, .start(by: "a"), facts).state.phase == .running)
        var uneven = Fixture.state(.paused)
        uneven.share = self.machine.spec.weight(uneven.stage)
        #expect(try self.machine.step(uneven, .resume(by: "a"), facts).state.phase == .running)
        facts.weightsDiffer = true
        #expect(throws: PlanRefusal.unresumable(words)) { try self.machine.step(uneven, .resume(by: "a"), facts) }
    }
}
