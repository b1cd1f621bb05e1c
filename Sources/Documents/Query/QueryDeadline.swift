/// The moment by which whoever asks no longer waits, for all queries that are made on its behalf.
///
/// A store gives up on a query that has not begun by then, and lets the database work on it no longer than that.
package enum QueryDeadline {
    /// nil for queries that only have their store's own limit.
    @TaskLocal package static var current: ContinuousClock.Instant?

    /// Whether the moment has come. Never for nil.
    static func hasPassed(_ deadline: ContinuousClock.Instant?) -> Bool {
        deadline.map { $0 <= .now } ?? false
    }
}
