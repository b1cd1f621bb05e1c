/// The certificates in force, and how often their files were replaced.
package struct CertificateFigures: Sendable {
    package var records: [CertificateRecord] = []
    /// Replaced files that were put in force, and those that were not good.
    package var reloads: UInt64 = 0
    package var failures: UInt64 = 0
    /// Seconds of the epoch.
    package var now: Int64 = 0

    package init() {}
}
