/// Who pays for the memory that documents and answers take while a request is worked on.
package protocol MemoryAccount: Sendable {
    /// Pays for `bytes` more.
    ///
    /// - Returns: false when there is no memory for them: the work has to end.
    func take(_ bytes: Int) -> Bool
}

/// The account of whoever asks, for all that is read and made on its behalf.
package enum QueryMemory {
    /// nil for work that nobody bounds.
    @TaskLocal package static var current: (any MemoryAccount)?
}

/// Pays for one thing that grows, in steps: the account is asked seldom.
package struct MemoryMeter {
    private static let step = 256 * 1024

    private let account: (any MemoryAccount)?
    private var paid: Int

    /// - Parameter free: what is too small to be paid for.
    package init(free: Int = 64 * 1024) {
        account = QueryMemory.current
        paid = free
    }

    /// Whether there is memory for `total` bytes in all.
    package mutating func covers(_ total: Int) -> Bool {
        guard total > paid, let account else { return true }
        let (needed, overflow) = total.addingReportingOverflow(Self.step)
        guard !overflow, account.take(needed - paid) else { return false }
        paid = needed
        return true
    }
}
