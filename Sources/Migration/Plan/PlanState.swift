/// Where a plan stands. All of it is saved with every change, so that a restart or another leader goes on from here.
package struct PlanState: Sendable, Equatable {
    package enum Phase: String, Sendable, CaseIterable {
        case ready, running, waiting, frozen, inconclusive, paused, retreating, retreated, complete, stopped

        /// The plan holds the weights, and the brake is on.
        package var isActive: Bool {
            switch self {
            case .running, .waiting, .frozen, .inconclusive, .paused: true
            case .ready, .retreating, .retreated, .complete, .stopped: false
            }
        }
    }

    package enum PauseReason: String, Sendable, CaseIterable {
        case byHand = "by-hand", weightsByHand = "weights-by-hand", fileChanged = "file-changed", plansDiffer =
            "plans-differ"
    }

    /// A way back.
    package struct Retreat: Sendable, Equatable {
        package enum Cause: Sendable, Equatable {
            case gate(GateBook.Reading)
            /// The new side was without an available endpoint for too long.
            case unavailable
            case byHand(reason: String)
        }

        package var cause: Cause
        package var began: Int64
        /// Share when it began, and the one that it aims at.
        package var from: UInt32
        package var aim: UInt32
        /// Since when the old side has nobody to go back to; nil while it has.
        package var blockedSince: Int64?
        /// When that was last told.
        package var alerted: Int64?
        /// Somebody asked for it once more while it went on: the rest of the way is one step, and nothing blocks it.
        package var isForced = false

        /// It does not ask whether the old side lives.
        var isByHand: Bool { if case .byHand = self.cause { true } else { self.isForced } }

        package init(
            cause: Cause, began: Int64, from: UInt32, aim: UInt32, blockedSince: Int64? = nil, alerted: Int64? = nil
        ) {
            self.cause = cause
            self.began = began
            self.from = from
            self.aim = aim
            self.blockedSince = blockedSince
            self.alerted = alerted
        }
    }

    package var phase = Phase.ready
    /// From 0.
    package var stage = 0
    /// Number of the stage's run: samples of another are none of this one's.
    package var epoch: UInt64 = 0
    /// Weight of the new side in force, of a million.
    package var share: UInt32 = 0
    /// Milliseconds in `running`.
    package var held: Int64 = 0
    /// Held time from which patience counts, after a resume.
    package var patienceFrom: Int64 = 0
    /// Monotonic time of the last tick in `running`.
    package var ticked: Int64?
    package var pause: PauseReason?
    /// Why it is inconclusive, in words.
    package var objection: String?
    /// Who started the plan or approved the present stage.
    package var responsible = ""
    /// Who approved the next stage, where it could not begin at once.
    package var approvedBy: String?
    package var retreat: Retreat?
    package var retreatedAt: Int64?
    /// A retreat that was only told, of this epoch.
    package var wouldHaveRetreated = false

    package init() {}

    /// The state as another process goes on with it, whose clock began elsewhere. What was held stays held; a retreat goes on from
    /// the step that it had come to; a cooldown begins anew, for nothing says how much of it is over.
    package func inherited(by spec: PlanSpec, now: Int64) -> PlanState {
        var state = self
        state.ticked = nil
        if state.retreatedAt != nil { state.retreatedAt = now }
        if var retreat = state.retreat {
            let way = Int64(retreat.from - min(retreat.aim, retreat.from))
            let walked = Int64(retreat.from - min(state.share, retreat.from))
            let steps = way == 0 ? 10 : walked * 10 / way
            retreat.began = now - max(0, steps - 1) * spec.retreat.over / 9
            retreat.blockedSince = retreat.blockedSince == nil ? nil : now
            retreat.alerted = nil
            state.retreat = retreat
        }
        return state
    }
}

/// What a plan is told.
package enum PlanEvent: Sendable, Equatable {
    /// Once a second.
    case tick
    /// `stage` from 1.
    case start(stage: Int? = nil, by: String, force: Bool = false, reason: String = "")
    case approve(by: String)
    case advance(by: String, force: Bool = false, reason: String = "")
    case retreat(by: String, reason: String)
    case pause(PlanState.PauseReason, by: String)
    /// Somebody set the weights of a route of the plan. `share`: the highest that a route of it has then; `isRise`: that route has
    /// more than before.
    case weighed(share: UInt32, isRise: Bool = false, by: String, force: Bool = false, reason: String = "")
    case resume(by: String)
    case stop(restore: Bool, by: String)
}

/// What is known when an event comes.
package struct PlanFacts: Sendable {
    /// Monotonic milliseconds; nothing else is compared with it but itself.
    package var now: Int64
    /// Somebody leads, and may let a share rise.
    package var isLed = true
    package var judgement: GateBook.Judgement
    /// Milliseconds for which the new side has had no available endpoint; nil while it has one.
    package var toUnavailable: Int64?
    package var isFromAvailable = true
    /// A freeze window is open.
    package var isFrozen = false
    /// What the guard says against a rise, of the share that is asked for.
    package var objection: String?
    /// Something needed the old side since the last tick.
    package var isFromNeeded = false
    /// Routes of the plan have other weights than the share says: somebody set them.
    package var weightsDiffer = false

    package init(now: Int64, judgement: GateBook.Judgement) {
        self.now = now
        self.judgement = judgement
    }
}

/// What is to be done, in this order.
package enum PlanAction: Sendable, Equatable {
    package enum Word: String, Sendable {
        case started, advanced, waiting, frozen, inconclusive, paused, resumed, approved, retreating, blocked, retreated
        case complete, stopped, wouldRetreat = "would-retreat", weighed
    }

    /// With the numbers behind it: the judgement is the event's.
    case journal(Word, by: String, reason: String, forced: Bool)
    /// The counters begin anew under this number.
    case epoch(UInt64)
    /// Weight of the new side and share of copies, of a million.
    case table(share: UInt32, mirror: UInt32)
    /// The weights of the file come back.
    case restoreFile
    case notify(Word)
    case alert(Word)
    /// Whether the old side can be retired.
    case verdict
}

/// Why an event was not taken.
package enum PlanRefusal: Error, Sendable, Equatable {
    /// The plan takes no such event where it stands.
    case state(PlanState.Phase)
    /// It has taken another step since what was asked for was looked at.
    case moved
    case guarded(String)
    /// What is against giving the new side its stage's share again, which no force overcomes.
    case unresumable(String)
    /// What the guard says against the file's weights.
    case unrestorable(String)
    case cooldown(left: Int64)
    case gatesFail
    case gatesNotPassed
    case fourEyes
    case reasonNeeded
    case noSuchStage
    case lastStage
    /// The share belongs to the plan: it is raised by force only.
    case owned
}
