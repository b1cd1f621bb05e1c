import Ledger
import Testing

@Suite("Classes in the ledger") struct ClassRowTests {
    private static func row(_ number: String, _ migration: String = "move", position: UInt64 = 1) -> ClassRow {
        ClassRow(
            number: number, migration: migration, position: position, key: "{}", state: "open", seen: 3, confirmed: 2,
            cleared: 1, rechecked: 3, repeated: 0, first: 10, last: 20, accepted: nil, examples: ["{\"a\":1}", "{}"])
    }

    @Test("They come back in the order in which they were found, with their examples, and are written over")
    func written() throws {
        let folder = Folder()
        var first = Self.row("d-00000002", position: 1)
        do {
            let (file, _) = try LedgerFile.open(path: folder.file)
            try file.write([Self.row("d-00000001", position: 2), first, Self.row("d-00000001", "other")])
            first.seen = 9
            first.accepted = "agreed"
            first.examples = ["{\"b\":2}", String(repeating: "x", count: ClassRow.exampleLimit + 1)]
            try file.write([first])
            file.close()
        }
        let (file, _) = try LedgerFile.open(path: folder.file)
        first.examples.removeLast()
        #expect(try file.classes(of: "move") == [first, Self.row("d-00000001", position: 2)])
        try file.keepClasses(of: ["move"])
        #expect(try file.classes(of: "other").isEmpty)
        #expect(try file.classes(of: "move").count == 2)
        file.close()
    }
}
