/// What limits had given out in a process that another one takes over from.
package struct RateDebts: Sendable, Equatable, Codable {
    package struct Table: Sendable, Equatable, Codable {
        package var route: String
        /// Of `RouteRecord`: the limit's name, and what its keys mean.
        package var limit: String
        /// Hashes and times, in turns.
        package var cells: [UInt64]
    }

    /// Under which the hashes were made.
    package var secret: [UInt64]
    package var tables: [Table] = []

    /// Keys in all: a hand-over must not take long.
    package static let most = 65_536

    package init(secret: (UInt64, UInt64)) { self.secret = [secret.0, secret.1] }
}
