/// Collects what is wrong while a document is read. A class, because every node of the document being read reports to
/// the same one; it lives for one call of `RoutesFile.parse` and never leaves it.
final class ProblemReport {
    /// A file that is wrong everywhere would otherwise cost more to describe than to mend.
    static let limit = 100

    private var problems: [ConfigurationProblem] = []
    private(set) var isFull = false

    var isEmpty: Bool { self.problems.isEmpty }

    func add(_ path: String, line: Int, _ message: String) {
        guard self.problems.count < Self.limit else {
            self.isFull = true
            return
        }
        self.problems.append(ConfigurationProblem(path: path, message: message, line: line))
    }

    /// In the order of the file.
    var sorted: [ConfigurationProblem] {
        var sorted = self.problems.enumerated().sorted { one, other in
            (one.element.line ?? 0, one.offset) < (other.element.line ?? 0, other.offset)
        }.map(\.element)
        if self.isFull {
            sorted.append(ConfigurationProblem(path: "$", message: "further problems are not listed", line: nil))
        }
        return sorted
    }
}
