/// Paths whose requests are never copied. However a client spells one: what copies must not do is no matter of spelling, so paths
/// are compared in their normal form, and without regard to case where the route matches so.
package struct ExceptedPaths: Sendable {
    private let prefixes: [[UInt8]]
    private let ignoresCase: Bool

    /// `prefixes` end on segment borders.
    package init(_ prefixes: [String], ignoringCase: Bool) {
        self.ignoresCase = ignoringCase
        self.prefixes = prefixes.map { text in
            let bytes = Array(text.utf8)
            guard !NormalPath.isNormal(bytes.span) else { return bytes }
            let normal = NormalPath(bytes.span)
            return normal.range.map { normal.buffer[$0] }
        }
    }

    package func contains(_ path: Span<UInt8>) -> Bool {
        guard !self.prefixes.isEmpty else { return false }
        if NormalPath.isNormal(path) { return self.covers(path) }
        let normal = NormalPath(path)
        return self.covers(normal.buffer.span.extracting(normal.range))
    }

    private func covers(_ path: Span<UInt8>) -> Bool {
        self.prefixes.contains { prefix in
            guard path.count >= prefix.count else { return false }
            for index in prefix.indices where self.folded(path[index]) != self.folded(prefix[index]) { return false }
            return path.count == prefix.count || prefix.last == UInt8(ascii: "/")
                || path[prefix.count] == UInt8(ascii: "/")
        }
    }

    private func folded(_ byte: UInt8) -> UInt8 {
        self.ignoresCase && (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }
}
