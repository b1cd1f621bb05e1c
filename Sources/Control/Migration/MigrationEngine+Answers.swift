import Ledger
import Migration
import RoutesFile
import Traffic

/// What is told of plans.
extension MigrationEngine {
    package func bodies() async -> MigrationsBody {
        let view = await self.publisher.current
        var bodies: [MigrationBody] = []
        // In the order of the file.
        for spec in view.state.configuration?.migrations ?? [] {
            guard let standing = view.state.plans[spec.plan.name] else { continue }
            bodies.append(await self.body(of: standing, view.table))
        }
        return MigrationsBody(migrations: bodies)
    }

    package func body(_ name: String) async throws(ChangeRefused) -> MigrationBody {
        let view = await self.publisher.current
        guard let standing = view.state.plans[name] else { throw .notFound("no migration \"\(name)\"") }
        return await self.body(of: standing, view.table)
    }

    func body(of standing: PlanStanding, _ table: RoutingTable) async -> MigrationBody {
        let reading = await self.reading(of: standing, table)
        let rate = await self.rate(of: standing.plan)
        return PlanAnswer(standing: standing, reading: reading, rate: rate).body
    }

    /// Requests a second on the plan's routes together.
    func rate(of plan: PlanSpec) async -> Double {
        let window = await self.traffic()
        return plan.routes.reduce(0.0) { $0 + window.rate(of: $1) }
    }

    /// An operator's word, and how the plan stands then.
    package func answer(
        _ name: String, _ event: PlanEvent, reason: String = "", origin: ChangeOrigin, ifMatch: [String], dryRun: Bool,
        local: Bool = false
    ) async throws(ChangeRefused) -> (body: MigrationChangeBody, etag: String) {
        let outcome = try await self.act(
            name, event, reason: reason, origin: origin, ifMatch: ifMatch, dryRun: dryRun, local: local)
        let view = await self.publisher.current
        var forecast: PlanForecast?
        if dryRun {
            forecast = PlanForecast(outcome.standing.plan, rate: await self.rate(of: outcome.standing.plan))
        }
        let body = MigrationChangeBody(
            dryRun: dryRun, changed: outcome.changed, steps: outcome.words, warnings: outcome.warnings,
            migration: await self.body(of: outcome.standing, view.table), forecast: forecast, replicas: outcome.replicas
        )
        return (body: body, etag: outcome.etag)
    }

    // MARK: retirement

    package func verdict(_ name: String) async throws(ChangeRefused) -> VerdictBody {
        let view = await self.publisher.current
        guard let standing = view.state.plans[name] else { throw .notFound("no migration \"\(name)\"") }
        let (plan, wall) = (standing.plan, self.clock.wall())
        let since = standing.fullSince ?? wall
        let peers = self.readings[name]?.peers
        let own = await self.retirement(of: standing, view.table, limit: peers == nil ? .max : RetirementSample.limit)
        let known = RetirementSums(
            [(replica: peers?.replica ?? "", sample: own)] + (peers?.told(there: true) ?? []),
            gone: peers?.told(there: false) ?? [],
            accepted: Set((view.state.shared?.differences[name] ?? [:]).filter { !$0.value.isEmpty }.keys))
        let rows = known.needs.filter { $0.last >= since }
        let others = peers?.lastNeed ?? 0
        let quiet = wall - min(wall, max(since, rows.first?.last ?? 0, others))
        let hold = plan.stages.last.flatMap { $0.kind == .retire ? $0.hold : nil } ?? 0
        let headroom = Double((view.state.configuration?.guardSpec ?? GuardSpec()).headroom) / 100
        var facts = RetirementVerdict.Facts(
            share: self.liveShare(standing, view.table.spec), quiet: Int64(clamping: quiet), hold: hold,
            peak: known.peak, capacity: Self.capacity(of: plan.to, view.table), headroom: headroom)
        facts.needs = rows.compactMap { row in
            RetirementVerdict.Cause(rawValue: row.cause).map { cause in
                RetirementVerdict.Need(
                    route: row.route, template: row.template, cause: cause,
                    age: Int64(clamping: wall - min(wall, row.last)), count: row.count,
                    perDay: Double(row.count) / max(1, Double(wall - min(wall, row.first)) / 86_400_000))
            }
        }
        facts.onlyRoutes = view.table.spec.routes.filter { route in
            !plan.routes.contains(route.name) && Self.leadsOnly(to: plan.from, route)
        }.map(\.name)
        facts.classes = known.open
        facts.unproven = known.unproven
        facts.unheard = self.unheard(of: standing, share: facts.share)
        if facts.share == PlanSpec.fullWeight, standing.fullSince == nil {
            facts.unheard.insert("who needs \(plan.from) is noted once the plan has taken \(plan.to) to 100 %", at: 0)
        }
        let verdict = RetirementVerdict(facts)
        return VerdictBody(
            migration: name, from: plan.from, verdict: verdict.isRetirable ? "retirable" : "needed",
            obstacles: verdict.obstacles.map { Self.words($0, plan) },
            quietSeconds: standing.fullSince == nil ? nil : Double(quiet) / 1_000,
            wantedSeconds: Double(hold) / 1_000,
            needs: verdict.needs.map { need in
                VerdictBody.Need(
                    route: need.route, template: need.template, cause: need.cause.rawValue,
                    last: Timestamp.iso8601(wall - min(wall, UInt64(clamping: need.age))), count: need.count,
                    perDay: (need.perDay * 100).rounded() / 100)
            }, replicas: peers?.tellers)
    }

    /// What this replica knows of who needs the old side, the latest `limit` of each list.
    func retirement(of standing: PlanStanding, _ table: RoutingTable, limit: Int) async -> RetirementSample {
        let (name, peers) = (standing.plan.name, self.readings[standing.plan.name]?.peers)
        // What another tells that has proven it answers a question: asked for in turn, it would be told for ever.
        let asked = (peers?.told(there: true) ?? []).flatMap(\.sample.kinds).filter { !$0.isProven }.map {
            SeenKinds.Key(route: $0.route, template: $0.template)
        }
        let rows = self.needs.rows(
            of: NeedBook.routes(of: standing.plan, in: table.spec), since: standing.fullSince ?? self.clock.wall())
        let sample = RetirementSample(
            needs: rows, kinds: await self.mirror?.unproven(migration: name, asked: Set(asked)) ?? [:],
            open: await self.mirror?.openClasses(migration: name) ?? [], peak: self.peaks[name]?.peak ?? 0,
            limit: limit)
        return limit == .max ? sample : sample.told
    }

    /// Replicas of which nobody knows here what they have needed, in words. Below a share of 100 nobody tells it.
    private func unheard(of standing: PlanStanding, share: UInt32) -> [String] {
        guard self.peers != nil else { return [] }
        let reading = self.readings[standing.plan.name]
        guard reading?.isAlone != true else { return ["the other replicas cannot be asked"] }
        guard let sums = reading?.peers, sums.epoch == standing.state.epoch else {
            return reading != nil && share < PlanSpec.fullWeight ? [] : ["the other replicas have not been heard yet"]
        }
        guard share >= PlanSpec.fullWeight else { return sums.remarks }
        return sums.remarks + sums.silent.map { "\($0) has not told who needs \(standing.plan.from)" }
    }

    /// The least that a route of the plan gives the new side.
    private func liveShare(_ standing: PlanStanding, _ spec: TableSpec) -> UInt32 {
        spec.routes.filter { standing.plan.routes.contains($0.name) }.compactMap { $0.split }
            .map { standing.share(of: $0) }.min() ?? 0
    }

    private static func leadsOnly(to upstream: String, _ route: RouteSpec) -> Bool {
        guard let split = route.split, split.contains(where: { $0.upstream == upstream && $0.weight > 0 }) else {
            return false
        }
        return split.allSatisfy { $0.upstream == upstream || $0.weight == 0 }
    }

    /// Requests at once that a side takes without one of its endpoints, which are alike.
    private static func capacity(of name: String, _ table: RoutingTable) -> Double {
        guard let upstream = table.upstream(named: name) else { return 0 }
        let others = upstream.endpoints.count - 1
        guard others > 0 else { return 0 }
        return upstream.spec.maxOutstanding == 0 ? .infinity : Double(upstream.spec.maxOutstanding) * Double(others)
    }

    private static func words(_ obstacle: RetirementVerdict.Obstacle, _ plan: PlanSpec) -> String {
        switch obstacle {
        case .share(let share):
            "\(plan.to) has \(PlanWords.share(share)) only: take the plan to 100 %"
        case .notQuiet(let quiet, let wanted):
            "nothing has needed \(plan.from) for \(Wording.duration(seconds: Double(quiet) / 1_000)) only, and "
                + "\(Wording.duration(seconds: Double(wanted) / 1_000)) are wanted"
        case .onlyRoute(let route):
            "route \(route) leads to \(plan.from) alone and would answer 503: give it another upstream, or take it out"
        case .differenceClass(let number):
            "difference \(number) is open or real: mend it, or accept it"
        case .unheard(let what): "\(what): whether it is needed is not known"
        case .unproven(let kind): "\(kind) were neither compared nor answered by \(plan.to) often enough"
        case .capacity(let peak, let allowed):
            "without one of its endpoints \(plan.to) would have \(Wording.rounded(peak, 1)) requests at once at the peak, and "
                + "\(Wording.rounded(allowed, 1)) are allowed: add endpoints, or raise maxOutstanding"
        }
    }
}
