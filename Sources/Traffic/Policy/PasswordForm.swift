/// Hashes of passwords that are good enough (crypt(5)): bcrypt, SHA-256 and SHA-512 with rounds, yescrypt.
package enum PasswordForm {
    /// Milliseconds of a processor, estimated, that one check may take.
    package static let longest: UInt64 = 10_000
    /// From here on a warning is due.
    package static let slow: UInt64 = 100

    private static let advice = "; `openssl passwd -6` makes one that is taken"

    /// What is wrong with a hash; nil: it is taken. The words never have the hash itself.
    package static func fault(in hash: String) -> String? {
        if hash.hasPrefix("$apr1$") || hash.hasPrefix("$1$") || hash.hasPrefix("{SHA}") {
            return "a hash of this kind is guessed too fast" + Self.advice
        }
        guard let cost = self.milliseconds(of: hash) else {
            return "expected a hash of crypt(5) that begins with $2b$, $5$, $6$ or $y$" + Self.advice
        }
        return cost > Self.longest ? "a check would take about \(cost / 1_000) s" : nil
    }

    /// What a check takes, roughly, on a processor of 2024; nil: no hash that is taken.
    package static func milliseconds(of hash: String) -> UInt64? {
        let bytes = Array(hash.utf8)
        guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }) else { return nil }
        let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].isEmpty else { return nil }
        switch parts[1] {
        case "2a", "2b", "2y":
            guard parts.count == 4, bytes.count == 60, parts[2].utf8.count == 2, let cost = UInt64(parts[2]),
                (4...31).contains(cost), Self.isCoded(parts[3], 53)
            else { return nil }
            // 50 ms at 10.
            return (50 << cost) >> 10
        case "5", "6":
            let length = parts[1] == "5" ? 43 : 86
            var rounds: UInt64 = 5_000
            var rest = parts[2...]
            if let first = rest.first, first.hasPrefix("rounds=") {
                guard let count = UInt64(first.dropFirst(7)), (1_000...999_999_999).contains(count) else { return nil }
                rounds = count
                rest = rest.dropFirst()
            }
            guard rest.count == 2, let salt = rest.first, let code = rest.last, salt.utf8.count <= 16,
                Self.isCoded(code, length)
            else { return nil }
            return rounds * 6 / 5 / 5_000
        case "y":
            guard parts.count == 5, parts[2].utf8.count >= 3, Self.isCoded(parts[4], 43) else { return nil }
            // Of the parameters the second letter is the logarithm of the memory: 9, for 4,096 blocks, takes 19 ms.
            let alphabet = Array("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
            let letter = Array(parts[2].utf8)[1]
            guard let place = alphabet.firstIndex(of: letter), place < 40 else { return nil }
            return (19 << UInt64(place)) >> 11
        default: return nil
        }
    }

    private static func isCoded(_ text: Substring, _ count: Int) -> Bool {
        text.utf8.count == count
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x2E...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: false
                }
            }
    }
}
