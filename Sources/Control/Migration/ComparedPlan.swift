import Comparison
import Migration
import RoutesFile
import Traffic

/// What the comparison knows of one plan.
struct ComparedPlan {
    let name: String
    private(set) var spec: CompareSpec
    private(set) var comparison: AnswerComparison
    private(set) var templates: PathTemplate
    /// By route.
    private var known: [String: TemplateSet] = [:]
    var book: ClassBook
    var budget: RecheckBudget
    /// The stage's run of which comparisons are counted.
    private(set) var epoch: UInt64 = 0
    /// Of that run, by route: the requests that were copied, as they were answered live, and their copies.
    var arms: [String: MirrorSums.Route] = [:]
    var rechecks: UInt64 = 0
    /// By class: when it was seen first and last, in milliseconds since 1970.
    var times: [String: (first: UInt64, last: UInt64)] = [:]
    /// Numbers of classes that the ledger does not have as they are.
    var changed: Set<String> = []
    /// The ledger was asked for what it had, be it in vain.
    var wasAsked = false
    /// What the ledger had is known.
    var isRestored = false

    /// Which kinds of requests there were.
    var kinds = SeenKinds()
    private var routes: Set<String>

    /// `key` is the process's: what is covered cannot be recognised beyond it.
    init(_ migration: MigrationSpec, key: UInt64) {
        self.name = migration.plan.name
        self.routes = Set(migration.plan.routes)
        self.spec = migration.compare
        self.comparison = AnswerComparison(
            rules: ComparisonRules(migration.compare), redaction: Redaction(migration.compare, key: key))
        self.templates = PathTemplate(patterns: migration.compare.templates)
        self.book = ClassBook(falseAlarm: migration.plan.alpha)
        self.budget = RecheckBudget(limit: Int(migration.compare.recheck))
    }

    /// Takes on other rules; what is known of the classes stays. What was compared by those before proves nothing of these: a
    /// difference may have been none.
    mutating func adopt(_ migration: MigrationSpec, key: UInt64) {
        self.routes = Set(migration.plan.routes)
        guard migration.compare != self.spec else { return }
        // By other templates the same requests are of other kinds.
        if migration.compare.templates != self.spec.templates { self.kinds = SeenKinds() }
        self.spec = migration.compare
        self.comparison = AnswerComparison(
            rules: ComparisonRules(migration.compare), redaction: Redaction(migration.compare, key: key))
        self.templates = PathTemplate(patterns: migration.compare.templates)
        self.budget = RecheckBudget(limit: Int(migration.compare.recheck))
        self.book.beginStage()
    }

    /// False: the stage's run is over, and its comparisons are not counted any more.
    mutating func enter(epoch: UInt64) -> Bool {
        if epoch > self.epoch {
            self.epoch = epoch
            self.arms = [:]
            self.book.beginStage()
        }
        return epoch == self.epoch
    }

    /// Counts a live answer and that to its copy.
    mutating func count(route: String, live: UInt16, copy: UInt16) {
        var arms = self.arms[route] ?? MirrorSums.Route(name: route, live: .init(), copies: .init())
        arms.live.count(live)
        arms.copies.count(copy)
        self.arms[route] = arms
    }

    /// A request was seen, or its answers were compared.
    mutating func note(_ request: SeenRequest, at wall: UInt64) {
        guard self.routes.contains(request.route) else { return }
        let template = self.template(String(decoding: request.target, as: UTF8.self), route: request.route)
        self.kinds.note(
            SeenKinds.Key(route: request.route, template: template), isAnswered: request.isAnsweredByNew, at: wall)
    }

    /// What nothing proves, and what is known of those that others ask for.
    func unproven(at wall: UInt64, asked: Set<SeenKinds.Key>) -> [SeenKinds.Key: SeenKinds.Kind] {
        self.kinds.unproven(at: wall, asked: asked) { self.routes.contains($0.route) }
    }

    /// The template of a request, of a bounded number for each route.
    mutating func template(_ target: String, route: String) -> String {
        self.known[route, default: TemplateSet()].admit(self.templates.template(target))
    }
}

extension StageSums.Side {
    fileprivate mutating func count(_ status: UInt16) {
        self.samples &+= 1
        switch status {
        case 400...499: self.clientErrors &+= 1
        case 500...599: self.errors &+= 1
        default: break
        }
    }
}

extension ComparisonRules {
    /// As the plan's file says them.
    package init(_ spec: CompareSpec) {
        self.init(
            headers: spec.headers, ignore: spec.ignore,
            unordered: spec.unordered.map { Unordered(path: $0.path, key: $0.key) },
            absolute: DecimalNumber(spec.absolute) ?? .zero, relative: DecimalNumber(spec.relative) ?? .zero)
    }
}

extension Redaction {
    package init(_ spec: CompareSpec, key: UInt64) {
        self.init(paths: spec.redactedPaths, query: spec.redactedQuery, key: key)
    }
}

extension Answer {
    init(_ answer: MirroredAnswer) {
        self.init(
            status: answer.status,
            fields: answer.fields.map { Field($0.name, String(decoding: $0.value, as: UTF8.self)) },
            body: answer.body.isWhole
                ? .whole(answer.body.bytes) : .digest(length: answer.body.length, hash: answer.body.digest))
    }
}
