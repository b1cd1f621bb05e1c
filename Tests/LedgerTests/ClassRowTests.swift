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
        try file.forget(migrations: ["other"])
        #expect(try file.classes(of: "other").isEmpty)
        #expect(try file.classes(of: "move").count == 2)
        file.close()
    }

    @Test("Kinds of requests come back the latest first; old ones are forgotten, and a plan's own with it")
    func kinds() throws {
        let folder = Folder()
        let (file, _) = try LedgerFile.open(path: folder.file)
        func row(_ template: String, last: UInt64, _ migration: String = "move") -> KindRow {
            KindRow(migration: migration, route: "api", template: template, last: last, answered: 3, compared: 1)
        }
        try file.putKinds([row("/a", last: 10), row("/b", last: 20), row("/a", last: 30, "other")], since: 0)
        var again = row("/a", last: 40)
        again.answered = 9
        try file.putKinds([again], since: 20)
        #expect(try file.kinds(of: "move") == [again, row("/b", last: 20)])
        try file.putKinds([], since: 30)
        #expect(try file.kinds(of: "move") == [again])
        try file.forget(migrations: ["move"])
        #expect(try file.kinds(of: "move").isEmpty)
        #expect(try file.kinds(of: "other").count == 1)
        file.close()
    }
}
