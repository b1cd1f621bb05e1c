/// The way back: the side that works, and the routes that do not send everything there.
package struct RetreatOffer: Sendable, Equatable {
    package struct Route: Sendable, Equatable {
        package var name: String
        /// All of the route's weight on the one side.
        package var weights: [String: UInt32]
    }

    package var to: String
    package var routes: [Route]

    /// The first side of the first split, unless that is the one that is ill: then the first of the others that is not. nil:
    /// everything is there already, or nothing is split.
    package init?(_ event: EventBody) {
        let split = event.routes.filter { $0.sides.count > 1 }
        guard let first = split.first else { return nil }
        func isWell(_ name: String) -> Bool {
            guard let side = event.sides.first(where: { $0.upstream == name }), side.availableEndpoints > 0 else {
                return false
            }
            return side.flow.attempts < Self.enough || (side.flow.errors ?? 0) < Self.tooMany
        }
        let names = first.sides.map(\.upstream)
        guard let to = names.first(where: isWell) ?? names.first else { return nil }
        self.to = to
        self.routes = split.filter { route in
            route.sides.contains { $0.upstream == to } && route.sides.contains { $0.upstream != to && $0.weight > 0 }
        }.map { route in
            let sum = route.sides.reduce(UInt64(0)) { $0 + UInt64($1.weight) }
            let all = UInt32(min(sum, UInt64(WeightChange.largestWeight)))
            return Route(
                name: route.name,
                weights: Dictionary(
                    route.sides.map { ($0.upstream, $0.upstream == to ? all : 0) },
                    uniquingKeysWith: { first, _ in first }))
        }
        if self.routes.isEmpty { return nil }
    }

    /// A side with so many attempts of which such a part failed is ill.
    private static let enough: UInt64 = 20
    private static let tooMany = 0.05
}
