import JSONText
import Migration
import Traffic

/// Reads the plans, and checks them against the routes and upstreams that they name.
struct MigrationReader {
    /// The table as it was read.
    let table: TableSpec
    /// Something keeps what a plan has come to.
    let isKept: Bool

    /// Puts what a plan makes of its routes into the table, too.
    func read(_ node: Node, into configuration: inout BalancerConfiguration) {
        guard let nodes = node.elements("a list of migrations", maximum: MigrationSpec.limit) else { return }
        if !nodes.isEmpty, !self.isKept {
            node.fail("needs $.state: what a plan has come to must outlive the process")
        }
        var names: Set<String> = []
        var owners: [String: String] = [:]
        for node in nodes {
            guard let section = node.section(.migration), let spec = self.migration(section) else { continue }
            if !names.insert(spec.plan.name).inserted {
                section["name"]?.fail("the name \(spec.plan.name.quoted) is already taken by another migration")
            }
            for (index, route) in spec.plan.routes.enumerated() {
                let place = section["routes"]?.elements()?[index]
                if let owner = owners[route], owner != spec.plan.name {
                    place?.fail("the route \(route.quoted) belongs to the migration \(owner.quoted) already")
                }
                owners[route] = owners[route] ?? spec.plan.name
            }
            configuration.migrations.append(spec)
            self.mark(spec, in: &configuration.table)
        }
    }

    private func mark(_ spec: MigrationSpec, in table: inout TableSpec) {
        for index in table.routes.indices where spec.plan.routes.contains(table.routes[index].name) {
            guard let split = table.routes[index].split,
                let from = split.firstIndex(where: { $0.upstream == spec.plan.from }),
                let to = split.firstIndex(where: { $0.upstream == spec.plan.to })
            else { continue }
            var traffic = MigrationTraffic(name: spec.plan.name, from: from, to: to)
            traffic.settle = UInt32(clamping: spec.plan.gates.settle)
            traffic.mirror = spec.mirror
            traffic.mirror.headers = spec.compare.headers
            traffic.mirror.templates = spec.compare.templates.map(\.text)
            table.routes[index].migration = traffic
        }
    }

    private func migration(_ section: Section) -> MigrationSpec? {
        let name = section.required("name")?.name()
        let from = section.required("from").flatMap(self.upstream)
        let to = section.required("to").flatMap(self.upstream)
        let routes = section.required("routes").flatMap(self.routes)
        let stages = section.required("stages").flatMap(self.stages)
        var mirror = MirrorSpec()
        section.read("mirror", into: &mirror) { MirrorReader.read($0) }
        var compare = CompareSpec()
        section.read("compare", into: &compare) { CompareReader.read($0) }
        var gates = GateSpec()
        section.read("gates", into: &gates) { GateReader.read($0) }
        var retreat = PlanSpec.Retreat()
        section.read("retreat", into: &retreat) { self.retreat($0) }
        var patience: UInt32 = 6 * 3_600_000
        section.read("patience", into: &patience) { $0.duration(0...Section.longest) }
        var fourEyes = false
        section.read("fourEyes", into: &fourEyes) { $0.bool() }
        var freeze: [FreezeWindow] = []
        section.read("freeze", into: &freeze) { FreezeReader.read($0) }
        guard let name, let from, let to, let routes, let stages else { return nil }
        var plan = PlanSpec(name: name, routes: routes, from: from, to: to, stages: stages)
        plan.gates = gates
        plan.retreat = retreat
        plan.patience = Int64(patience)
        plan.fourEyes = fourEyes
        plan.freeze = freeze
        self.reportFaults(of: plan, in: section)
        self.check(plan, in: section)
        return MigrationSpec(plan: plan, mirror: mirror, compare: compare)
    }

    /// What no single section can know.
    private func reportFaults(of plan: PlanSpec, in section: Section) {
        for fault in plan.faults() {
            var line = section.node.value.line
            var value = section.node.value
            // As near as the document goes.
            for step in Self.steps(fault.path) {
                switch (step, value.content) {
                case (.name(let name), .object):
                    guard let next = value[name] else { break }
                    value = next
                    line = next.line
                case (.index(let index), .array(let elements)):
                    guard index < elements.count else { break }
                    value = elements[index]
                    line = value.line
                default: break
                }
            }
            section.node.report.add(section.node.path + fault.path.dropFirst(), line: line, fault.message)
        }
    }

    private static func steps(_ path: String) -> [JSONStep] {
        guard let path = try? JSONPath(path) else { return [] }
        return path.segments.compactMap { segment in
            switch segment {
            case .name(let name): .name(name)
            case .index(let index): .index(index)
            case .wildcard, .descendant: nil
            }
        }
    }

    /// Each route has both sides, and no weight anywhere else.
    private func check(_ plan: PlanSpec, in section: Section) {
        guard let nodes = section["routes"]?.elements() else { return }
        for (node, name) in zip(nodes, plan.routes) {
            guard let route = self.table.routes.first(where: { $0.name == name }) else { continue }
            guard let split = route.split else {
                node.fail("the route \(name.quoted) goes to no upstream")
                continue
            }
            for side in [plan.from, plan.to] where !split.contains(where: { $0.upstream == side }) {
                node.fail("the split of route \(name.quoted) has no \(side.quoted)")
            }
            for entry in split where entry.upstream != plan.from && entry.upstream != plan.to && entry.weight > 0 {
                node.fail(
                    "the split of route \(name.quoted) gives \(entry.upstream.quoted) a weight: beside the two sides "
                        + "of a plan it is 0")
            }
        }
    }

    // MARK: parts

    private func upstream(_ node: Node) -> String? {
        guard let name = node.string("the name of an upstream") else { return nil }
        let names = self.table.upstreams.map(\.name)
        guard names.contains(name) else {
            node.fail("unknown upstream" + Suggestion.text(for: name, among: names))
            return nil
        }
        return name
    }

    private func routes(_ node: Node) -> [String]? {
        guard let nodes = node.elements("a list of routes by name", minimum: 1, maximum: 64) else { return nil }
        let known = self.table.routes.map(\.name)
        var routes: [String] = []
        for node in nodes {
            guard let name = node.string("the name of a route") else { return nil }
            guard known.contains(name) else {
                node.fail("unknown route" + Suggestion.text(for: name, among: known))
                return nil
            }
            routes.append(name)
        }
        return routes
    }

    private func stages(_ node: Node) -> [PlanSpec.Stage]? {
        guard let nodes = node.elements("a list of stages", minimum: 1, maximum: PlanSpec.stageLimit) else {
            return nil
        }
        var stages: [PlanSpec.Stage] = []
        for node in nodes {
            guard let section = node.section(.migrationStage), let stage = Self.stage(section) else { return nil }
            stages.append(stage)
        }
        return stages
    }

    private static func stage(_ section: Section) -> PlanSpec.Stage? {
        let share = section["share"].map { $0.percent(upTo: 100) }
        let mirror = section["mirror"].map { $0.percent(upTo: 100) }
        var isRetiring: Bool?
        section.read("retire", into: &isRetiring) { $0.bool() }
        var approval = false
        section.read("approval", into: &approval) { $0.bool() }
        let hold = section.required("hold")?.duration(0...Section.longest)
        if isRetiring == false { section["retire"]?.fail("expected true: a stage that retires nothing has none") }
        if isRetiring != nil {
            section["share"]?.fail("a stage that retires the old side has no share: all is with the new one")
            section["mirror"]?.fail("a stage that retires the old side copies nothing")
        } else if share == nil, mirror == nil {
            section.fail("expected \"share\", \"mirror\" or \"retire\"")
        }
        if case .some(.none) = share { return nil }
        if case .some(.none) = mirror { return nil }
        guard let hold else { return nil }
        let kind: PlanSpec.Kind =
            isRetiring != nil ? .retire : (share ?? nil).map { .share($0.millionths) } ?? .mirror
        return PlanSpec.Stage(
            kind, mirror: isRetiring == nil ? (mirror ?? nil)?.millionths : nil, hold: Int64(hold), approval: approval)
    }

    private func retreat(_ node: Node) -> PlanSpec.Retreat? {
        guard let section = node.section(.migrationRetreat) else { return nil }
        var retreat = PlanSpec.Retreat()
        section.read("to", into: &retreat.aim) { $0.word([("start", .start), ("previous", .previous)]) }
        section.read("over", into: &retreat.over) { $0.duration(0...86_400_000).map(Int64.init) }
        section.read("unavailable", into: &retreat.unavailable) { $0.duration(0...3_600_000).map(Int64.init) }
        section.read("cooldown", into: &retreat.cooldown) { $0.duration(0...Section.longest).map(Int64.init) }
        return retreat
    }
}
