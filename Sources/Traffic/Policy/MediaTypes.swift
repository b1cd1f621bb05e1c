/// Which types of content a rule is about: `text/html`, `text/*`, `application/*+json`.
package struct MediaTypes: Sendable {
    private struct Pattern: Sendable {
        let prefix: [UInt8]
        /// nil: the prefix is all of it.
        let suffix: [UInt8]?
    }

    private let patterns: [Pattern]

    /// Whether it is one, in lower case.
    package static func isPattern(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= 127, Self.isToken(parts[0]) else { return false }
        if parts[1] == "*" { return true }
        guard parts[1].hasPrefix("*+") else { return Self.isToken(parts[1]) }
        return Self.isToken(parts[1].dropFirst(2))
    }

    private static func isToken(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x61...0x7A, 0x21, 0x23, 0x24, 0x26, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F: true
                default: false
                }
            }
    }

    /// Of texts that `isPattern` takes.
    package init(_ patterns: [String]) {
        self.patterns = patterns.map { text in
            guard let star = text.utf8.firstIndex(of: 0x2A) else {
                return Pattern(prefix: Array(text.utf8), suffix: nil)
            }
            return Pattern(
                prefix: Array(text.utf8[..<star]), suffix: Array(text.utf8[text.utf8.index(after: star)...]))
        }
    }

    /// Whether a type, in any case and without parameters, is among them.
    package func contains(_ type: borrowing Span<UInt8>) -> Bool {
        for pattern in self.patterns {
            guard let suffix = pattern.suffix else {
                if type.count == pattern.prefix.count, Self.has(type, pattern.prefix, at: 0) { return true }
                continue
            }
            if type.count > pattern.prefix.count + suffix.count, Self.has(type, pattern.prefix, at: 0),
                Self.has(type, suffix, at: type.count - suffix.count)
            {
                return true
            }
        }
        return false
    }

    private static func has(_ type: borrowing Span<UInt8>, _ part: [UInt8], at start: Int) -> Bool {
        guard start + part.count <= type.count else { return false }
        for index in part.indices {
            let byte = type[start + index]
            if (byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte) != part[index] { return false }
        }
        return true
    }
}
