import Control

/// What `balancer top` knows and what its keys do, without terminal, clock or connection.
struct TopModel: Sendable {
    enum Input: Sendable {
        case welcome(WelcomeBody)
        case state(EventBody)
        /// Newest first.
        case journal([JournalEntry])
        /// Of the table with that generation.
        case plans([MigrationBody], generation: UInt64)
        /// There is no connection, and why.
        case lost(String)
        /// A byte that was typed.
        case key(UInt8)
        /// What came of a retreat, or of an approval: refusals, a line each; empty: it is done.
        case retreated([String])
        case approved([String])
        /// Time passes.
        case tick
        case stop
    }

    enum Action: Sendable, Equatable {
        case quit
        /// `alone`: on the balancer that is asked only, for the others cannot be asked.
        case retreat(RetreatOffer, reason: String, force: Bool, alone: Bool = false)
        case approve(String)
        case readJournal
        /// Of the table with that generation.
        case readPlans(UInt64)
    }

    /// What the last line is for.
    private enum Prompt: Sendable, Equatable {
        case none
        case reason(RetreatOffer, [UInt8])
        /// It was refused; whether it is to be done in spite of that, or on this balancer alone.
        case insist(RetreatOffer, reason: String, alone: Bool)
        case waiting(RetreatOffer, reason: String)
        /// Whether a plan may take its next stage.
        case approve(String)
        case approving(String)
    }

    private(set) var event: EventBody?
    private var welcome: WelcomeBody?
    private var journal: [JournalEntry] = []
    private var journalOf: UInt64?
    private var plans: [MigrationBody] = []
    private var plansOf: UInt64?
    /// States since plans were read last.
    private var statesSincePlans = 1
    /// Seconds since the connection was lost, and why; nil: it is there.
    private var lost: (seconds: UInt64, why: String)?
    private var prompt = Prompt.none
    private var message = ""

    private static let reasonLimit = 400

    mutating func take(_ input: Input) -> Action? {
        switch input {
        case .welcome(let body): self.welcome = body
        case .state(let body):
            self.event = body
            self.lost = nil
            if self.journalOf != body.journal {
                self.journalOf = body.journal
                return .readJournal
            }
            // Where there are plans, every two seconds; where there is none, with the next table.
            self.statesSincePlans += 1
            guard self.statesSincePlans > 1, !self.plans.isEmpty || self.plansOf != body.generation else { return nil }
            self.statesSincePlans = 0
            return .readPlans(body.generation)
        case .journal(let entries): self.journal = entries
        case .plans(let plans, let generation):
            self.plans = plans
            self.plansOf = generation
        case .lost(let why): self.lost = (self.lost?.seconds ?? 0, why)
        case .tick: self.lost?.seconds += 1
        case .stop: return .quit
        case .key(let key): return self.press(key)
        case .retreated(let refusals):
            guard case .waiting(let offer, let reason) = self.prompt else { return nil }
            if refusals.isEmpty {
                self.message = "everything is sent to \(offer.to)"
                self.prompt = .none
            } else {
                self.message = refusals.joined(separator: "; ")
                self.prompt = .insist(
                    offer, reason: reason, alone: refusals.contains { $0.contains("cluster-unreachable") })
            }
        case .approved(let refusals):
            guard case .approving(let name) = self.prompt else { return nil }
            self.message = refusals.isEmpty ? "\(name) is approved" : refusals.joined(separator: "; ")
            self.prompt = .none
            return self.event.map { .readPlans($0.generation) }
        }
        return nil
    }

    private mutating func press(_ key: UInt8) -> Action? {
        // Ctrl-C, whatever is asked.
        if key == 3 { return .quit }
        switch self.prompt {
        case .none:
            self.message = ""
            switch key {
            case UInt8(ascii: "q"): return .quit
            case UInt8(ascii: "r"): self.beginRetreat()
            case UInt8(ascii: "a"): self.beginApproval()
            default: break
            }
        case .reason(let offer, var text):
            switch key {
            case 27: self.prompt = .none
            case 10, 13:
                let reason = String(decoding: text, as: UTF8.self)
                guard reason.contains(where: { !$0.isWhitespace }) else { return nil }
                self.prompt = .waiting(offer, reason: reason)
                return .retreat(offer, reason: reason, force: false)
            case 8, 127:
                // A whole character, which may be several bytes.
                while let last = text.popLast(), last & 0xC0 == 0x80 {}
                self.prompt = .reason(offer, text)
            case 0x20...0x7E, 0x80...0xFF:
                if text.count < Self.reasonLimit { text.append(key) }
                self.prompt = .reason(offer, text)
            default: break
            }
        case .insist(let offer, let reason, let alone):
            guard key == UInt8(ascii: "y") else {
                self.prompt = .none
                // Of several routes some may have been.
                self.message = "what was refused is as it was"
                return nil
            }
            self.prompt = .waiting(offer, reason: reason)
            return .retreat(offer, reason: reason, force: !alone, alone: alone)
        case .approve(let name):
            guard key == UInt8(ascii: "y") else {
                self.prompt = .none
                self.message = "nothing was approved"
                return nil
            }
            self.prompt = .approving(name)
            return .approve(name)
        case .waiting, .approving: break
        }
        return nil
    }

    private var waitingPlan: MigrationBody? { self.plans.first { $0.state == "waiting" } }

    private mutating func beginApproval() {
        guard self.lost == nil else {
            self.message = "not while the connection is lost"
            return
        }
        guard self.welcome?.role != "viewer" else {
            self.message = "a viewer changes nothing"
            return
        }
        guard let plan = self.waitingPlan else {
            self.message = "no plan waits for approval"
            return
        }
        self.prompt = .approve(plan.name)
    }

    private mutating func beginRetreat() {
        guard self.lost == nil, let event = self.event else {
            self.message = "not while the connection is lost"
            return
        }
        guard self.welcome?.role != "viewer" else {
            self.message = "a viewer changes nothing"
            return
        }
        guard let offer = RetreatOffer(event) else {
            self.message = "there is nothing to retreat from"
            return
        }
        self.prompt = .reason(offer, [])
    }

    // MARK: what is shown

    /// The whole screen, at most `rows` lines: the last one is for keys and questions.
    func lines(columns: Int, rows: Int) -> [TopScreen.Line] {
        var lines: [TopScreen.Line] = []
        if let event = self.event {
            let screen = TopScreen(event: event, welcome: self.welcome, journal: self.journal, plans: self.plans)
            lines.append(TopScreen.Line(text: "\(screen.title)  \(event.at)", style: .head))
            if let lost = self.lost {
                let text = "connection lost for \(Words.duration(lost.seconds)) (\(lost.why)): what is below is old"
                lines += TopScreen.broken(text, columns).map { TopScreen.Line(text: $0, style: .level(.trouble)) }
            }
            lines += screen.lines(columns: columns)
        } else {
            lines.append(
                TopScreen.Line(text: self.lost.map { "no connection: \($0.why); trying again".visible } ?? "asking"))
        }
        // A question is of no use without its end, nor what is typed.
        let foot = TopScreen.broken(self.foot, columns).suffix(max(rows - 1, 1))
        return Array(lines.prefix(max(rows - foot.count, 0))) + foot.map { TopScreen.Line(text: $0, style: .head) }
    }

    private var foot: String {
        switch self.prompt {
        case .none:
            let keys =
                "q quits" + (self.event.flatMap(RetreatOffer.init).map { " · r retreats to \($0.to)" } ?? "")
                + (self.waitingPlan.map { " · a approves \($0.name)" } ?? "")
            return self.message.isEmpty ? keys : "\(self.message) · \(keys)"
        case .reason(let offer, let text):
            let names = offer.routes.map(\.name).joined(separator: ", ")
            return "\(names): everything to \(offer.to). Why? (Esc: not) \(String(decoding: text, as: UTF8.self))_"
        case .insist(let offer, _, let alone):
            return alone
                ? "\(self.message). Everything to \(offer.to) on this balancer alone? y/n"
                : "\(self.message). Do it in spite of that? y/n"
        case .waiting(let offer, _): return "retreating to \(offer.to) …"
        case .approve(let name):
            let plan = self.plans.first { $0.name == name }
            let stage = plan.flatMap { plan in plan.stages.first { $0.stage == plan.stage + 1 } }
            let aim =
                stage.map {
                    $0.kind == "retire" ? "its stage of retiring" : "\(Words.decimal($0.share, places: 4)) % live"
                } ?? "its next stage"
            return "\(name) takes \(aim). Approve? y/n"
        case .approving(let name): return "approving \(name) …"
        }
    }
}
