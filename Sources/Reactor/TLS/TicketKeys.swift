import COpenSSL
import Synchronization

/// Keys that encrypt session tickets: the newest encrypts, the others still decrypt. Of the process, not of a certificate,
/// so that resumption does not depend on which one a client met.
package final class TicketKeys: Sendable {
    package static let keySize = Int(COPENSSL_TICKET_KEY)
    /// The one that encrypts, the one before it, and one to come, which replicas that were told earlier may use already.
    private static let count = Int(COPENSSL_TICKET_KEYS) - 1

    /// Set once; the shim locks the keys behind it (`copenssl_tickets`).
    nonisolated(unsafe) let pointer: OpaquePointer
    private let keys: Mutex<[[UInt8]]>

    /// nil: no memory, or no randomness.
    package init?(_ given: [[UInt8]] = []) {
        guard let pointer = copenssl_tickets_new() else { return nil }
        self.pointer = pointer
        self.keys = Mutex([])
        if given.isEmpty {
            guard self.rotate() else { return nil }
        } else {
            self.set(given)
        }
    }

    deinit { copenssl_tickets_free(self.pointer) }

    /// The newest first, 80 bytes each; what is shorter or beyond the fourth is left out.
    package func set(_ given: [[UInt8]]) {
        let good = Array(given.filter { $0.count == Self.keySize }.prefix(Int(COPENSSL_TICKET_KEYS)))
        self.keys.withLock { keys in
            keys = good
            copenssl_tickets_set(self.pointer, good.flatMap { $0 }, good.count)
        }
    }

    /// A new key encrypts from now on. False: there is no randomness, and the old one goes on.
    @discardableResult
    package func rotate() -> Bool {
        var fresh = [UInt8](repeating: 0, count: Self.keySize)
        guard copenssl_random(&fresh, fresh.count) else { return false }
        self.keys.withLock { keys in
            keys = Array(([fresh] + keys).prefix(Self.count))
            copenssl_tickets_set(self.pointer, keys.flatMap { $0 }, keys.count)
        }
        return true
    }

    /// For handing over to another process of the same balancer.
    package var current: [[UInt8]] { self.keys.withLock { $0 } }
}
