import Synchronization

/// What making an answer of each route took lately, in bytes: what the next one will take, probably.
final class AnswerCosts: Sendable {
    private let costs = Mutex([Int](repeating: 0, count: Route.allCases.count))

    func expected(_ route: Route) -> Int {
        costs.withLock { $0[route.index] }
    }

    /// Rises at once and falls by a quarter: routes with parameters have answers of many sizes.
    func record(_ bytes: Int, of route: Route) {
        costs.withLock { costs in
            let usual = costs[route.index]
            costs[route.index] = max(bytes, usual - usual / 4)
        }
    }
}
