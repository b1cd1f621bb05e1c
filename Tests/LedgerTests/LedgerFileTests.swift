import Glibc
@testable import Ledger
import Testing

/// A folder of its own, gone with the last reference.
final class Folder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/ledger-XXXXXX".utf8CString)
        self.path = mkdtemp(&template).map { String(cString: $0) } ?? ""
        precondition(!self.path.isEmpty)
    }

    deinit { Self.remove(self.path) }

    var file: String { "\(self.path)/deep/state/ledger.sqlite" }

    private static func remove(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != ".", name != ".." { Self.remove("\(path)/\(name)") }
            }
            closedir(folder)
        }
        Glibc.remove(path)
    }

    static func mode(_ path: String) -> UInt32 {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Writes bytes into a file at a place; 0 begins it anew.
    static func write(_ bytes: [UInt8], to path: String, at offset: Int = 0) {
        let descriptor = Glibc.open(path, offset == 0 ? O_WRONLY | O_CREAT | O_TRUNC : O_WRONLY, 0o644)
        _ = pwrite(descriptor, bytes, bytes.count, offset)
        close(descriptor)
    }

    static func read(_ path: String) -> [UInt8] {
        let descriptor = Glibc.open(path, O_RDONLY)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
        }
    }
}

extension ChangeRow {
    static func sample(
        _ sequence: UInt64, subject: String = "api", generation: UInt64? = nil, state: State = .intended
    ) -> ChangeRow {
        ChangeRow(
            sequence: sequence, id: "id-\(sequence)", at: 1_700_000_000_000 + sequence, replica: "r", door: "api",
            who: "10.0.0.1", what: "weights", subject: subject, detail: "core 90→\(sequence)", before: "{\"b\":1}",
            after: "{\"a\":\"ä→\"}", reason: "why", generationBefore: (generation ?? sequence) - 1,
            generationAfter: generation ?? sequence, state: state)
    }
}

@Suite struct LedgerFileTests {
    let folder = Folder()

    @Test("A new file has mode 0600 and its folder 0700, and is empty")
    func new() throws {
        let (file, contents) = try LedgerFile.open(path: self.folder.file)
        #expect(Folder.mode(self.folder.file) == 0o600)
        #expect(Folder.mode("\(self.folder.path)/deep") == 0o700)
        #expect(Folder.mode("\(self.folder.path)/deep/state") == 0o700)
        #expect(contents.live.isEmpty && contents.lastSequence == 0 && contents.damaged == nil)
        #expect(try file.page(before: .max, subject: nil, limit: 10).isEmpty)
        try file.write([.sample(1)], live: .edit(set: [], remove: []))
        #expect(Folder.mode("\(self.folder.file)-wal") == 0o600)
    }

    @Test("What was written is there after the process is gone, and what was intended is applied")
    func survives() throws {
        do {
            let (file, _) = try LedgerFile.open(path: self.folder.file)
            try file.write(
                [.sample(1)], live: .edit(set: [LiveRow(key: "route/api", value: "1", change: "id-1")], remove: []))
            try file.markApplied(from: 1, through: 1)
            try file.write(
                [.sample(2)], live: .edit(set: [LiveRow(key: "route/b", value: "2", change: "id-2")], remove: []))
        }
        let (file, contents) = try LedgerFile.open(path: self.folder.file)
        #expect(contents.live.map(\.key) == ["route/api", "route/b"] && contents.lastSequence == 2)
        #expect(contents.lastGeneration == 2 && contents.unfinished == 1)
        let rows = try file.page(before: .max, subject: nil, limit: 10)
        #expect(rows.map(\.state) == [.applied, .applied] && rows.map(\.evidence) == ["at-start", nil])
        var expected = ChangeRow.sample(1)
        expected.state = .applied
        #expect(rows.last == expected)
    }

    @Test("Live state is set, taken away and replaced; an unchanged value keeps the change that set it")
    func live() throws {
        func live(_ write: LiveWrite, _ sequence: UInt64) throws -> [LiveRow] {
            do {
                let (file, _) = try LedgerFile.open(path: self.folder.file)
                try file.write([.sample(sequence)], live: write)
            }
            return try LedgerFile.open(path: self.folder.file).contents.live
        }
        let (a1, b1) = (LiveRow(key: "a", value: "1", change: "id-1"), LiveRow(key: "b", value: "1", change: "id-1"))
        #expect(try live(.edit(set: [a1, b1], remove: []), 1) == [a1, b1])
        let b2 = LiveRow(key: "b", value: "2", change: "id-2")
        #expect(try live(.edit(set: [b2], remove: ["a", "nothing"]), 2) == [b2])
        let c3 = LiveRow(key: "c", value: "3", change: "id-3")
        #expect(try live(.replace([LiveRow(key: "b", value: "2", change: "id-3"), c3]), 3) == [b2, c3])
        #expect(try live(.replace([]), 4) == [])
    }

    @Test("A write that fails leaves nothing of itself, neither row nor live state")
    func whole() throws {
        let (file, _) = try LedgerFile.open(path: self.folder.file)
        try file.write([.sample(1)], live: .edit(set: [], remove: []))
        // The live state refers to a change that is not there.
        #expect(throws: LedgerFailure.self) {
            try file.write(
                [.sample(2)], live: .edit(set: [LiveRow(key: "a", value: "", change: "nobody")], remove: []))
        }
        #expect(try file.page(before: .max, subject: nil, limit: 10).map(\.sequence) == [1])
        try file.write([.sample(2)], live: .edit(set: [], remove: []))
    }

    @Test("A full disk is told, and written to again once there is room")
    func full() throws {
        let (file, _) = try LedgerFile.open(path: self.folder.file)
        let long = String(repeating: "x", count: 4_000)
        try file.use { connection throws(LedgerFailure) in
            let pages = try connection.integer("PRAGMA page_count") ?? 0
            try connection.execute("PRAGMA max_page_count = \(pages)")
        }
        var row = ChangeRow.sample(1)
        row.reason = long
        let failure = #expect(throws: LedgerFailure.self) { try file.write([row], live: .replace([])) }
        #expect(failure?.cause == .unavailable && failure?.reason.contains("full") == true)
        try file.use { connection throws(LedgerFailure) in try connection.execute("PRAGMA max_page_count = 100000") }
        try file.write([row], live: .replace([]))
        #expect(try file.row(1)?.reason == long)
    }

    @Test("A damaged file is moved aside and a new one begun, the first nine of them kept apart")
    func damaged() throws {
        try LedgerFile.open(path: self.folder.file).file.write([.sample(1)], live: .replace([]))
        for (index, bytes) in [
            Array("no database at all, whatever it is called".utf8), [UInt8](repeating: 7, count: 9_000),
        ]
        .enumerated() {
            Folder.write(bytes, to: self.folder.file)
            let (file, contents) = try LedgerFile.open(path: self.folder.file)
            let name = "\(self.folder.file).damaged\(index == 0 ? "" : "-2")"
            #expect(contents.damaged == name && Folder.read(name) == bytes)
            #expect(contents.lastSequence == 0)
            try file.write([.sample(1)], live: .replace([]))
        }
    }

    @Test("Damage in the middle of a file is found at the start")
    func damagedPage() throws {
        do {
            let (file, _) = try LedgerFile.open(path: self.folder.file)
            for sequence in 1...300 { try file.write([.sample(UInt64(sequence))], live: .replace([])) }
        }
        Folder.write([UInt8](repeating: 0xFF, count: 4_096), to: self.folder.file, at: 4 * 4_096)
        #expect(try LedgerFile.open(path: self.folder.file).contents.damaged != nil)
    }

    @Test(
        "A file from the future, another program's, or one that is no file is left alone",
        arguments: ["PRAGMA user_version = 2", "PRAGMA application_id = 1"])
    func foreign(_ sql: String) throws {
        do {
            let (file, _) = try LedgerFile.open(path: self.folder.file)
            try file.write([.sample(1)], live: .replace([]))
            try file.use { connection throws(LedgerFailure) in try connection.execute(sql) }
        }
        let bytes = Folder.read(self.folder.file)
        let failure = #expect(throws: LedgerFailure.self) { try LedgerFile.open(path: self.folder.file) }
        #expect(failure?.cause == .foreign)
        #expect(Folder.read(self.folder.file) == bytes)
        #expect(!Folder.exists("\(self.folder.file).damaged"))
        let place = #expect(throws: LedgerFailure.self) { try LedgerFile.open(path: "\(self.folder.path)/deep") }
        #expect(place.map { $0.cause != .damaged } == true)
    }

    @Test("A folder that cannot be made is a failure that may pass")
    func unreachable() {
        let failure = #expect(throws: LedgerFailure.self) { try LedgerFile.open(path: "/proc/nowhere/ledger.sqlite") }
        #expect(failure?.cause == .unavailable)
    }

    @Test("Pages go backwards, by subject too; a repeated row changes its state only")
    func pages() throws {
        let (file, _) = try LedgerFile.open(path: self.folder.file)
        for sequence in 1...10 {
            try file.write(
                [.sample(UInt64(sequence), subject: sequence.isMultiple(of: 2) ? "even" : "odd")], live: .replace([]))
        }
        #expect(try file.page(before: .max, subject: nil, limit: 3).map(\.sequence) == [10, 9, 8])
        #expect(try file.page(before: 8, subject: "even", limit: 2).map(\.sequence) == [6, 4])
        #expect(try file.page(before: 1, subject: nil, limit: 2).isEmpty)
        try file.write([.sample(4, subject: "other", state: .failed)], live: .replace([]))
        #expect(try file.row(4).map { [$0.subject, $0.state.rawValue] } == ["even", "failed"])
        // The first of each subject: what stood before it is where the subject stood.
        #expect(try file.firstChanges(afterGeneration: 7).map(\.sequence) == [8, 9])
        #expect(try file.changes(of: "even", after: 2).map(\.sequence) == [6, 8, 10])
        #expect(try file.firstGeneration() == 0)
    }

    @Test("Only so many rows are kept, and those that set what is live")
    func pruning() throws {
        let (file, _) = try LedgerFile.open(path: self.folder.file)
        try file.write(
            [.sample(1)], live: .edit(set: [LiveRow(key: "a", value: "", change: "id-1")], remove: []))
        try file.write([.sample(2)], live: .edit(set: [], remove: []))
        let last = LedgerFile.rowLimit + LedgerFile.pruneInterval - 1
        try file.write([.sample(last)], live: .edit(set: [], remove: []))
        #expect(try file.page(before: .max, subject: nil, limit: 10).map(\.sequence) == [last, 1])
        // Row 2 is gone, so what was in force before it cannot be told, though row 1 is still there.
        #expect(try file.firstGeneration() == 2)
        // A clock that leaps ahead makes nothing old at once; rows that stay behind it do.
        var late = ChangeRow.sample(last + LedgerFile.pruneInterval)
        late.at += 2 * LedgerFile.ageLimit
        try file.write([late], live: .edit(set: [], remove: []))
        #expect(try file.page(before: .max, subject: nil, limit: 10).map(\.sequence) == [late.sequence, last, 1])
        var later = ChangeRow.sample(late.sequence + LedgerFile.pruneInterval)
        later.at = late.at
        try file.write([later], live: .edit(set: [], remove: []))
        #expect(
            try file.page(before: .max, subject: nil, limit: 10).map(\.sequence) == [later.sequence, late.sequence, 1])
    }
}
