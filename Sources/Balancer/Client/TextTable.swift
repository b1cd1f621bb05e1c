/// Columns aligned for people. Numbers stand right, words left.
struct TextTable {
    private let head: [String]
    private var rows: [[String]] = []

    init(_ head: String...) {
        self.head = head
    }

    /// One cell a column, shown in one line whatever is in it.
    mutating func add(_ cells: String...) {
        self.rows.append(cells.map(\.visible))
    }

    /// A table without rows is its head alone. One that is wider than `columns` has a line for each cell instead, which a terminal would
    /// otherwise fold into each other; nil: as wide as it is.
    func render(columns: Int? = Output.columns) -> String {
        let lines = self.lines()
        guard let columns, !self.rows.isEmpty, lines.contains(where: { $0.count > columns }) else {
            return lines.joined(separator: "\n")
        }
        return self.stacked(columns)
    }

    private func lines() -> [String] {
        var widths = self.head.map(\.count)
        for row in self.rows {
            for (index, cell) in row.enumerated() where index < widths.count {
                widths[index] = max(widths[index], cell.count)
            }
        }
        let isNumeric = self.head.indices.map { column in
            !self.rows.isEmpty && self.rows.allSatisfy { column < $0.count && Self.looksNumeric($0[column]) }
        }
        return ([self.head] + self.rows).map { row in
            var line = ""
            for (index, cell) in row.enumerated() where index < widths.count {
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                line += (index > 0 ? "  " : "") + (isNumeric[index] ? padding + cell : cell + padding)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }

    /// Each cell that has something in it behind its column's name, a blank line between rows.
    private func stacked(_ columns: Int) -> String {
        let width = self.head.map(\.count).max() ?? 0
        return self.rows.map { row in
            zip(self.head, row).filter { !$1.isEmpty }.flatMap { name, cell in
                TopScreen.broken(cell, columns - width).enumerated().map { index, line in
                    let name = index == 0 ? name : ""
                    return name + String(repeating: " ", count: width + 2 - name.count) + line
                }
            }.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    private static func looksNumeric(_ cell: String) -> Bool {
        cell == "-" || cell.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E || $0 == 0x25 } && !cell.isEmpty
    }

    /// A share of 1 as a percentage, so that what is little is not shown as nothing, nor what is nearly all as all.
    static func percent(_ share: Double) -> String {
        let hundredths = (share * 10_000).rounded()
        guard hundredths > 0 || share == 0 else { return "0.01%" }
        guard hundredths < 10_000 || share >= 1 else { return "99.99%" }
        let whole = Int(hundredths)
        let rest = whole % 100
        return rest == 0 ? "\(whole / 100)%" : "\(whole / 100).\(rest < 10 ? "0" : "")\(rest)%"
    }
}
