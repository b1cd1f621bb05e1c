import Control
import FoundationEssentials
import NIOHTTP1
import Reactor

/// The loop of `balancer top` on a terminal: news, keys and time in, screens and changes out.
struct TopSession: Sendable {
    let options: AdminOptions
    let terminal: Terminal

    /// Entries of the journal on the screen.
    private static let entries = 5
    /// Milliseconds between two attempts to come back, at most.
    private static let longestPause: UInt64 = 15_000

    /// Until the operator has seen enough.
    func run() async {
        let (inputs, input) = AsyncStream<TopModel.Input>.makeStream()
        guard let keys = try? BlockingThreads(named: "keys") else { return }
        let terminal = self.terminal
        let reading = Task { await keys.run { terminal.read { input.yield($0.map { .key($0) } ?? .stop) } } }
        let following = Task { await self.follow(input) }
        let ticking = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(1))
                input.yield(.tick)
            }
        }
        var model = TopModel()
        self.draw(model)
        for await one in inputs {
            if let action = model.take(one) {
                if action == .quit { break }
                self.act(action, input)
            }
            self.draw(model)
        }
        for task in [following, ticking] { task.cancel() }
        reading.cancel()
    }

    private func draw(_ model: TopModel) {
        let size = self.terminal.size
        self.terminal.draw(model.lines(columns: size.columns, rows: size.rows))
    }

    private func follow(_ input: AsyncStream<TopModel.Input>.Continuation) async {
        let follower = EventFollower(options: self.options)
        var pause: UInt64 = 1_000
        while !Task.isCancelled {
            let came = Came()
            do {
                try await follower.follow { news in
                    switch news {
                    case .welcome(let body): input.yield(.welcome(body))
                    case .state(let body, _): input.yield(.state(body))
                    }
                    came.note()
                    return false
                }
            } catch EventFollower.Ended.refused(let status, let reason) {
                input.yield(.lost("refused (\(status)): \(reason)"))
            } catch EventFollower.Ended.unreachable(let reason) {
                input.yield(.lost(reason))
            } catch {
                input.yield(.lost(error.networkWords))
            }
            if came.hasCome { pause = 1_000 }
            try? await Task.sleep(for: .milliseconds(pause))
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func act(_ action: TopModel.Action, _ input: AsyncStream<TopModel.Input>.Continuation) {
        switch action {
        case .quit: break
        case .readJournal:
            Task {
                if let entries = try? await Self.journal(self.options) { input.yield(.journal(entries)) }
            }
        case .readPlans(let generation):
            Task {
                if let plans = try? await Self.plans(self.options) {
                    input.yield(.plans(plans, generation: generation))
                }
            }
        case .retreat(let offer, let reason, let force, let alone):
            Task { input.yield(.retreated(await self.retreat(offer, reason, force, alone))) }
        case .approve(let name):
            Task { input.yield(.approved(await self.approve(name))) }
        }
    }

    /// Newest first.
    static func journal(_ options: AdminOptions) async throws -> [JournalEntry] {
        let answer = try await AdminClient(options: options).answer(
            .GET, "/api/v1/journal?limit=\(Self.entries)", body: nil, headers: [:])
        return try JSONDecoder().decode(JournalBody.self, from: answer.body).entries.reversed()
    }

    static func plans(_ options: AdminOptions) async throws -> [MigrationBody] {
        let answer = try await AdminClient(options: options).answer(
            .GET, "/api/v1/migrations", body: nil, headers: [:])
        return try JSONDecoder().decode(MigrationsBody.self, from: answer.body).migrations
    }

    /// Why it was refused; empty: it was not.
    private func approve(_ name: String) async -> [String] {
        do {
            let answer = try await AdminClient(options: self.options).answer(
                .POST, "/api/v1/migrations/\(AdminClient.segment(name))/approve", body: Data("{}".utf8), headers: [:])
            return Self.refusal(answer).map { ["\(name): \($0)"] } ?? []
        } catch {
            return ["\(name): \(error)"]
        }
    }

    /// nil: it was taken.
    private static func refusal(_ answer: (status: UInt, body: Data)) -> String? {
        guard !(200...299).contains(answer.status) else { return nil }
        let body = try? JSONDecoder().decode(ErrorBody.self, from: answer.body)
        return ([body?.error ?? "refused (\(answer.status))"] + (body?.problems ?? []).map(\.message))
            .joined(separator: ": ")
    }

    /// What was refused, a line each.
    private func retreat(_ offer: RetreatOffer, _ reason: String, _ force: Bool, _ alone: Bool) async -> [String] {
        let client = AdminClient(options: self.options)
        var refusals: [String] = []
        for route in offer.routes {
            do {
                let change = WeightRequest(
                    weights: route.weights, reason: reason, force: force ? true : nil, local: alone ? true : nil)
                let answer = try await client.answer(
                    .PUT, "/api/v1/routes/\(AdminClient.segment(route.name))/weights",
                    body: try JSONEncoder().encode(change), headers: [:])
                if let words = Self.refusal(answer) { refusals.append("\(route.name): \(words)") }
            } catch {
                refusals.append("\(route.name): \(error)")
            }
        }
        return refusals
    }

    private struct WeightRequest: Encodable {
        var weights: [String: UInt32]
        var reason: String
        var force: Bool?
        var local: Bool?
    }
}
