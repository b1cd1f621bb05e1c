/// For who misspells a command: the one that was meant.
package enum CommandSuggestion {
    /// The name that is nearest to `word`, if it takes no more than two slips (a letter missing, added, wrong, or two swapped);
    /// nil when none is near, or the word is hardly longer than the slips.
    package static func nearest(to word: String, among names: [String]) -> String? {
        // A longer word is no slip of a short name, and comparing it would take its time.
        guard word.utf8.count > 2, word.utf8.count <= 32 else { return nil }
        let near = names.map { (name: $0, slips: Self.slips(Array(word.lowercased().utf8), Array($0.utf8))) }
            .min { $0.slips < $1.slips }
        guard let near, near.slips <= 2 else { return nil }
        return near.name
    }

    /// The optimal string alignment distance.
    private static func slips(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var before: [Int] = []
        var last = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var next = [row + 1]
            for (column, other) in right.enumerated() {
                var least = min(last[column] + (letter == other ? 0 : 1), last[column + 1] + 1, next[column] + 1)
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    least = min(least, before[column - 1] + 1)
                }
                next.append(least)
            }
            (before, last) = (last, next)
        }
        return last[right.count]
    }
}
