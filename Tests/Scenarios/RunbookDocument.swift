import Foundation
import TestSupport

/// docs/runbook.md: its headings and its command blocks, which have a name in their info string: `sh run=NAME`.
struct RunbookDocument: Sendable {
    struct Block: Sendable {
        var name: String
        var heading: String
        var text: String
    }

    var blocks: [Block] = []
    var headings: [String] = []
    /// Fences that are neither a command to run nor what a command prints.
    var problems: [String] = []

    /// The block that every shell begins with.
    static let shell = "shell"

    init() throws {
        let text = try String(contentsOfFile: Program.root + "/docs/runbook.md", encoding: .utf8)
        var open: (info: String, lines: [Substring])?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                if let (info, lines) = open {
                    self.close(info, lines)
                    open = nil
                } else {
                    open = (String(line.dropFirst(3)), [])
                }
            } else if open != nil {
                open?.lines.append(line)
            } else if line.hasPrefix("#") {
                self.headings.append(String(line))
            } else if line.hasPrefix("    ") || line.contains("```") {
                self.problems.append("a command that is in no block: \(line)")
            }
        }
        if let open { self.problems.append("a block without an end: \(open.info)") }
    }

    private mutating func close(_ info: String, _ lines: [Substring]) {
        if info == "text" { return }
        guard info.hasPrefix("sh run=") else {
            self.problems.append("a block that nothing runs: \(info.isEmpty ? "(no name)" : info)")
            return
        }
        self.blocks.append(
            Block(
                name: String(info.dropFirst("sh run=".count)), heading: self.headings.last ?? "",
                text: lines.joined(separator: "\n")))
    }

    /// The text of the one block of that name.
    func text(_ name: String) throws -> String {
        let found = self.blocks.filter { $0.name == name }
        guard let block = found.first, found.count == 1 else {
            throw TestFailure("docs/runbook.md has \(found.count) blocks named \(name)")
        }
        return block.text
    }
}
