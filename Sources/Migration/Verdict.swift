/// Whether the old side can be turned off, and what would break if not. It never turns anything off.
package struct RetirementVerdict: Sendable, Equatable {
    package enum Cause: String, Sendable, CaseIterable {
        case weight, failover, retry, override, sticky, onlyRoute = "only-route"
    }

    /// Requests that the old side had to answer.
    package struct Need: Sendable, Equatable {
        package var route: String
        package var template: String
        package var cause: Cause
        /// Milliseconds since the last one.
        package var age: Int64
        package var count: UInt64
        /// Of the last days, a day.
        package var perDay: Double

        package init(route: String, template: String, cause: Cause, age: Int64, count: UInt64, perDay: Double) {
            self.route = route
            self.template = template
            self.cause = cause
            self.age = age
            self.count = count
            self.perDay = perDay
        }
    }

    /// What is known when it is asked for.
    package struct Facts: Sendable {
        /// Weight of the new side in force, of a million.
        package var share: UInt32
        /// Milliseconds since anything needed the old side; nil if nothing ever has.
        package var quiet: Int64?
        /// The hold of the stage that retires it; 0 without such a stage.
        package var hold: Int64
        package var needs: [Need] = []
        /// Routes outside the plan that name the old side alone: they would answer 503.
        package var onlyRoutes: [String] = []
        /// Numbers of the classes that are real, or open above what is allowed.
        package var classes: [String] = []
        /// Templates seen in the last 30 days that were neither compared nor answered by the new side 20 times.
        package var unproven: [String] = []
        /// Replicas of which it is not known what they need, in words.
        package var unheard: [String] = []
        /// Requests at once at the peak of seven days, and what the new side without its largest endpoint takes.
        package var peak: Double
        package var capacity: Double
        /// Share of the capacity that may be used.
        package var headroom: Double

        package init(share: UInt32, quiet: Int64?, hold: Int64, peak: Double, capacity: Double, headroom: Double) {
            self.share = share
            self.quiet = quiet
            self.hold = hold
            self.peak = peak
            self.capacity = capacity
            self.headroom = headroom
        }
    }

    package enum Obstacle: Sendable, Equatable {
        case share(UInt32)
        /// Milliseconds that nothing has needed it, and that are wanted.
        case notQuiet(quiet: Int64, wanted: Int64)
        case onlyRoute(String)
        case differenceClass(String)
        case unproven(String)
        case unheard(String)
        case capacity(peak: Double, allowed: Double)
    }

    package let obstacles: [Obstacle]
    /// The latest first.
    package let needs: [Need]

    package var isRetirable: Bool { self.obstacles.isEmpty }

    package init(_ facts: Facts) {
        var obstacles: [Obstacle] = []
        if facts.share < PlanSpec.fullWeight { obstacles.append(.share(facts.share)) }
        if let quiet = facts.quiet, quiet < facts.hold { obstacles.append(.notQuiet(quiet: quiet, wanted: facts.hold)) }
        obstacles += facts.onlyRoutes.map(Obstacle.onlyRoute)
        obstacles += facts.classes.map(Obstacle.differenceClass)
        obstacles += facts.unproven.map(Obstacle.unproven)
        obstacles += facts.unheard.map(Obstacle.unheard)
        let allowed = facts.capacity * facts.headroom
        // Not `>`: what cannot be compared is not proven either.
        if !(facts.peak <= allowed) { obstacles.append(.capacity(peak: facts.peak, allowed: allowed)) }
        self.obstacles = obstacles
        self.needs = facts.needs.sorted { ($0.age, $0.route, $0.template) < ($1.age, $1.route, $1.template) }
    }
}
