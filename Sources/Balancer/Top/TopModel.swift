import Control

/// What `balancer top` knows and what its keys do, without terminal, clock or connection.
struct TopModel: Sendable {
    enum Input: Sendable {
        case welcome(WelcomeBody)
        case state(EventBody)
        /// Newest first.
        case journal([JournalEntry])
        /// There is no connection, and why.
        case lost(String)
        /// A byte that was typed.
        case key(UInt8)
        /// What came of a retreat: refusals, a line each; empty: it is done.
        case retreated([String])
        /// Time passes.
        case tick
        case stop
    }

    enum Action: Sendable, Equatable {
        case quit
        case retreat(RetreatOffer, reason: String, force: Bool)
        case readJournal
    }

    /// What the last line is for.
    private enum Prompt: Sendable, Equatable {
        case none
        case reason(RetreatOffer, [UInt8])
        /// It was refused; whether it is to be done in spite of that.
        case insist(RetreatOffer, reason: String)
        case waiting(RetreatOffer, reason: String)
    }

    private(set) var event: EventBody?
    private var welcome: WelcomeBody?
    private var journal: [JournalEntry] = []
    private var journalOf: UInt64?
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
            guard self.journalOf != body.journal else { return nil }
            self.journalOf = body.journal
            return .readJournal
        case .journal(let entries): self.journal = entries
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
                self.prompt = .insist(offer, reason: reason)
            }
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
        case .insist(let offer, let reason):
            guard key == UInt8(ascii: "y") else {
                self.prompt = .none
                self.message = "nothing was changed"
                return nil
            }
            self.prompt = .waiting(offer, reason: reason)
            return .retreat(offer, reason: reason, force: true)
        case .waiting: break
        }
        return nil
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
            let screen = TopScreen(event: event, welcome: self.welcome, journal: self.journal)
            lines.append(TopScreen.Line(text: "\(screen.title)  \(event.at)", style: .head))
            if let lost = self.lost {
                lines.append(
                    TopScreen.Line(
                        text: "connection lost for \(Words.duration(lost.seconds)) (\(lost.why)): what is below is old"
                            .visible, style: .level(.trouble)))
            }
            lines += screen.lines(columns: columns)
        } else {
            lines.append(
                TopScreen.Line(text: self.lost.map { "no connection: \($0.why); trying again".visible } ?? "asking"))
        }
        return Array(lines.prefix(max(rows - 1, 0))) + [TopScreen.Line(text: self.foot, style: .head)]
    }

    private var foot: String {
        switch self.prompt {
        case .none:
            let keys = "q quits" + (self.event.flatMap(RetreatOffer.init).map { " · r retreats to \($0.to)" } ?? "")
            return (self.message.isEmpty ? keys : "\(self.message) · \(keys)").visible
        case .reason(let offer, let text):
            let names = offer.routes.map(\.name).joined(separator: ", ")
            return "\(names): everything to \(offer.to). Why? (Esc: not) \(String(decoding: text, as: UTF8.self))_"
                .visible
        case .insist: return "\(self.message). Do it in spite of that? y/n".visible
        case .waiting(let offer, _): return "retreating to \(offer.to) …".visible
        }
    }
}
