import JSONText

/// Finds the name that was probably meant.
package enum Suggestion {
    /// `; did you mean "gateway"?`, or nothing if no known name is near.
    package static func text(for name: String, among known: some Sequence<String>) -> String {
        self.nearest(to: name, among: known).map { "; did you mean \($0.quoted)?" } ?? ""
    }

    /// The known name with the least edits, if they are few for its length. The first of equals.
    static func nearest(to name: String, among known: some Sequence<String>) -> String? {
        let wanted = Array(name.lowercased().utf8)
        // Longer than any name we know: nothing is near, and the comparison would cost its square.
        guard wanted.count <= 80 else { return nil }
        var best: (name: String, distance: Int)?
        for candidate in known where candidate.utf8.count <= 80 {
            let letters = Array(candidate.lowercased().utf8)
            let allowed = max(1, min(wanted.count, letters.count) / 3)
            guard abs(wanted.count - letters.count) <= allowed else { continue }
            let distance = self.distance(wanted, letters)
            guard distance <= allowed, distance < best?.distance ?? Int.max else { continue }
            best = (candidate, distance)
        }
        return best?.name
    }

    /// Insertions, deletions, replacements, and swaps of neighbours that turn one into the other.
    private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
        var beforeLast = [Int](repeating: 0, count: other.count + 1)
        var last = Array(0...other.count)
        for row in one.indices {
            var current = [row + 1]
            for column in other.indices {
                let same = one[row] == other[column]
                var cost = min(last[column] + (same ? 0 : 1), last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, one[row] == other[column - 1], one[row - 1] == other[column] {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            beforeLast = last
            last = current
        }
        return last[other.count]
    }
}
