import TestSupport
import Testing

@testable import Migration

@Suite("The plan's machine")
struct PlanMachineTests {
    private typealias Fixture = PlanFixture
    private let machine = PlanMachine.of(PlanFixture.spec())

    private static let events: [(name: String, event: PlanEvent)] = [
        ("tick", .tick), ("start", .start(by: "bob")), ("approve", .approve(by: "bob")),
        ("advance", .advance(by: "bob")),
        ("retreat", .retreat(by: "bob", reason: "slow")), ("pause", .pause(.byHand, by: "bob")),
        ("weighed", .weighed(share: 0, by: "bob")), ("resume", .resume(by: "bob")),
        ("stop", .stop(restore: false, by: "bob")),
    ]

    /// The rows of the table: which event is taken in which phase.
    private static let rows: [String: Set<PlanState.Phase>] = [
        "tick": [.running, .waiting, .frozen, .inconclusive, .paused, .retreating],
        "start": [.ready, .stopped, .retreated], "approve": [.waiting],
        "advance": [.running, .inconclusive, .waiting, .frozen],
        "retreat": [.running, .waiting, .frozen, .inconclusive, .paused, .retreating],
        "pause": [.running, .waiting, .frozen, .inconclusive, .paused],
        "weighed": [.running, .waiting, .frozen, .inconclusive, .paused], "resume": [.paused, .inconclusive],
        "stop": [.running, .waiting, .frozen, .inconclusive, .paused, .retreated],
    ]

    @Test("Every pair of state and event is a row, or is refused", arguments: PlanState.Phase.allCases)
    func pairs(phase: PlanState.Phase) throws {
        let facts = Fixture.facts(10_000_000)
        for (name, event) in Self.events {
            let isRow = Self.rows[name]?.contains(phase) == true
            let taken = try? self.machine.step(Fixture.state(phase), event, facts)
            #expect((taken != nil) == isRow, "\(name)")
            if !isRow {
                #expect(throws: PlanRefusal.state(phase)) { try self.machine.step(Fixture.state(phase), event, facts) }
            }
        }
    }

    @Test("From start to complete, in the order of the table")
    func wholeWay() throws {
        var state = PlanState()
        var now: Int64 = 1_000_000
        var tables: [UInt32] = []
        var words: [PlanAction.Word] = []
        func take(_ event: PlanEvent) throws {
            let step = try self.machine.step(state, event, Fixture.facts(now))
            state = step.state
            for action in step.actions {
                switch action {
                case .table(let share, _): tables.append(share)
                case .journal(let word, _, _, _): words.append(word)
                default: break
                }
            }
        }
        try take(.start(by: "ann"))
        #expect(state.phase == .running && state.stage == 0 && state.epoch == 1)
        for _ in 0..<200 where state.phase != .complete {
            now += 1_000
            try take(.tick)
            if state.phase == .waiting { try take(.approve(by: "bob")) }
        }
        #expect(state.phase == .complete && state.epoch == 5 && state.share == 1_000_000)
        #expect(tables == [0, 10_000, 250_000, 1_000_000, 1_000_000])
        #expect(words == [.started, .advanced, .advanced, .waiting, .advanced, .waiting, .advanced, .complete])
        // Four holds of ten seconds and one of twenty.
        #expect(now == 1_000_000 + 60_000)
    }

    @Test(
        "A start: by the guard, by force with a reason, at a stage; after a retreat when it has cooled down, at the first"
    )
    func start() throws {
        var facts = Fixture.facts(1_000)
        let step = try self.machine.step(PlanState(), .start(stage: 3, by: "ann"), facts)
        #expect(
            step.actions == [
                .journal(.started, by: "ann", reason: "", forced: false), .epoch(1),
                .table(share: 250_000, mirror: 100_000),
            ])
        #expect(step.state.stage == 2 && step.state.responsible == "ann")
        for stage in [0, 6] {
            #expect(throws: PlanRefusal.noSuchStage) {
                try self.machine.step(PlanState(), .start(stage: stage, by: "a"), facts)
            }
        }
        facts.objection = "no endpoint"
        #expect(throws: PlanRefusal.guarded("no endpoint")) {
            try self.machine.step(PlanState(), .start(by: "a"), facts)
        }
        #expect(throws: PlanRefusal.reasonNeeded) {
            try self.machine.step(PlanState(), .start(by: "a", force: true), facts)
        }
        let forced = try self.machine.step(PlanState(), .start(by: "a", force: true, reason: "r"), facts)
        #expect(forced.actions.first == .journal(.started, by: "a", reason: "r", forced: true))

        let retreated = Fixture.state(.retreated)
        let early = Fixture.facts(599_999)
        #expect(throws: PlanRefusal.cooldown(left: 1)) { try self.machine.step(retreated, .start(by: "a"), early) }
        #expect(throws: PlanRefusal.noSuchStage) {
            try self.machine.step(retreated, .start(stage: 2, by: "a"), Fixture.facts(600_000))
        }
        let again = try self.machine.step(retreated, .start(by: "a"), Fixture.facts(600_000))
        #expect(again.state.stage == 0 && again.state.epoch == 8 && again.state.retreat == nil)
        let forcedEarly = try self.machine.step(retreated, .start(by: "a", force: true, reason: "mended"), early)
        #expect(forcedEarly.state.phase == .running)
        // To stop it in between is no way around.
        let stopped = try self.machine.step(retreated, .stop(restore: false, by: "a"), early).state
        #expect(throws: PlanRefusal.cooldown(left: 1)) { try self.machine.step(stopped, .start(by: "a"), early) }
        let later = try self.machine.step(stopped, .start(stage: 2, by: "a"), Fixture.facts(600_000)).state
        let ended = try self.machine.step(later, .stop(restore: false, by: "a"), Fixture.facts(600_001)).state
        #expect(try self.machine.step(ended, .start(by: "a"), Fixture.facts(600_002)).state.phase == .running)
    }

    @Test("Time counts only while it runs and somebody leads")
    func hold() throws {
        var state = try self.machine.step(PlanState(), .start(by: "a"), Fixture.facts(0)).state
        func tick(_ now: Int64, isLed: Bool = true, _ judgement: GateBook.Judgement = Fixture.collecting) throws {
            var facts = Fixture.facts(now, judgement)
            facts.isLed = isLed
            state = try self.machine.step(state, .tick, facts).state
        }
        try tick(4_000)
        try tick(8_000, isLed: false)
        #expect(state.held == 4_000)
        // A clock that stood still, or of another machine, takes nothing away.
        try tick(7_000)
        #expect(state.held == 4_000)
        state = try self.machine.step(state, .pause(.byHand, by: "a"), Fixture.facts(9_000)).state
        try tick(60_000)
        state = try self.machine.step(state, .resume(by: "a"), Fixture.facts(70_000)).state
        try tick(72_000)
        #expect(state.held == 6_000 && state.phase == .running && state.epoch == 1)
    }

    @Test("A stage that does not pass is inconclusive after its patience; a resume grants another")
    func patience() throws {
        var state = Fixture.state(.running)
        state.held = 69_000
        state.ticked = 0
        let early = try self.machine.step(state, .tick, Fixture.facts(999, Fixture.collecting))
        #expect(early.state.phase == .running && early.actions.isEmpty)
        let late = try self.machine.step(state, .tick, Fixture.facts(1_000, Fixture.collecting))
        #expect(late.state.phase == .inconclusive)
        #expect(
            late.actions == [
                .journal(.inconclusive, by: "", reason: "the gates do not pass", forced: false), .alert(.inconclusive),
            ])
        let still = try self.machine.step(late.state, .tick, Fixture.facts(2_000, Fixture.collecting))
        #expect(still.state.phase == .inconclusive && still.actions.isEmpty)
        let passed = try self.machine.step(late.state, .tick, Fixture.facts(2_000))
        #expect(passed.state.phase == .waiting)
        let resumed = try self.machine.step(late.state, .resume(by: "a"), Fixture.facts(3_000, Fixture.collecting))
        let after = try self.machine.step(resumed.state, .tick, Fixture.facts(62_999, Fixture.collecting))
        #expect(after.state.phase == .running && after.state.epoch == 7)
        #expect(
            try self.machine.step(after.state, .tick, Fixture.facts(63_000, Fixture.collecting)).state.phase
                == .inconclusive)
    }

    @Test("A window and the guard hold a rise back, an approval is kept meanwhile")
    func heldBack() throws {
        var facts = Fixture.facts(0)
        facts.isFrozen = true
        let approved = try self.machine.step(Fixture.state(.waiting), .approve(by: "bob"), facts)
        #expect(
            approved.state.phase == .frozen && approved.state.approvedBy == "bob" && approved.state.share == 250_000)
        #expect(
            approved.actions == [
                .journal(.approved, by: "bob", reason: "", forced: false),
                .journal(.frozen, by: "", reason: "", forced: false), .notify(.frozen),
            ])
        #expect(try self.machine.step(approved.state, .tick, facts).state == approved.state)
        let open = try self.machine.step(approved.state, .tick, Fixture.facts(0))
        #expect(open.state.stage == 3 && open.state.share == 1_000_000 && open.state.responsible == "bob")
        let unsure = try self.machine.step(approved.state, .tick, Fixture.facts(0, Fixture.collecting))
        #expect(unsure.state.phase == .running && unsure.state.share == 250_000)

        facts.isFrozen = false
        facts.objection = "80 % of maxOutstanding"
        let guarded = try self.machine.step(Fixture.state(.waiting), .approve(by: "bob"), facts)
        #expect(guarded.state.phase == .inconclusive && guarded.state.objection == facts.objection)
        #expect(try self.machine.step(guarded.state, .tick, facts).actions.isEmpty)
        facts.objection = "79 % of maxOutstanding"
        let still = try self.machine.step(guarded.state, .tick, facts)
        #expect(still.actions.isEmpty && still.state.objection == facts.objection)
        #expect(try self.machine.step(guarded.state, .tick, Fixture.facts(0)).state.stage == 3)
        // Before an approval a window changes nothing; a stage that needs none waits for the window.
        var early = Fixture.state(.running)
        early.stage = 1
        early.share = 10_000
        facts.objection = nil
        facts.isFrozen = true
        let frozen = try self.machine.step(early, .tick, facts)
        #expect(
            frozen.state.phase == .frozen
                && frozen.actions == [.journal(.frozen, by: "", reason: "", forced: false), .notify(.frozen)])
    }

    @Test("Four eyes: not who started the plan or approved the stage before; nor by `advance`, save by force")
    func fourEyes() throws {
        let machine = PlanMachine.of(Fixture.spec { $0.fourEyes = true })
        let (waiting, facts) = (Fixture.state(.waiting), Fixture.facts(0))
        #expect(throws: PlanRefusal.fourEyes) { try machine.step(waiting, .approve(by: "ann"), facts) }
        #expect(throws: PlanRefusal.fourEyes) { try machine.step(waiting, .advance(by: "ann"), facts) }
        #expect(try machine.step(waiting, .approve(by: "bob"), facts).state.responsible == "bob")
        let forced = try machine.step(waiting, .advance(by: "ann", force: true, reason: "night"), facts)
        #expect(forced.actions.first == .journal(.advanced, by: "ann", reason: "night", forced: true))
        #expect(throws: PlanRefusal.gatesFail) {
            try machine.step(waiting, .approve(by: "bob"), Fixture.facts(0, Fixture.failing))
        }
    }

    @Test("Four eyes: nobody gets around an approval by stopping and starting further on, save by force")
    func fourEyesFromTheStart() throws {
        let machine = PlanMachine.of(Fixture.spec { $0.fourEyes = true })
        let (stopped, facts) = (Fixture.state(.stopped), Fixture.facts(0))
        for (state, who) in [(PlanState(), "ann"), (stopped, "ann")] {
            #expect(throws: PlanRefusal.fourEyes) { try machine.step(state, .start(stage: 4, by: who), facts) }
            // What wants no approval is anybody's to start.
            #expect(try machine.step(state, .start(stage: 3, by: who), facts).state.stage == 2)
            let forced = try machine.step(state, .start(stage: 4, by: who, force: true, reason: "night"), facts)
            #expect(forced.actions.first == .journal(.started, by: who, reason: "night", forced: true))
        }
        #expect(try machine.step(stopped, .start(stage: 4, by: "bob"), facts).state.share == 1_000_000)
        #expect(try self.machine.step(stopped, .start(stage: 4, by: "ann"), facts).state.share == 1_000_000)
    }

    @Test("A stop that restores the file's weights passes the guard; one that does not is always taken")
    func restores() throws {
        var facts = Fixture.facts(0)
        #expect(
            try self.machine.step(Fixture.state(.running), .stop(restore: true, by: "a"), facts).actions.last
                == .restoreFile)
        facts.objection = "no endpoint"
        #expect(throws: PlanRefusal.unrestorable("no endpoint")) {
            try self.machine.step(Fixture.state(.running), .stop(restore: true, by: "a"), facts)
        }
        #expect(
            try self.machine.step(Fixture.state(.running), .stop(restore: false, by: "a"), facts).state.phase
                == .stopped)
    }

    @Test("Where nothing was judged nothing has passed")
    func nothingJudged() throws {
        let none = Fixture.facts(0, GateBook.Judgement())
        #expect(throws: PlanRefusal.gatesNotPassed) {
            try self.machine.step(Fixture.state(.running), .advance(by: "a"), none)
        }
        var state = Fixture.state(.running)
        state.held = 10 * Fixture.second
        #expect(try self.machine.step(state, .tick, none).state.phase == .running)
    }

    @Test(
        "`advance` from every state that has it: if the gates pass, else by force with a reason",
        arguments: [
            PlanState.Phase.running, .inconclusive, .waiting, .frozen,
        ])
    func advance(phase: PlanState.Phase) throws {
        var state = Fixture.state(phase)
        state.held = 0
        var facts = Fixture.facts(0)
        facts.isFrozen = phase == .frozen
        #expect(try self.machine.step(state, .advance(by: "a"), facts).state.share == 1_000_000)
        facts.judgement = Fixture.collecting
        #expect(throws: PlanRefusal.gatesNotPassed) { try self.machine.step(state, .advance(by: "a"), facts) }
        #expect(throws: PlanRefusal.reasonNeeded) {
            try self.machine.step(state, .advance(by: "a", force: true), facts)
        }
        facts.objection = "none available"
        let forced = try self.machine.step(state, .advance(by: "a", force: true, reason: "r"), facts)
        #expect(
            forced.state.stage == 3 && forced.actions.first == .journal(.advanced, by: "a", reason: "r", forced: true))
        facts.judgement = Fixture.passing
        #expect(throws: PlanRefusal.guarded("none available")) {
            try self.machine.step(state, .advance(by: "a"), facts)
        }
        state.stage = 4
        #expect(throws: PlanRefusal.lastStage) { try self.machine.step(state, .advance(by: "a"), Fixture.facts(0)) }
    }

    @Test("The brake is on wherever the plan is active", arguments: PlanState.Phase.allCases.filter(\.isActive))
    func brake(phase: PlanState.Phase) throws {
        let state = Fixture.state(phase)
        let failed = try self.machine.step(state, .tick, Fixture.facts(5_000, Fixture.failing))
        #expect(failed.state.phase == .retreated && failed.state.share == 0 && failed.state.retreatedAt == 5_000)
        #expect(
            failed.actions == [
                .journal(.retreating, by: "", reason: "", forced: false), .alert(.retreating),
                .table(share: 0, mirror: 100_000), .journal(.retreated, by: "", reason: "", forced: false),
            ])
        var facts = Fixture.facts(5_000, Fixture.collecting)
        facts.isFrozen = phase == .frozen
        facts.toUnavailable = 9_999
        #expect(try self.machine.step(state, .tick, facts).state.phase == phase)
        facts.toUnavailable = 10_000
        #expect(try self.machine.step(state, .tick, facts).state.phase == .retreated)
        // Both sides dead: there is nobody to go back to, and fail-over does what can be done.
        facts.isFromAvailable = false
        #expect(try self.machine.step(state, .tick, facts).state.phase == phase)
    }

    @Test("A retreat whose old side is dead is blocked, tells it once a minute, and goes on when it lives")
    func blocked() throws {
        var facts = Fixture.facts(0, Fixture.failing)
        facts.isFromAvailable = false
        let step = try self.machine.step(Fixture.state(.running), .tick, facts)
        var state = step.state
        #expect(state.phase == .retreating && state.share == 250_000 && state.retreat?.blockedSince == 0)
        #expect(
            step.actions == [
                .journal(.retreating, by: "", reason: "", forced: false), .alert(.retreating), .alert(.blocked),
            ])
        var alerts = 0
        for now in stride(from: Int64(1_000), through: 180_000, by: 1_000) {
            facts.now = now
            let step = try self.machine.step(state, .tick, facts)
            state = step.state
            alerts += step.actions.count { $0 == .alert(.blocked) }
        }
        #expect(alerts == 3 && state.share == 250_000)
        facts.isFromAvailable = true
        #expect(try self.machine.step(state, .tick, facts).state.phase == .retreated)
        // By hand it is never blocked.
        facts.isFromAvailable = false
        let byHand = try self.machine.step(Fixture.state(.running), .retreat(by: "a", reason: "r"), facts)
        #expect(byHand.state.phase == .retreated && byHand.state.share == 0)
        #expect(throws: PlanRefusal.reasonNeeded) {
            try self.machine.step(Fixture.state(.running), .retreat(by: "a", reason: ""), facts)
        }
    }

    @Test("A retreat that is blocked, or walks, goes the rest of the way at once when somebody asks for it")
    func forcedRetreat() throws {
        let machine = PlanMachine.of(Fixture.spec { $0.retreat.over = 90_000 })
        var facts = Fixture.facts(0, Fixture.failing)
        let walking = try machine.step(Fixture.state(.running), .tick, facts).state
        #expect(walking.share == 225_000)
        facts.isFromAvailable = false
        facts.now = 20_000
        let blocked = try machine.step(walking, .tick, facts).state
        #expect(blocked.phase == .retreating && blocked.share == 225_000 && blocked.retreat?.blockedSince == 20_000)
        #expect(throws: PlanRefusal.reasonNeeded) { try machine.step(blocked, .retreat(by: "a", reason: ""), facts) }
        let forced = try machine.step(blocked, .retreat(by: "a", reason: "r"), facts)
        #expect(forced.state.phase == .retreated && forced.state.share == 0)
        #expect(
            forced.actions == [
                .journal(.retreating, by: "a", reason: "r", forced: true), .table(share: 0, mirror: 100_000),
                .journal(.retreated, by: "", reason: "", forced: false),
            ])
        // What made it go back in the first place is still known.
        if case .gate? = forced.state.retreat?.cause {
        } else {
            Issue.record("\(String(describing: forced.state.retreat))")
        }
    }

    @Test("Over a time it goes back in ten equal steps, and waits where the old side dies on the way")
    func slowRetreat() throws {
        let machine = PlanMachine.of(Fixture.spec { $0.retreat.over = 90_000 })
        var state = Fixture.state(.running)
        var shares: [UInt32] = []
        func tick(_ now: Int64, isFromAvailable: Bool = true) throws {
            var facts = Fixture.facts(now, Fixture.failing)
            facts.isFromAvailable = isFromAvailable
            let step = try machine.step(state, .tick, facts)
            state = step.state
            for case .table(let share, _) in step.actions { shares.append(share) }
        }
        for now in stride(from: Int64(0), through: 40_000, by: 1_000) { try tick(now) }
        #expect(shares == [225_000, 200_000, 175_000, 150_000, 125_000])
        for now in stride(from: Int64(41_000), through: 100_000, by: 1_000) { try tick(now, isFromAvailable: false) }
        #expect(shares.count == 5)
        for now in stride(from: Int64(101_000), through: 150_000, by: 1_000) { try tick(now) }
        #expect(shares == [225_000, 200_000, 175_000, 150_000, 125_000, 100_000, 75_000, 50_000, 25_000, 0])
        #expect(state.phase == .retreated && state.share == 0)
    }

    @Test("Another process goes on where this one stood: the hold, and a retreat at its step", arguments: [0, 1, 5, 8])
    func inherited(steps: Int) throws {
        let spec = Fixture.spec { $0.retreat.over = 90_000 }
        let machine = PlanMachine.of(spec)
        var state = Fixture.state(.running)
        var now: Int64 = 5_000_000
        for _ in 0...steps {
            state = try machine.step(state, .tick, Fixture.facts(now, Fixture.failing)).state
            now += 10_000
        }
        // A machine that was started a moment ago.
        let other = state.inherited(by: spec, now: 3_000)
        let next = try machine.step(other, .tick, Fixture.facts(3_000, Fixture.failing))
        #expect(next.state.share == state.share && next.state.phase == state.phase)
        let after = try machine.step(other, .tick, Fixture.facts(13_000, Fixture.failing))
        #expect(after.state.share + 25_000 == state.share)

        var running = Fixture.state(.running)
        (running.ticked, running.held) = (9_000_000, 4_000)
        let held = try machine.step(
            running.inherited(by: spec, now: 10), .tick, Fixture.facts(2_000, Fixture.collecting))
        #expect(held.state.held == 4_000)
        let retreated = Fixture.state(.retreated).inherited(by: spec, now: 77)
        #expect(retreated.retreatedAt == 77)
    }

    @Test("To the stage before, if the plan says so, which always takes something from the new side")
    func previousAim() throws {
        let machine = PlanMachine.of(Fixture.spec { $0.retreat.aim = .previous })
        for (stage, share, aim) in [
            (2, 250_000, 10_000), (3, 1_000_000, 250_000),
            // Where the old side is retired the stage before gives as much.
            (4, 1_000_000, 250_000),
            // A hand has taken it as low as the stage before, or lower; or further than the stage.
            (2, 10_000, 0), (2, 5_000, 0), (3, 100_000, 10_000), (2, 900_000, 10_000), (1, 10_000, 0), (0, 0, 0),
        ] as [(Int, UInt32, UInt32)] {
            var state = Fixture.state(.paused)
            (state.stage, state.share) = (stage, share)
            let step = try machine.step(state, .tick, Fixture.facts(0, Fixture.failing))
            #expect(step.state.phase == .retreated && step.state.share == aim, "stage \(stage), share \(share)")
        }
    }

    @Test("A hand lowers whenever it likes, and raises by force; both pause, and a resume puts the stage's share back")
    func byHand() throws {
        let running = Fixture.state(.running)
        let lowered = try self.machine.step(running, .weighed(share: 1_000, by: "a"), Fixture.facts(0))
        #expect(lowered.state.phase == .paused && lowered.state.share == 1_000 && lowered.state.pause == .weightsByHand)
        #expect(lowered.actions.last == .table(share: 1_000, mirror: 100_000))
        #expect(throws: PlanRefusal.owned) {
            try self.machine.step(running, .weighed(share: 300_000, by: "a"), Fixture.facts(0))
        }
        #expect(throws: PlanRefusal.reasonNeeded) {
            try self.machine.step(running, .weighed(share: 300_000, by: "a", force: true), Fixture.facts(0))
        }
        let raised = try self.machine.step(
            running, .weighed(share: 2_000_000, by: "a", force: true, reason: "r"), Fixture.facts(0))
        #expect(raised.state.share == 1_000_000 && raised.state.phase == .paused)
        let resumed = try self.machine.step(lowered.state, .resume(by: "a"), Fixture.facts(0))
        #expect(resumed.state.epoch == 8 && resumed.state.share == 250_000 && resumed.state.held == 0)
        #expect(resumed.actions.dropFirst() == [.epoch(8), .table(share: 250_000, mirror: 100_000)])
        var facts = Fixture.facts(0)
        facts.objection = "no"
        #expect(throws: PlanRefusal.unresumable("no")) {
            try self.machine.step(lowered.state, .resume(by: "a"), facts)
        }
        #expect(try self.machine.step(raised.state, .resume(by: "a"), facts).state.share == 250_000)
        facts.objection = nil
        // One route of several was lowered and is raised again: that is a rise, though another has as much.
        #expect(throws: PlanRefusal.owned) {
            try self.machine.step(running, .weighed(share: 250_000, isRise: true, by: "a"), facts)
        }
        let one = try self.machine.step(running, .weighed(share: 250_000, by: "a"), facts)
        #expect(one.state.phase == .paused && one.state.share == 250_000)
        facts.weightsDiffer = true
        #expect(try self.machine.step(one.state, .resume(by: "a"), facts).state.epoch == 8)
    }

    @Test("Without enforcement it tells once that it would have gone back, and rises by `advance` alone")
    func unenforced() throws {
        let machine = PlanMachine.of(Fixture.spec { $0.gates.enforce = false })
        let told = try machine.step(Fixture.state(.running), .tick, Fixture.facts(0, Fixture.failing))
        #expect(told.state.phase == .running && told.state.share == 250_000)
        #expect(told.actions == [.journal(.wouldRetreat, by: "", reason: "", forced: false)])
        #expect(try machine.step(told.state, .tick, Fixture.facts(1_000, Fixture.failing)).actions.isEmpty)
        let passing = try machine.step(Fixture.state(.running), .tick, Fixture.facts(0))
        #expect(passing.state.phase == .running && passing.actions.isEmpty)
        #expect(try machine.step(passing.state, .advance(by: "a"), Fixture.facts(0)).state.stage == 3)
    }

    @Test("The last stage begins anew when something needs the old side")
    func retire() throws {
        var state = Fixture.state(.running)
        (state.stage, state.share, state.held, state.ticked) = (4, 1_000_000, 19_000, 0)
        var facts = Fixture.facts(1_000, Fixture.collecting)
        facts.isFromNeeded = true
        let needed = try self.machine.step(state, .tick, facts)
        #expect(needed.state.phase == .running && needed.state.held == 0)
        // Also where it is no more than paused: it was not quiet.
        var paused = Fixture.state(.paused)
        (paused.stage, paused.share, paused.held) = (4, 1_000_000, 19_000)
        #expect(try self.machine.step(paused, .tick, facts).state.held == 0)
        facts.isFromNeeded = false
        #expect(try self.machine.step(paused, .tick, facts).state.held == 19_000)
        let done = try self.machine.step(state, .tick, facts)
        #expect(done.state.phase == .complete && done.actions.first == .verdict)
    }

    @Test("10,000 random sequences: nothing rises but by the table's rows, and every active plan can go back")
    func randomSequences() throws {
        var random = SplitMix(23)
        var phases: Set<PlanState.Phase> = []
        for _ in 0..<10_000 {
            let machine = PlanMachine.of(
                Fixture.spec {
                    $0.retreat.over = random.pick([0, 30_000])
                    $0.retreat.aim = random.pick([.start, .previous])
                    $0.gates.enforce = random.chance(90)
                    $0.fourEyes = random.chance(30)
                })
            var state = PlanState()
            var now: Int64 = 0
            for _ in 0..<60 {
                now += random.pick([0, 1_000, 5_000, 70_000])
                var facts = Fixture.facts(
                    now,
                    random.pick([
                        Fixture.passing, Fixture.passing, Fixture.passing, Fixture.collecting, Fixture.failing,
                    ]))
                facts.isFromAvailable = random.chance(80)
                facts.isFrozen = random.chance(20)
                facts.isLed = random.chance(90)
                facts.objection = random.chance(10) ? "no" : nil
                facts.toUnavailable = random.chance(5) ? 20_000 : nil
                let event = Self.randomEvent(&random)
                guard let step = try? machine.step(state, event, facts) else { continue }
                Self.check(state, event, facts, step, machine)
                state = step.state
                phases.insert(state.phase)
                if state.phase.isActive || state.phase == .retreating {
                    var dead = facts
                    dead.isFromAvailable = false
                    #expect((try? machine.step(state, .retreat(by: "x", reason: "r"), dead)) != nil)
                }
            }
        }
        #expect(phases.union([.ready]) == Set(PlanState.Phase.allCases))
    }

    private static func randomEvent(_ random: inout SplitMix) -> PlanEvent {
        let who = random.pick(["ann", "bob"])
        let (force, reason) = (random.chance(20), random.pick(["", "r"]))
        switch Int.random(in: 0..<14, using: &random) {
        case 0: return .start(stage: random.pick([nil, 2, 5]), by: who, force: force, reason: reason)
        case 1: return .approve(by: who)
        case 2: return .advance(by: who, force: force, reason: reason)
        case 3: return random.chance(30) ? .retreat(by: who, reason: reason) : .tick
        case 4: return random.chance(30) ? .pause(.fileChanged, by: who) : .tick
        case 5: return .resume(by: who)
        case 6:
            return random.chance(30)
                ? .weighed(share: random.pick([0, 5_000, 900_000]), by: who, force: force, reason: reason) : .tick
        case 7: return random.chance(10) ? .stop(restore: random.chance(50), by: who) : .tick
        default: return .tick
        }
    }

    private static func check(
        _ before: PlanState, _ event: PlanEvent, _ facts: PlanFacts, _ step: PlanMachine.Step, _ machine: PlanMachine
    ) {
        let after = step.state
        #expect(after.share <= PlanSpec.fullWeight && after.epoch >= before.epoch)
        let tables = step.actions.compactMap { action -> UInt32? in
            if case .table(let share, _) = action { share } else { nil }
        }
        // What is in force is what was published, and nothing else changes it.
        #expect(tables.last ?? before.share == after.share)
        // A new epoch is a new table, and both are journaled before.
        if after.epoch != before.epoch {
            #expect(after.epoch == before.epoch + 1)
            guard case .journal? = step.actions.first else {
                Issue.record("\(event) \(step.actions)")
                return
            }
        }
        if after.share > before.share {
            switch event {
            case .start(_, _, let force, _), .advance(_, let force, _): #expect(force || facts.isFromAvailable)
            case .approve, .resume: #expect(facts.isFromAvailable)
            case .weighed: break
            case .tick:
                #expect(facts.judgement.passes && facts.isLed && !facts.isFrozen && facts.objection == nil)
                #expect(facts.isFromAvailable)
            default: Issue.record("\(event) raised the share")
            }
        }
        if before.phase == .retreating || after.phase == .retreating || after.phase == .retreated {
            #expect(after.share <= before.share || before.phase == .retreated)
        }
        if after.phase == .retreated, before.phase != .retreated { #expect(after.share == after.retreat?.aim) }
        if after.phase == .retreated, before.phase.isActive { #expect(after.share < before.share || before.share == 0) }
        if after.phase == .running, after.epoch != before.epoch {
            #expect(after.share == machine.spec.weight(after.stage))
        }
        #expect((after.phase == .paused) == (after.pause != nil))
    }
}
