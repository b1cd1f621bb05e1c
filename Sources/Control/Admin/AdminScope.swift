/// What an address of the admin API answers.
package enum AdminScope: Sendable, Hashable, CaseIterable {
    case everything
    /// Probes and metrics: nothing that changes anything, and nothing that only an operator reads.
    case observation
}
