import CCrypt

/// Passwords against hashes of crypt(5).
package enum PasswordHash {
    /// The longest password that the library takes.
    package static let longest = 511

    /// Whether the password has that hash. Takes milliseconds up to seconds of a processor: never on a loop's thread.
    package static func matches(_ password: [UInt8], _ hash: [UInt8]) -> Bool {
        guard password.count <= Self.longest, !password.contains(0), !hash.contains(0) else { return false }
        // Each with the zero that ends a text in C.
        var phrase = password + [0]
        defer { for index in phrase.indices { phrase[index] = 0 } }
        let hash = hash + [0]
        return phrase.withUnsafeBytes { phrase in
            hash.withUnsafeBytes { hash in
                ccrypt_matches(
                    phrase.assumingMemoryBound(to: CChar.self).baseAddress,
                    hash.assumingMemoryBound(to: CChar.self).baseAddress)
            }
        }
    }
}
