import Traffic

/// How the last attempt to load the file ended.
package struct ReloadReport: Sendable, Equatable {
    /// Milliseconds since 1970.
    package var at: UInt64
    package var ok: Bool
    package var problems: [ControlProblem]
    /// Settings that changed in the file and only take effect at the next start.
    package var needsRestart: [String]
    package var successes: UInt64
    package var failures: UInt64
}
