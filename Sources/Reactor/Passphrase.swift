import CCrypt
import Glibc
import Synchronization

/// A password on its way to a look: one copy at one place of fixed size, which is wiped.
package final class Passphrase: Sendable {
    /// With the zero that ends a text in C.
    private static let capacity = 512
    /// The longest password that the library takes.
    package static let longest = Passphrase.capacity - 1

    /// Taken by whoever looks, one at a time.
    private let bytes = Mutex(InlineArray<512, UInt8>(repeating: 0))
    /// No password has more bytes than `longest`, or a zero: such a one has no hash.
    private let isPossible: Bool

    package init(_ password: UnsafeRawBufferPointer) {
        self.isPossible = password.count <= Self.longest && !password.contains(0)
        guard self.isPossible else { return }
        self.bytes.withLock { bytes in
            for index in password.indices { bytes[index] = password[index] }
        }
    }

    deinit { self.wipe() }

    /// Whether it has that hash of crypt(5). Takes milliseconds up to seconds of a processor: never on a loop's thread.
    package func matches(_ hash: [UInt8]) -> Bool {
        guard self.isPossible, !hash.contains(0) else { return false }
        let hash = hash + [0]
        return self.bytes.withLock { bytes in
            withUnsafeBytes(of: &bytes) { phrase in
                hash.withUnsafeBytes { hash in
                    ccrypt_matches(
                        phrase.assumingMemoryBound(to: CChar.self).baseAddress,
                        hash.assumingMemoryBound(to: CChar.self).baseAddress)
                }
            }
        }
    }

    /// Overwrites it, which the compiler may not leave out.
    package func wipe() {
        self.bytes.withLock { bytes in
            withUnsafeMutableBytes(of: &bytes) { room in
                if let base = room.baseAddress { explicit_bzero(base, room.count) }
            }
        }
    }

    /// Nothing of it is left, or nothing was ever there.
    package var isWiped: Bool {
        self.bytes.withLock { bytes in bytes.span.withUnsafeBytes { $0.allSatisfy { $0 == 0 } } }
    }
}
