@testable import Control
import Foundation
import NIOCore
import Reactor
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

/// What a client of the admin API can make it do: every wait ends, and every number has a bound.
@Suite("Admin server", .serialized) struct AdminServerTests {
    private static func limits(_ change: (inout AdminLimits) -> Void) -> AdminLimits {
        var limits = AdminLimits()
        change(&limits)
        return limits
    }

    /// Whether the peer ends the connection within that time.
    private static func ends(_ connection: RawConnection, seconds: Double = 5) -> (text: String, ended: Bool) {
        let (text, end) = connection.readAll(seconds: seconds)
        return (text, end != .timeout)
    }

    @Test("Without a certificate to show connections end unread, one after the other; one that is set later is shown")
    func noCertificate() async throws {
        let authority = try TestCertificates()
        let made = try authority.make("admin", names: ["localhost"])
        let files = try [made.certificate, made.key].map { NamedFile(path: $0, bytes: try WholeFile.read($0)) }
        let certificate = AdminCertificate()
        try await AdminRig().serve(certificate: certificate) { port in
            for _ in 0..<3 {
                let connection = try RawConnection(port: port)
                connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(Self.ends(connection) == ("", true))
            }
            certificate.set(try AdminCertificate.context(AdminTLS(chain: files[0], key: files[1])))
            let plain = try RawConnection(port: port)
            plain.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let (text, ended) = Self.ends(plain)
            #expect(text.hasPrefix("HTTP/1.1 400 ") && text.hasSuffix("This port speaks TLS: use https.\n") && ended)
        }
    }

    // MARK: deadlines

    @Test("A connection that never asks, or never ends its head, is closed")
    func slowHead() async throws {
        try await AdminRig().serve(limits: Self.limits { $0.head = .milliseconds(300) }) { port in
            let silent = try RawConnection(port: port)
            let begun = try RawConnection(port: port)
            begun.send("GET /healthz HTTP/1.1\r\nHo")
            #expect(Self.ends(silent) == ("", true))
            let (text, ended) = Self.ends(begun)
            #expect(text.hasPrefix("HTTP/1.1 408 ") && ended)
        }
    }

    @Test("Bytes that drip in do not move a head's deadline, not on a kept connection either")
    func drippedHead() async throws {
        try await AdminRig().serve(limits: Self.limits { $0.head = .milliseconds(500) }) { port in
            let connection = try RawConnection(port: port)
            connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            var reader = MessageReader(connection)
            #expect(try reader.message().status == 200)
            let head = Array("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Padding: aaaaaaaaaaaaaaaaaaa\r\n\r\n".utf8)
            var answer = ""
            for byte in head where answer.isEmpty {
                connection.send([byte])
                usleep(20_000)
                if case .data(let bytes) = connection.receive(by: Deadline(seconds: 0.001)) {
                    answer = String(decoding: bytes, as: UTF8.self)
                }
            }
            #expect(answer.hasPrefix("HTTP/1.1 408 "), "a head of \(head.count) bytes, 20 ms each: \(answer)")
        }
    }

    @Test("A body that does not come to its end is not waited for")
    func slowBody() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.serve(limits: Self.limits { $0.body = .milliseconds(300) }) { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.put("Content-Length: 100\r\n") + "{\"weights\"")
            let (text, ended) = Self.ends(connection)
            #expect(text.hasPrefix("HTTP/1.1 408 ") && ended)
        }
    }

    @Test("A connection that asks nothing more is closed, one that asks goes on")
    func idle() async throws {
        try await AdminRig().serve(limits: Self.limits { $0.idle = .milliseconds(400) }) { port in
            let connection = try RawConnection(port: port)
            var reader = MessageReader(connection)
            for _ in 0..<4 {
                connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(try reader.message().status == 200)
                usleep(200_000)
            }
            #expect(Self.ends(connection) == ("", true))
        }
    }

    @Test("A client that never takes its answer is given up")
    func slowReader() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.serve(limits: Self.limits { $0.answer = .milliseconds(500) }) { port in
            let connection = try RawConnection(port: port)
            connection.limitReceiveBuffer(to: 4_096)
            // Accepted: else it would be taken for closed before it began.
            #expect(eventually { rig.plane.adminConnections.counts.active == 1 })
            let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
            // More answers than the kernel holds.
            connection.send(String(repeating: request, count: 2_000))
            let closed = eventually(seconds: 10) { rig.plane.adminConnections.counts.active == 0 }
            #expect(closed)
        }
    }

    // MARK: sizes

    private static func put(_ fields: String) -> String {
        "PUT /api/v1/routes/api/weights HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\(fields)\r\n"
    }

    @Test(
        "A body without end is refused at the limit, and the connection ends",
        arguments: [
            put("Transfer-Encoding: chunked\r\n"),
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        ])
    func endlessBody(head: String) async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.serve { port in
            let connection = try RawConnection(port: port)
            connection.send(head)
            let chunk = Array(("10000\r\n" + String(repeating: " ", count: 65_536) + "\r\n").utf8)
            let cutOff = Progress()
            startThread {
                while connection.send(chunk) {}
                cutOff.add(1)
            }
            let (text, ended) = Self.ends(connection, seconds: 10)
            #expect(ended)
            #expect(text.hasPrefix(head.hasPrefix("PUT") ? "HTTP/1.1 413 " : "HTTP/1.1 200 "))
            #expect(eventually { cutOff.value == 1 }, "the client goes on writing")
        }
    }

    @Test("A body that is announced as too large is refused before it comes")
    func announcedBody() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.serve { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.put("Content-Length: 1048577\r\n"))
            let (text, ended) = Self.ends(connection)
            #expect(text.hasPrefix("HTTP/1.1 413 ") && ended)
            #expect(text.lowercased().contains("\r\nconnection: close\r\n"))
            #expect(text.contains("the body may have 1048576 bytes"))
        }
    }

    @Test("Who is refused before the body has come does not hold a place while it does not come")
    func refusedEarly() async throws {
        let rig = AdminRig()
        try await rig.load()
        rig.plane.access.set(
            [AdminToken(name: "alice", role: .operator, sha256: SHA256.hash("alices".utf8))], metrics: nil)
        try await rig.serve(limits: Self.limits { $0.connections = 4 }) { port in
            var held: [RawConnection] = []
            for _ in 0..<8 {
                let connection = try RawConnection(port: port)
                connection.send(Self.put("Content-Length: 1000\r\n"))
                let head = connection.read(until: "\r\n\r\n", seconds: 5) ?? "nothing"
                #expect(head.hasPrefix("HTTP/1.1 401 ") && head.lowercased().contains("\r\nconnection: close\r\n"))
                held.append(connection)
            }
            let probe = try RawConnection(port: port)
            probe.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(probe.read(until: "\r\n\r\n", seconds: 5)?.hasPrefix("HTTP/1.1 200 ") == true)
        }
    }

    @Test("Each head of a connection has the bound for itself")
    func manyHeads() async throws {
        try await AdminRig().serve(limits: Self.limits { $0.headBytes = 256 }) { port in
            let connection = try RawConnection(port: port)
            var reader = MessageReader(connection)
            for number in 0..<30 {
                connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Padding: aaaaaaaaaaaaaaaaaaaa\r\n\r\n")
                let status = try reader.message().status
                try #require(status == 200, "request \(number)")
            }
        }
    }

    @Test("A head without end is refused")
    func endlessHead() async throws {
        try await AdminRig().serve { port in
            for start in ["GET /", "GET / HTTP/1.1\r\nX: "] {
                let connection = try RawConnection(port: port)
                connection.send(start)
                let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 65_536)
                startThread { while connection.send(piece) {} }
                let (text, ended) = Self.ends(connection)
                #expect(ended)
                #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 4"))
            }
        }
    }

    @Test(
        "However much is wrong in a request, the answer stays small",
        arguments: [
            // Many unknown keys, many unknown upstreams, many repeated keys below a long one.
            "{" + (0..<60_000).map { "\"k\($0)\":1" }.joined(separator: ",") + "}",
            "{\"weights\":{" + (0..<60_000).map { "\"u\($0)\":1" }.joined(separator: ",") + "}}",
            "{\"weights\":{" + (0..<60_000).map { "\"u\($0)\":\"x\"" }.joined(separator: ",") + "}}",
            "{\"" + String(repeating: "n", count: 500_000) + "\":{"
                + (0..<60_000).map { _ in "\"a\":1" }.joined(separator: ",") + "}}",
            "{\"weights\":{\"" + String(repeating: "é", count: 250_000) + "\":1}}",
        ])
    func boundedAnswer(body: String) async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.serve { port in
            let connection = try RawConnection(port: port)
            #expect(body.utf8.count < 1 << 20)
            connection.send(Self.put("Content-Length: \(body.utf8.count)\r\n") + body)
            var reader = MessageReader(connection)
            let answer = try reader.message(seconds: 30)
            #expect(answer.status == 422)
            #expect(answer.body.count < 65_536)
            let error = try JSONDecoder().decode(ErrorBody.self, from: Data(answer.body))
            #expect((1...101).contains(error.problems.count))
            #expect(error.problems.allSatisfy { $0.path.utf8.count <= 200 })
        }
    }

    // MARK: number

    @Test("A connection over the bound takes the place of the longest idle one")
    func bound() async throws {
        let rig = AdminRig()
        try await rig.serve(limits: Self.limits { $0.connections = 4 }) { port in
            let ask = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let held = try (0..<4).map { _ in
                let connection = try RawConnection(port: port)
                connection.send(ask)
                var reader = MessageReader(connection)
                #expect(try reader.message().status == 200)
                return connection
            }
            // The first has asked again, so the second has been idle longest.
            held[0].send(ask)
            var reader = MessageReader(held[0])
            #expect(try reader.message().status == 200)
            let fifth = try RawConnection(port: port)
            fifth.send(ask)
            var fifthReader = MessageReader(fifth)
            #expect(try fifthReader.message().status == 200)
            #expect(Self.ends(held[1]) == ("", true))
            for index in [0, 2, 3] { #expect(held[index].staysOpen(seconds: 0.1)) }
            #expect(rig.plane.adminConnections.counts == AdminConnections.Counts(active: 4, refused: 1))
        }
    }

    @Test("Connections that all come at once are bounded alike")
    func burst() async throws {
        let rig = AdminRig()
        try await rig.serve(limits: Self.limits { $0.connections = 4 }) { port in
            let all = try (0..<64).map { _ in try RawConnection(port: port) }
            let isBounded = eventually {
                rig.plane.adminConnections.counts == AdminConnections.Counts(active: 4, refused: 60)
            }
            #expect(isBounded, "\(rig.plane.adminConnections.counts)")
            #expect(all.count { $0.staysOpen(seconds: 0) } <= 4)
        }
    }

    @Test(
        "When every connection has a request under way, a new one is told so at once, and ends; of these there are a few"
    )
    func allBusy() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.serve(limits: Self.limits { $0.connections = 3 }) { port in
            let busy = try (0..<3).map { _ in
                let connection = try RawConnection(port: port)
                connection.send(Self.put("Content-Length: 100\r\n") + "{")
                return connection
            }
            // Until the server has seen their heads, they are as good as idle.
            try #require(eventually { rig.plane.adminConnections.busy == 3 })
            // What does not end by itself keeps its place for a while: the seventeenth is closed without a word.
            let refused = try (0..<17).map { _ in try RawConnection(port: port) }
            var answered = 0
            for connection in refused {
                let (text, ended) = Self.ends(connection)
                #expect(ended)
                guard !text.isEmpty else { continue }
                answered += 1
                #expect(text.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
                #expect(text.contains("\r\nRetry-After: 1\r\n"))
            }
            #expect(answered == 16)
            #expect(busy.allSatisfy { $0.staysOpen(seconds: 0) })
            #expect(rig.plane.adminConnections.counts == AdminConnections.Counts(active: 3, refused: 17))
        }
    }
}
