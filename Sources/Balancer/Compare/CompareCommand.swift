import ArgumentParser
import AsyncHTTPClient
import Comparison
import Control
import JSONText
import Migration
import NIOCore

/// Compares two servers before anything is moved. Needs no running balancer.
struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Asks two servers the same and tells how their answers differ.",
        discussion: """
            OLD and NEW are http://HOST:PORT or HOST:PORT. Where answers differ OLD is asked again, so that what differs by \
            itself (a time, a random number) or moved meanwhile is told from what NEW does otherwise. GET and HEAD only, \
            unless --unsafe.

            Exit status: 0 the sides are alike, 1 they differ, 2 one of them does not answer, 64 wrong usage.
            """)

    @Argument(help: "The server that is right.")
    var old: String

    @Argument(help: "The server that shall answer the same.")
    var new: String

    @Option(
        help: ArgumentHelp(
            "What to ask: a path a line, METHOD PATH, or our access log. - is standard input.", valueName: "file"))
    var paths: String

    @Option(
        help: ArgumentHelp("A JSON path that does not count, such as $..updatedAt; may be repeated.", valueName: "path")
    )
    var ignore: [String] = []

    @Option(
        help: ArgumentHelp(
            "A JSON path of a list without order, or PATH=KEY where elements belong together by a member; may be repeated.",
            valueName: "path"))
    var unordered: [String] = []

    @Option(
        help: ArgumentHelp(
            "A field to compare, instead of content-type and location; may be repeated.", valueName: "name"))
    var header: [String] = []

    @Option(help: ArgumentHelp("Numbers may differ by this share of the larger, such as 0.000001.", valueName: "share"))
    var relative = "0"

    @Option(help: ArgumentHelp("Numbers may differ by this much.", valueName: "number"))
    var absolute = "0"

    @Option(
        help: ArgumentHelp(
            "Paths that are one kind of request, such as /candidate/*; may be repeated.", valueName: "pattern"))
    var template: [String] = []

    @Option(help: ArgumentHelp("A JSON path whose values are not shown; may be repeated.", valueName: "path"))
    var redact: [String] = []

    @Option(help: ArgumentHelp("A field to send with every request; may be repeated.", valueName: "Name: value"))
    var send: [String] = []

    @Option(help: "Questions a second to each side.")
    var rate = 10.0

    @Option(help: "Questions at once.")
    var concurrency = 4

    @Option(name: .customLong("repeat"), help: "How often everything is asked.")
    var rounds = 1

    @Option(help: "Seconds for an answer.")
    var timeout: Int64 = 10

    @Flag(help: "Also ask methods other than GET and HEAD, which may change data on both sides.")
    var unsafe = false

    @Flag(help: "Report in JSON.")
    var json = false

    func validate() throws {
        for side in [self.old, self.new] where CompareSide.base(side) == nil {
            throw ValidationError("\"\(side.visible)\" is neither http://HOST:PORT nor HOST:PORT.")
        }
        guard self.rate.isFinite, (0.01...10_000).contains(self.rate) else {
            throw ValidationError("--rate is from 0.01 to 10000 questions a second.")
        }
        guard (1...256).contains(self.concurrency) else { throw ValidationError("--concurrency is from 1 to 256.") }
        guard (1...10_000).contains(self.rounds) else { throw ValidationError("--repeat is from 1 to 10000.") }
        guard (1...3_600).contains(self.timeout) else { throw ValidationError("--timeout is from 1 to 3600 seconds.") }
        _ = try self.rules()
        _ = try self.redaction()
        _ = try self.templates()
        _ = try self.fields()
    }

    // MARK: options

    private func rules() throws -> ComparisonRules {
        for name in self.header where ComparisonRules.neverCompared.contains(name.lowercased()) {
            throw ValidationError(
                "--header \(name): this field belongs to the connection or the moment, and is never compared.")
        }
        guard self.ignore.count + self.unordered.count <= ComparisonRules.patternLimit else {
            throw ValidationError("--ignore and --unordered: at most \(ComparisonRules.patternLimit) together.")
        }
        return ComparisonRules(
            headers: self.header.isEmpty ? ComparisonRules.standardHeaders : self.header,
            ignore: try self.ignore.map { try Self.path($0, of: "--ignore") },
            unordered: try self.unordered.map { text in
                let sign = text.lastIndex { $0 == "=" || $0 == "]" }.flatMap { text[$0] == "=" ? $0 : nil }
                return .init(
                    path: try Self.path(String(text[..<(sign ?? text.endIndex)]), of: "--unordered"),
                    key: sign.map { String(text[text.index(after: $0)...]) })
            },
            absolute: try Self.tolerance(self.absolute, of: "--absolute"),
            relative: try Self.tolerance(self.relative, of: "--relative"))
    }

    private static func path(_ text: String, of option: String) throws -> JSONPath {
        do {
            return try JSONPath(text)
        } catch {
            throw ValidationError("\(option) \(text.visible), column \(error.column): \(error.message).")
        }
    }

    private static func tolerance(_ text: String, of option: String) throws -> DecimalNumber {
        guard let number = DecimalNumber(text), !number.isBelowZero else {
            throw ValidationError("\(option) is a number, not below 0, such as 0.001.")
        }
        return number
    }

    private func redaction() throws -> Redaction {
        Redaction(
            paths: try self.redact.map { try Self.path($0, of: "--redact") }, key: UInt64.random(in: 0...UInt64.max))
    }

    private func templates() throws -> PathTemplate {
        PathTemplate(
            patterns: try self.template.map { text in
                guard let pattern = PathTemplate.Pattern(text) else {
                    throw ValidationError("--template \(text.visible): expected a path with * for whole segments.")
                }
                return pattern
            })
    }

    private func fields() throws -> [(name: String, value: String)] {
        try self.send.map { text in
            guard let colon = text.firstIndex(of: ":"), colon > text.startIndex,
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else { throw ValidationError("--send is \"Name: value\".") }
            let value = text[text.index(after: colon)...].drop { $0 == " " }
            return (String(text[..<colon]), String(value))
        }
    }

    // MARK: running

    func run() async throws {
        let list: RequestList
        do throws(RequestList.Unreadable) {
            list = try RequestList.read(self.paths, takesUnsafe: self.unsafe)
        } catch {
            switch error {
            case .file(let reason): Output.error("balancer: \(self.paths): \(reason)")
            case .line(let error): Output.error("\(self.paths):\(error.line): \(error.message)")
            }
            throw ExitCode(64)
        }
        if list.unsafeLines > 0 {
            Output.error("balancer: \(list.unsafeLines) lines with methods other than GET and HEAD are left out")
        }
        if list.brokenLines > 0 { Output.error("balancer: \(list.brokenLines) log lines hold no whole request") }
        guard !list.requests.isEmpty else {
            Output.error("balancer: \(self.paths): nothing to ask")
            throw ExitCode(64)
        }
        let report = try await self.compare(list.requests)
        if self.json {
            Output.line(try report.json)
        } else {
            for line in report.lines { Output.line(line) }
        }
        switch report.verdict {
        case .alike: if report.interrupted { throw ExitCode(130) }
        case .different: throw ExitCode(1)
        case .unreachable: throw ExitCode(2)
        }
    }

    private func compare(_ requests: [ComparedRequest]) async throws -> CompareReport {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(self.timeout), read: .seconds(self.timeout)))
        // A side that is not there is told at once, not after a while of trying.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = self.concurrency
        configuration.httpVersion = .http1Only
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let (old, new) = (CompareSide.base(self.old) ?? self.old, CompareSide.base(self.new) ?? self.new)
        let fields = try self.fields()
        let redaction = try self.redaction()
        let tally = CompareTally(requests: requests, rounds: self.rounds, redaction: redaction)
        let run = CompareRun(
            old: CompareSide(base: old, client: client, fields: fields, patience: self.timeout),
            new: CompareSide(base: new, client: client, fields: fields, patience: self.timeout),
            comparison: AnswerComparison(rules: try self.rules(), redaction: redaction),
            templates: try self.templates(),
            tally: tally, rate: self.rate, concurrency: self.concurrency)
        Interruption.expect()
        let start = ContinuousClock.now
        let progress = Task { await Self.tell(tally, since: start) }
        await run.run()
        progress.cancel()
        try? await client.shutdown()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return await CompareReport(old: old, new: new, tally: tally, seconds: seconds)
    }

    /// A line every few seconds on standard error.
    private static func tell(_ tally: CompareTally, since start: ContinuousClock.Instant) async {
        while true {
            do { try await Task.sleep(for: .seconds(5)) } catch { return }
            let (done, total) = (await tally.done, await tally.total)
            let mismatches = await tally.book.results[.mismatch] ?? 0
            let rate = Double(done) / ((ContinuousClock.now - start) / .seconds(1))
            let left = rate > 0 ? ", about \(Int(Double(total - done) / rate) + 1) s left" : ""
            Output.error("balancer: \(done) of \(total) compared, \(mismatches) mismatches\(left)")
        }
    }
}
