import Foundation
import Glibc
import TestSupport
import Testing

/// Logs whose reader has stopped reading, or has not come yet, and files that are rotated: serving and control go on.
@Suite("Logs", .serialized) struct LogScenarios {
    /// A named pipe whose reading end is open and not read.
    private final class Unread {
        let path: String
        private let descriptor: Int32

        init(in folder: String) throws {
            self.path = folder + "/unread"
            guard mkfifo(self.path, 0o600) == 0 else { throw TestFailure("mkfifo: errno \(errno)") }
            self.descriptor = open(self.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        }

        deinit { close(self.descriptor) }

        /// Bytes that nobody has read.
        var held: Int {
            var count: Int32 = 0
            // FIONREAD, which the Glibc module lacks.
            return ioctl(self.descriptor, 0x541B, &count) == 0 ? Int(count) : 0
        }

        /// Takes what is there.
        func drain() -> String {
            var chunk = [UInt8](repeating: 0, count: 65_536)
            var text = ""
            while true {
                let count = read(self.descriptor, &chunk, chunk.count)
                guard count > 0 else { return text }
                text += String(decoding: chunk[..<count], as: UTF8.self)
            }
        }
    }

    /// As the balancer has started, with another route and with probes.
    private static func configuration(upstream: UInt16) -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0"}],
         "admin": {"address": "127.0.0.2:0"}, "accessLog": {"enabled": false},
         "upstreams": {"core": {"endpoints": ["127.0.0.1:\(upstream)"],
           "health": {"path": "/health", "interval": "100ms", "timeout": "100ms", "rise": 1, "fall": 1}}},
         "routes": [{"name": "a", "split": {"core": 1}}]}
        """
    }

    /// A file with more than a hundred problems, other ones in each `round`: what is wrong still is told once.
    private static func rejected(_ round: Int) -> String {
        let keys = (0..<200).map { "\"unknown-\(round)-\($0)\(String(repeating: "x", count: 60))\": 1" }
        return "{" + keys.joined(separator: ",") + "}"
    }

    @Test("Standard error that nobody reads stops nothing: files load, probes go on, metrics answer, SIGTERM drains")
    func unreadErrors() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let pipe = try Unread(in: folder)
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, "2> \(pipe.path)", accessLog: #"{"enabled": false}"#)
        try balancer.awaitReady()
        let good = Self.configuration(upstream: upstream.port)
        let file = balancer.folder + "/routes.json"

        // Until the pipe and the buffer before it are full.
        var round = 0
        let isFull = try eventually(seconds: 120) {
            round += 1
            let failures = #"balancer_reloads_total{result="failure"}"#
            let before = try balancer.counter(failures)
            try BalancerProcess.write(Self.rejected(round), to: file)
            _ = try eventually { try balancer.counter(failures) > before }
            return try balancer.counter("balancer_log_lines_dropped_total") > 0
        }
        try #require(isFull, "\(pipe.held) bytes in the pipe after \(round) loads")

        try BalancerProcess.write(good, to: file)
        #expect(try eventually { try balancer.admin("/api/v1/routes/a").status == 200 })
        #expect(try balancer.request().text == "ok")
        #expect(try eventually { try balancer.admin("/api/v1/upstreams").text.contains("\"cause\":\"ok\"") })
        upstream.stop()
        #expect(try eventually { try balancer.admin("/api/v1/upstreams").text.contains("\"availability\":\"down\"") })

        // Read again, the log tells what is missing.
        var text = ""
        #expect(
            eventually {
                text += pipe.drain()
                return text.contains(" lines of this log were dropped: they were not read in time\n")
            })
    }

    @Test("With standard error unread, SIGTERM ends the process in time")
    func unreadErrorsAtTheEnd() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let pipe = try Unread(in: folder)
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, "2> \(pipe.path)", accessLog: #"{"enabled": false}"#)
        try balancer.awaitReady()
        let file = balancer.folder + "/routes.json"
        var round = 0
        // Until the pipe and the buffer before it are full.
        let isFull = try eventually(seconds: 120) {
            round += 1
            let failures = #"balancer_reloads_total{result="failure"}"#
            let before = try balancer.counter(failures)
            try BalancerProcess.write(Self.rejected(round), to: file)
            _ = try eventually { try balancer.counter(failures) > before }
            return try balancer.counter("balancer_log_lines_dropped_total") > 0
        }
        try #require(isFull, "\(pipe.held) bytes in the pipe after \(round) loads")
        #expect(balancer.stop() == 0)
    }

    @Test("SIGUSR1 and SIGHUP begin a renamed access log anew, and no line is lost", arguments: [SIGUSR1, SIGHUP])
    func rotation(signal: Int32) throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let path = folder + "/access.log"
        func lines(_ path: String) -> Int {
            ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n").count
        }
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, "", accessLog: "{\"path\": \"\(path)\"}")
        try balancer.awaitReady()
        for round in 1...3 {
            for _ in 0..<10 { #expect(try balancer.request().text == "ok") }
            rename(path, path + ".\(round)")
            balancer.program.signal(signal)
            #expect(eventually { FileManager.default.fileExists(atPath: path) })
        }
        #expect(try balancer.request().text == "ok")
        #expect(eventually { (1...3).map { lines(path + ".\($0)") }.reduce(lines(path), +) == 31 })
        #expect(lines(path) >= 1)
        #expect(balancer.stop() == 0)
    }

    @Test("An access log that is a named pipe without reader does not hold the start up; its lines come later")
    func pipeWithoutReader() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let path = folder + "/pipe"
        guard mkfifo(path, 0o600) == 0 else { throw TestFailure("mkfifo: errno \(errno)") }
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, "", accessLog: "{\"path\": \"\(path)\"}")
        try balancer.awaitReady()
        #expect(try balancer.request().text == "ok")
        #expect(eventually { balancer.errors("the access log cannot be opened yet") == 1 })
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        defer { close(descriptor) }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var text = ""
        let came = eventually {
            let count = read(descriptor, &chunk, chunk.count)
            if count > 0 { text += String(decoding: chunk[..<count], as: UTF8.self) }
            return text.hasSuffix("\n")
        }
        #expect(came && text.contains("\"status\":200"))
        #expect(balancer.stop() == 0)
    }
}
