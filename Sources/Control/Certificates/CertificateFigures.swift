/// The certificates in force, and how often their files were replaced.
package struct CertificateFigures: Sendable {
    package var records: [CertificateRecord] = []
    /// Replaced files that were put in force, and those that were not good.
    package var reloads: UInt64 = 0
    package var failures: UInt64 = 0
    /// Milliseconds for which the key that encrypts tickets has been in use, the oldest of several; nil: there are none.
    package var ticketKeyAge: UInt64?
    /// Seconds of the epoch.
    package var now: Int64 = 0

    package init() {}
}
