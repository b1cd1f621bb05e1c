import Foundation
import Glibc
@testable import Reactor
import Synchronization
import Testing

/// Lines go to their output by a thread of their own: whatever the output does, whoever writes does not wait.
@Suite("Line writer") struct LineWriterTests {
    private static func folder() -> String {
        var template = Array("/tmp/line-writer-XXXXXX".utf8CString)
        mkdtemp(&template)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func lines(of path: String) -> [String] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    /// Events as they come, to be waited for.
    private final class Events: Sendable {
        private let all = Mutex<[LineWriter.Event]>([])
        func add(_ event: LineWriter.Event) { self.all.withLock { $0.append(event) } }
        var value: [LineWriter.Event] { self.all.withLock { $0 } }
    }

    private static func eventually(_ condition: () -> Bool) -> Bool {
        for _ in 0..<1_000 {
            if condition() { return true }
            usleep(10_000)
        }
        return condition()
    }

    @Test("A pipe that nobody reads holds no one up; what has no room is counted, and the reader learns of it")
    func fullPipe() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let writer = try LineWriter(.descriptor(ends[1]), named: "test", capacity: 100_000) {
            Array("\($0) dropped\n".utf8)
        }
        try writer.start()
        let line = Array((String(repeating: "x", count: 99) + "\n").utf8)
        let clock = ContinuousClock()
        let time = clock.measure { for _ in 0..<20_000 { writer.write(line) } }
        #expect(time < .seconds(5))
        // A pipe has 64 KiB, the writer 100,000 bytes twice at most: what waits and what is being written.
        #expect(writer.lost > 17_000 && writer.lost < 20_000)
        let lost = Int(writer.lost)
        let reader = Reactor.Thread.Read(ends[0])
        try reader.start()
        let suffix = " dropped"
        let told = Self.eventually {
            reader.lines.filter { $0.hasSuffix(suffix) }.compactMap { Int($0.dropLast(suffix.count)) }.reduce(0, +)
                == lost
        }
        #expect(told)
        writer.write(Array("after\n".utf8))
        #expect(Self.eventually { reader.lines.last == "after" })
        #expect(reader.lines.count { !$0.hasSuffix(suffix) } == 20_000 - lost + 1)
        writer.stop(milliseconds: 5_000)
        close(ends[1])
    }

    @Test("A file that is renamed is begun anew, and no line is lost")
    func reopening() throws {
        let folder = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/log"
        let events = Events()
        let writer = try LineWriter(.file(path: path), named: "test", capacity: 1 << 20, changed: events.add)
        try writer.start()
        for round in 0..<5 {
            for index in 0..<100 { writer.write(Array("\(round * 100 + index)\n".utf8)) }
            rename(path, path + ".\(round)")
            writer.reopen()
            #expect(Self.eventually { events.value.count == round + 1 })
            writer.write(Array("\(1_000 + round)\n".utf8))
            // In the new file, not in the one that is no longer named so.
            #expect(Self.eventually { Self.lines(of: path).contains("\(1_000 + round)") })
        }
        writer.stop(milliseconds: 5_000)
        let all = ((0..<5).map { path + ".\($0)" } + [path]).flatMap(Self.lines)
        #expect(all.compactMap(Int.init).sorted() == Array(0..<500) + Array(1_000..<1_005))
        #expect(writer.lost == 0)
    }

    @Test("A file that cannot be opened anew is written on")
    func failedReopening() throws {
        let folder = Self.folder()
        let events = Events()
        let writer = try LineWriter(.file(path: folder + "/log"), named: "test", capacity: 1 << 20, changed: events.add)
        try writer.start()
        rename(folder, folder + "-moved")
        defer { try? FileManager.default.removeItem(atPath: folder + "-moved") }
        writer.reopen()
        #expect(
            Self.eventually {
                events.value == [.notReopened(SystemError(operation: "open \(folder)/log", code: ENOENT))]
            })
        writer.write(Array("still\n".utf8))
        #expect(Self.eventually { Self.lines(of: folder + "-moved/log") == ["still"] })
        writer.stop(milliseconds: 5_000)
    }

    @Test("A named pipe without reader is not waited for; its lines come once there is one")
    func namedPipe() throws {
        let folder = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/pipe"
        try #require(mkfifo(path, 0o600) == 0)
        let events = Events()
        let writer = try LineWriter(.file(path: path), named: "test", capacity: 1 << 20, changed: events.add)
        try writer.start()
        writer.write(Array("first\n".utf8))
        #expect(Self.eventually { events.value.count == 1 })
        #expect(events.value == [.waiting(SystemError(operation: "open \(path)", code: ENXIO))])
        let reader = Reactor.Thread.Read(open(path, O_RDONLY | O_NONBLOCK))
        try reader.start()
        #expect(Self.eventually { reader.lines == ["first"] })
        #expect(Self.eventually { events.value.last == .working })
        writer.stop(milliseconds: 5_000)
        #expect(writer.lost == 0)
    }

    @Test("What waits for a reader does not keep the end waiting")
    func stopping() throws {
        let folder = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try #require(mkfifo(folder + "/pipe", 0o600) == 0)
        let writer = try LineWriter(.file(path: folder + "/pipe"), named: "test", capacity: 1 << 20)
        try writer.start()
        writer.write(Array("first\n".utf8))
        let time = ContinuousClock().measure { writer.stop(milliseconds: 5_000) }
        #expect(time < .seconds(3))
    }

    @Test("A full disk costs lines, which are counted, and is told once")
    func fullDisk() throws {
        let events = Events()
        let writer = try LineWriter(.file(path: "/dev/full"), named: "test", capacity: 1 << 20, changed: events.add)
        try writer.start()
        for count in 1...5 {
            writer.write(Array("line\n".utf8))
            #expect(Self.eventually { writer.lost == count })
        }
        writer.stop(milliseconds: 5_000)
        #expect(events.value == [.failing(SystemError(operation: "write", code: ENOSPC))])
    }

    @Test("A file that can never be opened is an error at once")
    func missingFolder() {
        #expect(throws: SystemError(operation: "open /nonexistent/log", code: ENOENT)) {
            try LineWriter(.file(path: "/nonexistent/log"), named: "test", capacity: 1 << 20)
        }
    }
}

extension Reactor.Thread {
    /// Reads lines from a descriptor until its end.
    fileprivate final class Read: Sendable {
        private let descriptor: Int32
        private let bytes = Mutex<[UInt8]>([])

        init(_ descriptor: Int32) { self.descriptor = descriptor }

        var lines: [String] {
            self.bytes.withLock { String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init) }
        }

        func start() throws {
            try Reactor.Thread.start(named: "test-read") {
                var chunk = [UInt8](repeating: 0, count: 65_536)
                while true {
                    var ready = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
                    guard poll(&ready, 1, 20_000) > 0 else { return }
                    let count = read(self.descriptor, &chunk, chunk.count)
                    guard count > 0 else { return }
                    self.bytes.withLock { $0.append(contentsOf: chunk[..<count]) }
                }
            }
        }
    }
}
