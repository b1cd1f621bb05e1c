import Reactor

/// A listener of one worker cannot accept, or can again.
package struct ListenerTrouble: Sendable {
    package var listener: String
    package var worker: Int
    /// What failed; nil: it accepts again.
    package var cause: SystemError?
}
