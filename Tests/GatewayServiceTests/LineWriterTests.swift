import Foundation
import Logging
import Synchronization
import Testing

@testable import GatewayService

/// What becomes of log lines when nobody reads them.
@Suite("Log lines")
struct LineWriterTests {
    /// Far above what the bound allows, as the machine may be busy; far below for ever.
    private let slack = Duration.seconds(10)

    private func writer(_ pipe: Pipe) -> LineWriter {
        LineWriter(pipe.fileHandleForWriting.fileDescriptor) { Array("dropped \($0)\n".utf8) }
    }

    @Test func linesComeInOrderAndTheLastOnesAreNotLost() throws {
        let pipe = Pipe()
        let writer = writer(pipe)
        let lines = (0..<1000).map { "line \($0)" }
        for line in lines { writer.write(Array((line + "\n").utf8)) }
        writer.close(within: slack)
        try pipe.fileHandleForWriting.close()
        let text = try #require(try pipe.fileHandleForReading.readToEnd())
        #expect(String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init) == lines)
    }

    /// Ten megabytes into a pipe that holds a sixteenth of one: nobody waits, and what is missing is counted.
    @Test func aReaderThatDoesNotReadIsNotWaitedFor() async throws {
        let pipe = Pipe()
        let writer = writer(pipe)
        let line = Array((String(repeating: "x", count: 1023) + "\n").utf8)
        let start = ContinuousClock.now
        for _ in 0..<10_000 { writer.write(line) }
        #expect(ContinuousClock.now - start < slack)
        // Now somebody reads.
        let reader = Task.detached { try pipe.fileHandleForReading.readToEnd() }
        writer.close(within: .seconds(60))
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: try #require(try await reader.value), as: UTF8.self)
        var written = 0
        var dropped = 0
        for line in text.split(separator: "\n") {
            if line.hasPrefix("dropped ") {
                dropped += Int(line.dropFirst("dropped ".count)) ?? 0
            } else {
                #expect(line.utf8.count == 1023)
                written += 1
            }
        }
        #expect(dropped > 0)
        #expect(written + dropped == 10_000)
    }

    @Test func theEndIsNotWaitedForWithoutBound() throws {
        let pipe = Pipe()
        let writer = writer(pipe)
        for _ in 0..<100 { writer.write([UInt8](repeating: UInt8(ascii: "x"), count: 10_000) + Array("\n".utf8)) }
        let start = ContinuousClock.now
        writer.close()
        writer.close()
        #expect(ContinuousClock.now - start < slack)
        try pipe.fileHandleForReading.close()
    }

    @Test func aReaderThatHasGoneAwayIsNoReasonToEnd() throws {
        let pipe = Pipe()
        let writer = writer(pipe)
        try pipe.fileHandleForReading.close()
        for _ in 0..<100 { writer.write(Array("x\n".utf8)) }
        writer.close(within: slack)
        let closed = LineWriter(-1) { _ in [] }
        closed.write(Array("x\n".utf8))
        closed.close(within: slack)
    }

    @Test func theOperationalLogIsJSONLines() throws {
        let pipe = Pipe()
        let output = JSONLogHandler.output(to: pipe.fileHandleForWriting.fileDescriptor)
        var logger = Logger(label: "gateway") { JSONLogHandler(label: $0, output: output) }
        logger.logLevel = .notice
        logger.info("too quiet")
        logger.notice("a \"b\"", metadata: ["k": "v"])
        output.close(within: slack)
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: try #require(try pipe.fileHandleForReading.readToEnd()), as: UTF8.self)
        #expect(text.hasSuffix(#","level":"notice","logger":"gateway","message":"a \"b\"","k":"v"}"# + "\n"))
        #expect(text.count { $0 == "\n" } == 1)
    }
}

@Suite("Log of failures")
struct FailureLogTests {
    /// Keeps what is logged.
    private final class Lines: Sendable {
        let all = Mutex<[[String: String]]>([])
        let arrivals: AsyncStream<Void>
        private let arrival: AsyncStream<Void>.Continuation

        init() { (arrivals, arrival) = AsyncStream<Void>.makeStream() }

        func add(_ line: [String: String]) {
            all.withLock { $0.append(line) }
            arrival.yield()
        }
    }

    private struct Handler: LogHandler {
        let lines: Lines
        var logLevel = Logger.Level.notice
        var metadata: Logger.Metadata = [:]

        init(_ lines: Lines) { self.lines = lines }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            var line = (event.metadata ?? [:]).mapValues { "\($0)" }
            line["level"] = event.level.rawValue
            lines.add(line)
        }
    }

    @Test func oneLinePerRouteAndKindAndHowManyAreLeftOut() async throws {
        let lines = Lines()
        let log = FailureLog(Logger(label: "t") { _ in Handler(lines) }, interval: .seconds(1))
        for _ in 0..<500 {
            log.record(ResourceError.deadline, route: "/a")
            log.record(ResourceError.missing("x"), route: "/a")
            log.record(ResourceError.deadline, route: "/b")
            // A client's mistake; not for this level.
            log.record(ResourceError.notANumber("x"), route: "/a")
        }
        var counts: [String: Int] = [:]
        var written = 0
        // A busy machine may take more than one interval for all this; no line is lost by that.
        for await _ in lines.arrivals {
            let line = lines.all.withLock { $0[written] }
            let key = "\(line["route"] ?? "") \(line["error"] ?? "")"
            counts[key, default: 0] += 1 + (line["omitted"].flatMap { Int($0) } ?? 0)
            #expect(line["level"] == "error")
            written += 1
            if counts.values.reduce(0, +) >= 1500 { break }
        }
        let expected = [
            "/a no answer within the deadline": 500, "/a missing: x": 500, "/b no answer within the deadline": 500,
        ]
        #expect(counts == expected)
        #expect(written < 20)
    }

    @Test func whatComesLaterIsWrittenAgain() async throws {
        let lines = Lines()
        let log = FailureLog(Logger(label: "t") { _ in Handler(lines) }, interval: .milliseconds(1))
        var arrivals = lines.arrivals.makeAsyncIterator()
        log.record(ResourceError.deadline, route: "/a")
        await arrivals.next()
        // Whether it falls into the interval or behind it: it is written, alone.
        log.record(ResourceError.deadline, route: "/a")
        await arrivals.next()
        #expect(lines.all.withLock { $0.map { $0["omitted"] } } == [nil, nil])
    }
}
