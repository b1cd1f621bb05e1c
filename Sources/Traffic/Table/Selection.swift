/// What an upstream has to offer a request.
package enum Selection: Sendable, Equatable {
    /// A slot of this endpoint was taken: give it back by `release`, exactly once. `trial` goes into `report`.
    case endpoint(index: Int, trial: Bool)
    /// Endpoints are available, but all of them at their cap.
    case saturated
    case unavailable
}
