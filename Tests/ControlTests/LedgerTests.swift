@testable import Control
import Glibc
@testable import Ledger
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

@Suite struct LedgerTests {
    @Test("Live weights, administrative states, generations and the journal outlive the process")
    func restart() async throws {
        let first = try await LedgerBench().start()
        try await first.setWeights(50, 50, reason: "half")
        try await first.set(.drain, 3301)
        try await first.set(.maintenance, 3302)
        try await first.set(.ready, 3302)
        let second = try await first.restarted()
        #expect(await second.weights() == [50, 50])
        #expect(second.administrative(3301) == .drain && second.administrative(3302) == .ready)
        #expect(await second.publisher.current.state.fileWeights(of: "api") == ["core": 90, "gateway": 10])
        #expect(await second.publisher.current.table.generation == 3)
        let journal = await second.journal()
        #expect(journal.map(\.sequence) == Array(1...7))
        #expect(
            journal.map(\.what) == [
                .load, .weights, .administrative, .administrative, .administrative, .restored, .load,
            ])
        #expect(journal.allSatisfy { $0.state == .applied && $0.evidence == nil })
        let change = journal[1]
        #expect(change.who == "127.0.0.1" && change.reason == "half" && change.detail == "core 90→50, gateway 10→50")
        #expect(change.before?.weights == ["core": 90, "gateway": 10] && change.after?.weights?["gateway"] == 50)
        #expect(change.generationBefore == 1 && change.generationAfter == 2)
        // The file has the last word, as within one process.
        let third = try await second.restarted(Sample.configuration(core: 70, gateway: 30))
        #expect(await third.weights() == [70, 30])
        #expect(third.administrative(3301) == .drain)
        let fourth = try await third.restarted()
        #expect(await fourth.weights() == [90, 10])
    }

    @Test("Killed at any step, a change is wholly there or not at all, and journal and live state agree")
    func kill() async throws {
        let bench = try await LedgerBench().start()
        let copies = Mutex<[(step: Int, weights: [UInt32], folder: String)]>([])
        @Sendable func keep(_ step: Int, _ weights: [UInt32]) {
            guard let folder = try? bench.leftByKill() else { return }
            copies.withLock { $0.append((step, weights, folder)) }
        }
        var weights: [UInt32] = [90, 10]
        for step in 1...20 {
            let next = [UInt32(step), UInt32(100 - step)]
            keep(0, weights)
            bench.dataPlane.whilePublishing.withLock { $0 = { keep(1, next) } }
            try await bench.setWeights(next[0], next[1])
            keep(2, next)
            weights = next
        }
        let left = copies.withLock { $0 }
        #expect(left.count == 60)
        for (step, weights, folder) in left {
            defer { BalancerProcess.removeFolder(folder) }
            let again = try await LedgerBench(folder: folder).start()
            // Written before it is published: from there on it is done.
            #expect(await again.weights() == weights)
            let last = await again.journal().last { $0.what == .weights }
            #expect(
                last.map { $0.after?.weights == ["core": weights[0], "gateway": weights[1]] } ?? (weights == [90, 10]))
            #expect(last?.state ?? .applied == .applied)
            #expect(last?.evidence == (step == 1 ? "at-start" : nil))
        }
    }

    @Test("A ledger that cannot be opened never keeps a process from starting; it is taken on when it can be")
    func late() async throws {
        let first = try await LedgerBench().start()
        try await first.setWeights(50, 50)
        try await first.set(.drain, 3301)
        await first.store.close()
        first.hide()
        let second = try await LedgerBench(folder: first.folder).start()
        #expect(await second.weights() == [90, 10])
        let standing = try #require(await second.publisher.current.ledger)
        #expect(standing.trouble != nil && standing.errors > 0)
        await #expect(throws: ChangeRefused.self) { try await second.setWeights(0, 1) }
        #expect(await second.weights() == [90, 10])
        first.show()
        await second.publisher.mendLedger()
        #expect(await second.publisher.current.ledger?.trouble == nil)
        #expect(await second.weights() == [50, 50])
        #expect(second.administrative(3301) == .drain)
        // One count for both processes, and nothing is missing.
        let journal = await second.journal()
        #expect(journal.map(\.sequence) == Array(1...UInt64(journal.count)))
        #expect(journal.contains { $0.what == .weights && $0.state == .failed })
        #expect(journal.last?.detail == "it can be written again")
    }

    @Test("A disk that was slow for a while takes what it is given afterwards, under its own numbers")
    func slow() async throws {
        // Long enough for a disk that is merely busy, and twice waited for in full below.
        let bench = try LedgerBench(patience: 1_000)
        try await bench.start()
        try await bench.setWeights(50, 50)
        await bench.whileDiskHangs {
            let refused = await #expect(throws: ChangeRefused.self) { try await bench.setWeights(40, 60) }
            guard case .journal(let reason)? = refused else { return #expect(Bool(false)) }
            #expect(reason.contains("may be in force at the next start"), "it may yet be written: \(reason)")
        }
        // The news that it can be written again is given up, and lands all the same.
        await bench.whileDiskHangs { await bench.publisher.mendLedger() }
        #expect(await bench.publisher.current.ledger?.trouble != nil)
        await bench.publisher.mendLedger()
        #expect(await bench.publisher.current.ledger?.trouble == nil)
        try await bench.setWeights(30, 70)
        let journal = await bench.journal()
        #expect(journal.map(\.sequence) == Array(1...UInt64(journal.count)))
        #expect(journal.filter { $0.what == .weights }.map(\.state) == [.applied, .failed, .applied])
        #expect(await bench.publisher.entries.map(\.sequence) == journal.map(\.sequence))
        #expect(try await bench.restarted().weights() == [30, 70])
    }

    @Test("A ledger that opens late brings back what was not changed since, and leaves what was")
    func lateMerge() async throws {
        let first = try await LedgerBench().start()
        try await first.setWeights(50, 50)
        try await first.set(.drain, 3301)
        try await first.set(.drain, 3302)
        await first.store.close()
        first.hide()
        let second = try await LedgerBench(folder: first.folder).start()
        // Taken out and put back: it is as it was at the start, but because somebody wanted it.
        try await second.set(.drain, 3301)
        try await second.set(.ready, 3301, force: true)
        try await second.set(.maintenance, 3300)
        first.show()
        await second.publisher.mendLedger()
        #expect(await second.weights() == [50, 50])
        #expect(second.administrative(3301) == .ready && second.administrative(3302) == .drain)
        #expect(second.administrative(3300, "core") == .maintenance)
        #expect(await second.journal().contains { $0.what == .restored })
        let third = try await second.restarted()
        #expect(await third.weights() == [50, 50])
        #expect(third.administrative(3301) == .ready && third.administrative(3302) == .drain)
        #expect(third.administrative(3300, "core") == .maintenance)
    }

    @Test("A successor whose ledger opens late keeps what it was handed over")
    func lateSuccessor() async throws {
        let old = try await LedgerBench().start()
        try await old.setWeights(50, 50)
        try await old.set(.drain, 3301)
        try await old.setWeights(90, 10)
        try await old.set(.ready, 3301)
        let live = try await old.publisher.beginHandOver()
        #expect(live.weights.isEmpty && live.administrative.isEmpty)
        // What the file keeps is not what was handed over.
        let other = try await LedgerBench(folder: old.folder).start()
        try await other.setWeights(10, 90)
        let successor = try LedgerBench(folder: old.folder)
        await successor.publisher.inherit(live, origin: ChangeOrigin(.takeover))
        await other.store.close()
        old.hide()
        await successor.publisher.openLedger(isSuccessor: true)
        _ = try await successor.publisher.load(Sample.configuration(), origin: ChangeOrigin(.start))
        old.show()
        await successor.publisher.mendLedger()
        #expect(await successor.publisher.current.ledger?.trouble == nil)
        #expect(await successor.weights() == [90, 10])
        #expect(try await successor.restarted().weights() == [90, 10])
    }

    @Test("On a full disk rises are refused and retreats work; what was not written is written when it can be")
    func full() async throws {
        let bench = try await LedgerBench().start()
        try await bench.setWeights(50, 50)
        try await bench.set(.drain, 3302)
        try await bench.limit(pages: 0)
        await bench.fill()
        let refused = await #expect(throws: ChangeRefused.self) { try await bench.setWeights(40, 60) }
        guard case .journal(let reason)? = refused else {
            return #expect(Bool(false), "\(String(describing: refused))")
        }
        #expect(reason.contains("full"))
        await #expect(throws: ChangeRefused.self) { try await bench.set(.ready, 3302) }
        #expect(await bench.weights() == [50, 50])
        let standing = try #require(await bench.publisher.current.ledger)
        let count = await bench.publisher.entries.count
        for _ in 0..<5 { await bench.publisher.mendLedger() }
        // Trying leaves nothing behind but the count of failures.
        #expect(await bench.publisher.current.ledger?.unwritten == standing.unwritten)
        #expect(await bench.publisher.entries.count == count)
        #expect(await bench.publisher.current.ledger?.errors ?? 0 >= standing.errors + 5)
        // Home, out of traffic, and what the operator means in spite of it.
        let retreat = try await bench.setWeights(80, 20)
        #expect(retreat.warnings.contains { $0.contains("lost if this process ends") })
        try await bench.set(.drain, 3301)
        try await bench.set(.ready, 3302, force: true)
        #expect(await bench.weights() == [80, 20] && bench.administrative(3301) == .drain)
        // A load is neither: it goes on.
        _ = try await bench.publisher.load(
            Sample.configuration(failover: false), origin: ChangeOrigin(.file, who: "routes.json"))
        #expect(await bench.weights() == [80, 20])
        // Killed now, the process after it finds what was written last.
        let folder = try bench.leftByKill()
        defer { BalancerProcess.removeFolder(folder) }
        #expect(try await LedgerBench(folder: folder).start().weights() == [50, 50])

        try await bench.limit(pages: 1_000_000)
        await bench.publisher.mendLedger()
        #expect(await bench.publisher.current.ledger?.trouble == nil)
        try await bench.setWeights(40, 60)
        let again = try await bench.restarted()
        #expect(await again.weights() == [40, 60])
        #expect(again.administrative(3301) == .drain && again.administrative(3302) == .ready)
        let journal = await again.journal()
        #expect(journal.map(\.sequence) == Array(1...UInt64(journal.count)))
        #expect(journal.filter { $0.state == .failed }.map(\.what) == [.weights, .administrative])
    }

    @Test("A ledger damaged in use is moved aside, and the live state goes into the new one")
    func damagedInUse() async throws {
        let bench = try await LedgerBench().start()
        try await bench.setWeights(50, 50)
        // An index that does not tell what the table has: no quick look finds it, and the next change of the route does.
        try await bench.store.read { file throws(LedgerFailure) in
            try file.use { connection throws(LedgerFailure) in
                try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                try connection.execute("PRAGMA writable_schema = ON")
                try connection.execute("UPDATE sqlite_schema SET rootpage = 999999 WHERE name = 'live_change'")
                try connection.execute("PRAGMA writable_schema = RESET")
            }
        }
        _ = try? await bench.setWeights(60, 40)
        #expect(await bench.publisher.current.ledger?.trouble != nil && !bench.store.isOpen)
        // As often as it takes to believe it.
        for _ in 0..<3 { await bench.publisher.mendLedger() }
        #expect(await bench.publisher.current.ledger?.trouble == nil)
        let again = try await bench.restarted()
        #expect(await again.weights() == [60, 40])
        #expect(
            await again.journal().contains { $0.detail.contains("it was damaged, was moved to \(bench.file).damaged") })
    }

    @Test("A predecessor gives the file up with what it hands over, and takes it back if the successor fails")
    func takeover() async throws {
        let old = try await LedgerBench().start()
        try await old.setWeights(50, 50)
        let live = try await old.publisher.beginHandOver()
        let successor = try LedgerBench(folder: old.folder)
        await successor.publisher.inherit(live, origin: ChangeOrigin(.takeover))
        await successor.publisher.openLedger(isSuccessor: true)
        _ = try await successor.publisher.load(Sample.configuration(), origin: ChangeOrigin(.start))
        #expect(await successor.weights() == [50, 50])
        try await successor.setWeights(30, 70)
        #expect(await successor.publisher.current.ledger?.trouble == nil)
        await successor.store.close()
        // It went away before it served: its change was never answered to anybody through the old process.
        await old.publisher.abandonHandOver()
        #expect(await old.weights() == [50, 50])
        try await old.setWeights(40, 60)
        let again = try await old.restarted()
        #expect(await again.weights() == [40, 60])
        let journal = await again.journal()
        #expect(journal.map(\.sequence) == Array(1...UInt64(journal.count)))
        #expect(journal.count { $0.what == .takeover } == 2 && journal.count { $0.what == .weights } == 3)
    }

    @Test("Pages of the journal go backwards, by subject too")
    func pages() async throws {
        let bench = try await LedgerBench().start()
        for step in 1...10 { try await bench.setWeights(UInt32(step), 1) }
        try await bench.set(.drain, 3301)
        let page = await bench.publisher.page(limit: 3)
        #expect(page.entries.map(\.sequence) == [10, 11, 12] && page.hasMore)
        let older = await bench.publisher.page(before: 10, subject: "api", limit: 100)
        #expect(older.entries.map(\.sequence) == Array(2...9) && !older.hasMore)
        #expect(await bench.publisher.page(subject: "127.0.0.1:3301", limit: 1).entries.map(\.sequence) == [12])
    }

    @Test("Without a ledger nothing changes but that the journal can be undone from memory")
    func without() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        _ = try await bench.setWeights(["core": 1, "gateway": 1])
        #expect(await bench.publisher.current.ledger == nil)
        #expect(await bench.publisher.page(limit: 10).entries.map(\.sequence) == [1, 2])
        let outcome = try await bench.publisher.undo(
            UndoRequest(.change(2), reason: "back"), origin: ChangeOrigin(.api))
        #expect(outcome.changed && outcome.generation == 3)
        #expect(await bench.weights == ["core": 90, "gateway": 10])
    }
}

extension LedgerBench {
    /// The file may have so many pages more than it has. What fits into the log does not count: it is emptied first.
    func limit(pages: Int) async throws {
        try await self.store.read { file throws(LedgerFailure) in
            try file.use { connection throws(LedgerFailure) in
                let present = try connection.integer("PRAGMA page_count") ?? 0
                _ = try connection.integer("PRAGMA max_page_count = \(Int(present) + pages)")
            }
        }
    }

    /// Notes what the file changes until there is no room for another row.
    func fill() async {
        for _ in 0..<2_000 {
            await self.publisher.noteRejected(
                [ControlProblem(path: "$", message: String(repeating: "x", count: 400))], origin: ChangeOrigin(.file))
            await self.publisher.mendLedger()
            if await self.publisher.current.ledger?.trouble != nil { return }
        }
    }
}
