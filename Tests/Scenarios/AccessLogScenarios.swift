import Foundation
import Glibc
import TestSupport
import Testing

/// An access log whose output is slow, gone, full or was never there: serving goes on, and what is lost is counted.
@Suite("Access log", .serialized) struct AccessLogScenarios {
    /// The reading end of a named pipe, as long as a test keeps it.
    private final class Pipe {
        let path: String
        private var descriptor: Int32 = -1
        private var held: [UInt8] = []
        /// Whole lines that are access log records.
        private(set) var records = 0
        private(set) var lines: [String] = []

        init(in folder: String) throws {
            self.path = folder + "/log"
            guard mkfifo(self.path, 0o600) == 0 else { throw TestFailure("mkfifo: errno \(errno)") }
            try self.open()
        }

        deinit { self.close() }

        func open() throws {
            self.descriptor = Glibc.open(self.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
            guard self.descriptor >= 0 else { throw TestFailure("open: errno \(errno)") }
        }

        func close() {
            if self.descriptor >= 0 { Glibc.close(self.descriptor) }
            self.descriptor = -1
        }

        /// Takes what is there.
        func drain() {
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(self.descriptor, &chunk, chunk.count)
                guard count > 0 else { break }
                self.held += chunk[..<count]
            }
            var start = 0
            while let end = self.held[start...].firstIndex(of: 10) {
                if self.held[start] == UInt8(ascii: "{") {
                    self.records += 1
                } else {
                    self.lines.append(String(decoding: self.held[start..<end], as: UTF8.self))
                }
                start = end + 1
            }
            self.held.removeFirst(start)
        }
    }

    @Test("What a client writes stays within its quotes and its bounds")
    func hostileWords() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try BalancerProcess(
            Routes.configuration(upstreams: [("core", [upstream.port])], accessLog: true))
        let long = "/" + String(repeating: "x", count: 3_000)
        let host = String(repeating: "h", count: 200) + "." + String(repeating: "i", count: 99)
        let words = [
            ("GET", #"/a"b\c","status":200,"x":""#, "h"), (String(repeating: "M", count: 40), long, host),
            ("GET", #"/\\""#, "h"),
        ]
        for (method, target, host) in words {
            let (text, _) = try balancer.exchange(
                "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 200 "))
        }
        #expect(eventually { balancer.program.output.count { $0.hasPrefix("{") } == words.count })
        let lines = balancer.program.output.filter { $0.hasPrefix("{") }
        for (line, (method, target, host)) in zip(lines, words) {
            let record = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(record["method"] as? String == String(method.prefix(32)))
            #expect(record["target"] as? String == String(target.prefix(2_048)))
            #expect(record["host"] as? String == String(host.prefix(256)))
            #expect(record["status"] as? Int == 200 && record["x"] == nil)
        }
    }

    @Test("A pipe that nobody reads holds nothing up; every line is written later or counted as dropped")
    func fullPipe() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let pipe = try Pipe(in: folder)
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(
            before: upstream, "> \(pipe.path)", routes: #"{"name": "none", "respond": {"status": 404}}"#)
        try balancer.awaitReady()
        let connection = try RawConnection(port: balancer.port)
        var reader = MessageReader(connection)
        // Each makes a line of more than 2 KB: together, twice what waits for the writer and in the worker at most.
        let batch = 40
        let batches = 120
        let request = "GET /\(String(repeating: "a", count: 2_000)) HTTP/1.1\r\nHost: h\r\n\r\n"
        for _ in 0..<batches {
            connection.send(String(repeating: request, count: batch))
            for _ in 0..<batch { #expect(try reader.message().status == 404) }
        }
        #expect(try balancer.dropped() > 0, "the pipe was never full")
        #expect(try balancer.request().status == 404)
        connection.hangUp()
        let total = batch * batches + 1
        let dropped = try balancer.dropped()
        // Nothing else is left for the worker to wake up for, no question of ours either.
        let complete = eventually(seconds: 30) {
            pipe.drain()
            return pipe.records + dropped == total
        }
        #expect(complete, "\(pipe.records) written, \(dropped) dropped of \(total)")
        #expect(pipe.lines.contains("ready"))
        #expect(balancer.stop() == 0)
    }

    @Test("A full pipe does not keep the process from ending")
    func stopWithFullPipe() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let pipe = try Pipe(in: folder)
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(
            before: upstream, "> \(pipe.path)", routes: #"{"name": "none", "respond": {"status": 404}}"#)
        try balancer.awaitReady()
        let connection = try RawConnection(port: balancer.port)
        var reader = MessageReader(connection)
        let request = "GET /\(String(repeating: "a", count: 2_000)) HTTP/1.1\r\nHost: h\r\n\r\n"
        // More than a pipe's 64 KiB.
        for _ in 0..<100 {
            connection.send(request)
            #expect(try reader.message().status == 404)
        }
        #expect(balancer.stop() == 0)
    }

    @Test(
        "A reader that goes away costs lines, not requests; they are counted and told once; it may come back"
    )
    func goneReader() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let pipe = try Pipe(in: folder)
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, "> \(pipe.path)")
        try balancer.awaitReady()
        #expect(try balancer.request().text == "ok")
        #expect(
            eventually {
                pipe.drain()
                return pipe.records == 1
            })
        pipe.close()
        for count in 1...20 {
            #expect(try balancer.request().text == "ok")
            // Each in a batch of its own.
            try #require(try eventually { try balancer.dropped() == count }, "\(count)")
        }
        #expect(eventually { balancer.errors("access log lines are lost") == 1 })
        try pipe.open()
        #expect(try balancer.request().text == "ok")
        #expect(
            eventually {
                pipe.drain()
                return pipe.records == 2
            })
        #expect(eventually { balancer.errors("the access log is written again") == 1 })
        #expect(try balancer.dropped() == 20)
        #expect(balancer.errors("access log lines are lost") == 1)
        #expect(balancer.stop() == 0)
    }

    @Test("A full disk costs lines, not requests; they are counted, and told once")
    func fullDisk() throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, "", accessLog: #"{"path": "/dev/full"}"#)
        try balancer.awaitReady()
        for count in 1...20 {
            #expect(try balancer.request().text == "ok")
            try #require(try eventually { try balancer.dropped() == count }, "\(count)")
        }
        #expect(eventually { balancer.errors("access log lines are lost") == 1 })
        #expect(balancer.stop() == 0)
        #expect(balancer.errors("access log lines are lost") == 1)
    }

    @Test(
        "Started without standard descriptors, it serves, and none of its sockets takes their place",
        arguments: [("<&-", [0]), (">&-", [1]), ("2>&-", [2]), ("<&- >&- 2>&-", [0, 1, 2])])
    func closedDescriptors(redirections: String, closed: [Int]) throws {
        let upstream = try ScriptedUpstream.plain("ok")
        let balancer = try PlainBalancer(before: upstream, redirections)
        try balancer.awaitReady()
        for number in closed { #expect(openFile(number, of: balancer.program) == "/dev/null", "\(number)") }
        let connection = try RawConnection(port: balancer.port)
        var reader = MessageReader(connection)
        for _ in 0..<5 {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try reader.message().text == "ok")
        }
        #expect(upstream.requests.count == 5)
        #expect(upstream.requests.allSatisfy { $0.start == "GET / HTTP/1.1" })
        #expect(balancer.stop() == 0)
    }

    @Test("The gateway too")
    func gatewayWithoutDescriptors() throws {
        let gateway = try Program(
            path: "/bin/sh",
            ["-c", "exec \"$0\" serve --port 0 <&- >&- 2>&-", Program.path("gateway")])
        defer { gateway.signal(SIGKILL) }
        let port = try listeningPort(of: gateway.pid)
        #expect(eventually { (try? get("/livez", port: port).status) == 200 })
        for number in 0...2 { #expect(openFile(number, of: gateway) == "/dev/null", "\(number)") }
        gateway.signal(SIGTERM)
        #expect(gateway.awaitExit() == 0)
    }
}
