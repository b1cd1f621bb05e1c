import Documents
import Foundation
import NIOCore
import Testing

@testable import GatewayService

/// How long a connection lives, how much it holds, and what it says about itself.
@Suite("Connections")
struct ConnectionTests {
    private static let get = "GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n"
    private static let last = "GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    private static let half =
        "POST /nope HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"

    // MARK: the wish to close

    /// `exchange` returns only when the server has closed.
    @Test(arguments: [
        "Connection: close", "Connection: Close", "connection: CLOSE", "Connection: keep-alive, close",
        "Connection: close, TE", "Connection: TE,close\t", "Connection: keep-alive\r\nConnection: close",
    ])
    func everyWishToCloseIsGranted(field: String) async throws {
        try await RunningServer.run { server async throws in
            // Made, and kept: the second way of the same target.
            for _ in 0..<2 {
                let answer = try await server.exchange("GET /blockindex HTTP/1.1\r\nHost: h\r\n\(field)\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(answer.contains("\r\nConnection: close\r\n"))
                #expect(!answer.contains("Keep-Alive"))
                #expect(answer.hasSuffix(#""blocksIndexed":700000}"#))
            }
        }
    }

    @Test func whatComesAfterTheLastRequestIsNobodys() async throws {
        try await RunningServer.run { server async throws in
            let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
            let answer = try await server.exchange(Self.last + Self.get + post)
            #expect(answer.ranges(of: "HTTP/1.1 ").count == 1)
            let metrics = try await server.send("GET", "/metrics").body
            #expect(!metrics.contains(#"gateway_requests_total{route="/healthcheck""#))
        }
    }

    /// Who asks for another protocol gets an answer, and none for what follows, of which nobody can say whose it is.
    @Test(arguments: [
        ("CONNECT h:443", "", "404 Not Found"), ("CONNECT /blockindex", "", "404 Not Found"),
        // What would be 200 for every other method.
        ("CONNECT /x/", "", "404 Not Found"), ("CONNECT /favicon.png", "Content-Length: 9\r\n", "404 Not Found"),
        ("GET /blockindex", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", "200 OK"),
        ("GET /blockindex", "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: upgrade\r\n", "200 OK"),
        ("HEAD /nope", "Upgrade: websocket\r\nConnection:upgrade\r\n", "404 Not Found"),
    ])
    func anotherProtocolIsTheEnd(request: String, fields: String, status: String) async throws {
        try await RunningServer.run { server async throws in
            let head = "\(request) HTTP/1.1\r\nHost: h\r\n\(fields)\r\n"
            for pieces in [[head + Self.get], [head, Self.get], [Self.get + head + Self.get]] {
                let answer = try await server.exchange(pieces[0], pieces.count > 1 ? pieces[1] : "")
                let before = pieces[0].hasPrefix(Self.get) ? 1 : 0
                #expect(answer.ranges(of: "Good!").count == before)
                #expect(answer.ranges(of: "HTTP/1.1 ").count == before + 1)
                #expect(answer.contains("HTTP/1.1 \(status)\r\n"))
                #expect(answer.ranges(of: "\r\nConnection: close\r\n").count == 1)
            }
        }
    }

    /// An upgrade that the client does not ask this hop for is nothing.
    @Test func anUpgradeOfSomebodyElseIsNone() async throws {
        try await RunningServer.run { server async throws in
            let asked = "GET /blockindex HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n"
            let answer = try await server.exchange(asked + asked + Self.last)
            #expect(answer.ranges(of: "HTTP/1.1 200 OK\r\n").count == 2)
        }
    }

    @Test(arguments: ["Connection: closed", "Connection: TE", "Connection: keep-alive, TE"])
    func otherWishesKeepTheConnection(field: String) async throws {
        try await RunningServer.run { server async throws in
            let asked = "GET /blockindex HTTP/1.1\r\nHost: h\r\n\(field)\r\n\r\n"
            let answer = try await server.exchange(asked + asked + Self.last)
            #expect(answer.ranges(of: "\r\nConnection: keep-alive\r\n").count == 2)
            #expect(answer.ranges(of: "HTTP/1.1 ").count == 3)
        }
    }

    @Test func anOldClientThatAsksForItIsKept() async throws {
        try await RunningServer.run { server async throws in
            let asked = "GET /healthcheck HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
            let answer = try await server.exchange(asked + "GET /healthcheck HTTP/1.0\r\n\r\n")
            #expect(answer.ranges(of: "Good!").count == 2)
        }
    }

    // MARK: answers that nobody takes

    /// Pipelined requests of a client that does not read. Bodies that the short cut sends, bodies that it does not, a connection
    /// for which it is switched off, and requests that come one by one, whose answers go past the channel.
    @Test(arguments: [
        ("/rewards/validators/stats", 2_000, false, false), ("/candidates", 60, false, false),
        ("/rewards/validators/stats", 2_000, true, false), ("/rewards/validators/stats", 2_000, false, true),
    ])
    func answersThatNobodyTakesAreNotMade(path: String, count: Int, isOff: Bool, isApart: Bool) async throws {
        let sample = try EmbeddedStore(reading: .memory)
        try sample.insert(SampleData().documents())
        try await RunningServer.run(store: sample) { server async throws in
            let body = try await server.send("GET", path).body
            let small = try await server.send("GET", "/blockindex").body
            try await server.connect().executeThenClose { inbound, outbound in
                var text = isOff ? "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx" : ""
                for number in 0..<count {
                    text += "GET \(number % 2 == 0 ? path : "/blockindex") HTTP/1.1\r\nHost: h\r\n\r\n"
                }
                let all = text + Self.last
                let requests =
                    isApart
                    ? all.split(separator: "\r\n\r\n").map { ByteBuffer(string: $0 + "\r\n\r\n") }
                    : [ByteBuffer(string: all)]
                async let sent: Void = {
                    for request in requests { try await outbound.write(request) }
                }()
                // Until nothing is made any more.
                var (made, isSame) = (-1, 0)
                while isSame < 20 {
                    let now = try await Self.made(server, path)
                    isSame = now == made && now > 1 ? isSame + 1 : 0
                    made = now
                }
                // What the sockets between us hold is a few megabytes.
                #expect(made * body.utf8.count < 24_000_000, "\(made) answers of \(body.utf8.count) bytes")
                #expect(made < count / 2 * 9 / 10)
                var reader = ResponseReader(inbound)
                if isOff { #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 404 ") == true) }
                for number in 0..<count {
                    let next = try await reader.next()
                    let expected = number % 2 == 0 ? body : small
                    guard let next, next.body == ByteBuffer(string: expected) else {
                        Issue.record("answer \(number) is \(next?.head ?? "missing")")
                        return
                    }
                }
                #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 404 ") == true)
                #expect(try await reader.head() == nil)
                try await sent
            }
        }
    }

    private static func made(_ server: RunningServer, _ path: String) async throws -> Int {
        let metrics = try await server.send("GET", "/metrics").body
        let line = metrics.split(separator: "\n").first {
            $0.hasPrefix(#"gateway_requests_total{route="\#(path)",status="200"}"#)
        }
        return line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
    }

    // MARK: time

    /// The connection that says nothing is closed, and says why; one that rests between two requests is not.
    @Test(arguments: [
        "GET /healthcheck HT", Self.get + "G", Self.half, Self.half + "\r\n{\"a\":1",
        Self.half + "Connection: close\r\n\r\n{\"a\":1",
    ])
    func halfRequestsHaveTheirTime(text: String) async throws {
        try await RunningServer.run({
            $0.headTimeout = .milliseconds(100)
            $0.bodyTimeout = .milliseconds(100)
        }) { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var resting = ResponseReader(inbound)
                try await outbound.write(ByteBuffer(string: Self.get))
                _ = try await resting.next()
                try await outbound.write(ByteBuffer(string: Self.half + "\r\n{\"a\":123}"))
                _ = try await resting.next()
                // In two pieces, that the second one comes when something is begun already.
                let cut = text.index(before: text.endIndex)
                let answer = try await server.exchange(String(text[..<cut]), String(text[cut...]))
                #expect(answer.ranges(of: "HTTP/1.1 408 Request Timeout\r\n").count == 1, "\(answer)")
                try await outbound.write(ByteBuffer(string: Self.get))
                #expect(try await resting.next()?.body == ByteBuffer(string: "Good!"))
            }
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_requests_total{route="none",status="408"} 1"#))
        }
    }

    /// The same when the codec has been given the connection: its bytes alone do not tell where a head begins.
    @Test func aHalfHeadBehindABodyHasItsTime() async throws {
        try await RunningServer.run({ $0.headTimeout = .milliseconds(100) }) { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                try await outbound.write(ByteBuffer(string: Self.half + "\r\n{\"a\":123}"))
                #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 404 ") == true)
                try await outbound.write(ByteBuffer(string: "GET /x HTTP/1.1\r\nHo"))
                #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 408 ") == true)
                #expect(try await reader.head() == nil)
            }
        }
    }

    /// `run` returns only when the server has ended; what would hold it is a body that has 30 s.
    @Test func aHalfBodyDoesNotHoldTheEnd() async throws {
        let start = ContinuousClock.now
        try await RunningServer.run { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                try await outbound.write(ByteBuffer(string: Self.half + "Expect: 100-continue\r\n\r\n"))
                #expect(try await reader.head() == "HTTP/1.1 100 Continue\r\n\r\n")
                try await outbound.write(ByteBuffer(string: "{\"a\""))
                await server.stop()
                #expect(try await reader.head()?.hasPrefix("HTTP/1.1 408 ") == true)
                #expect(try await reader.head() == nil)
            }
        }
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    // MARK: what is said

    @Test func whoAsksWhetherToSendABodyIsTold() async throws {
        try await RunningServer.run { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                // Alone, and behind a request that is answered first.
                for before in ["", "GET /nominators?\(UUID()) HTTP/1.1\r\nHost: h\r\n\r\n"] {
                    try await outbound.write(
                        ByteBuffer(string: before + Self.half + "Expect: 100-Continue\r\n\r\n"))
                    if !before.isEmpty {
                        #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 200 OK\r\n") == true)
                    }
                    #expect(try await reader.head() == "HTTP/1.1 100 Continue\r\n\r\n")
                    try await outbound.write(ByteBuffer(string: "{\"a\":123}"))
                    #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 404 ") == true)
                }
                try await outbound.write(ByteBuffer(string: Self.get))
                #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 200 OK\r\n") == true)
            }
        }
    }

    private static let others = "Vary: Origin, Accept-Encoding\r\nAccess-Control-Allow-Origin: *\r\n"
    private static let stays = "Date: D\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-Served-By: one\r\n\r\n"

    /// In the order of the legacy server, whichever way an answer leaves.
    @Test(arguments: [
        (
            "GET /blockindex", "200 OK", Self.others,
            "Content-Type: application/json; charset=utf-8\r\nContent-Length: 62\r\n"
        ),
        (
            "HEAD /blockindex", "200 OK", Self.others,
            "Content-Type: application/json; charset=utf-8\r\nContent-Length: 62\r\n"
        ),
        ("GET /candidate/nobody", "204 No Content", Self.others, ""),
        ("GET /nope", "404 Not Found", Self.others, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n"),
        ("HEAD /nope", "404 Not Found", Self.others, ""),
        (
            "GET /score/x/abc", "500 Internal Server Error", "",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n"
        ),
    ])
    func fieldsInTheirOrder(request: String, status: String, others: String, content: String) async throws {
        try await RunningServer.run({ $0.identity = "one" }) { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                // Made, kept and read, known by its bytes, kept and seen by the codec.
                for extra in ["", "", "", "Origin: *\r\n", RunningServer.manyFields] {
                    try await outbound.write(
                        ByteBuffer(string: "\(request) HTTP/1.1\r\nHost: h\r\n\(extra)\r\n"))
                    let head =
                        request.hasPrefix("HEAD") ? try await reader.head() : try await reader.next()?.head
                    #expect(
                        head?.replacing(#/Date: [A-Za-z0-9,: ]+/#, with: "Date: D")
                            == "HTTP/1.1 \(status)\r\n\(others)\(content)\(Self.stays)")
                }
            }
        }
    }

    @Test func fieldsOfAPreflightInTheirOrder() async throws {
        try await RunningServer.run { server async throws in
            let text = try await server.exchange(
                "OPTIONS /x HTTP/1.1\r\nAccess-Control-Request-Method: PUT\r\nConnection: close\r\n\r\n")
            #expect(
                text.replacing(#/Date: [A-Za-z0-9,: ]+/#, with: "Date: D") == """
                    HTTP/1.1 204 No Content\r
                    Vary: Origin\r
                    Access-Control-Allow-Origin: *\r
                    Access-Control-Allow-Methods: GET,PUT,POST,PATCH,DELETE,HEAD,OPTIONS\r
                    Access-Control-Allow-Headers: \r
                    Date: D\r
                    Connection: close\r
                    \r

                    """)
        }
    }

    /// Nothing is said of a body that cannot be read when its request has had its answer.
    @Test(arguments: [
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", "Transfer-Encoding: gzip\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ])
    func oneRequestHasOneAnswer(rest: String) async throws {
        try await RunningServer.run { server async throws in
            let answer = try await server.exchange("POST /nope HTTP/1.1\r\nHost: h\r\n\(rest)")
            #expect(answer.ranges(of: "HTTP/1.1 ").count == 1)
            #expect(answer.hasPrefix("HTTP/1.1 404 "))
            let metrics = try await server.send("GET", "/metrics").body
            #expect(!metrics.contains(#"gateway_requests_total{route="none",status="400"}"#))
        }
    }

    /// What is no HTTP is counted and logged too.
    @Test func brokenInputIsCountedAndLogged() async throws {
        let pipe = Pipe()
        try await RunningServer.run({ $0.logsRequests = true }, requestLog: pipe.fileHandleForWriting) {
            server async throws in
            #expect(try await server.exchange("\u{16}\u{3}\u{1}\r\n\r\n").hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            // In the middle of a body that the answer depends on.
            let chunked = Self.half.replacing("Content-Length: 9", with: "Transfer-Encoding: chunked")
            #expect(try await server.exchange(chunked + "\r\nzz\r\n").hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_requests_total{route="none",status="400"} 2"#))
        }
        try pipe.fileHandleForWriting.close()
        let text = try #require(try pipe.fileHandleForReading.readToEnd())
        let lines = try text.split(separator: UInt8(ascii: "\n")).map { try JSONParser.parse(Array($0)) }
        #expect(lines.map { $0[key: "status"]?.number } == [400, 400, 200])
    }

    // MARK: where

    /// An address that no machine has stands for a machine without IPv6.
    @Test func withoutTheAddressTheOtherOneIsTaken() async throws {
        try await RunningServer.run({
            $0.host = "2001:db8::1"
            $0.fallbackHost = "127.0.0.1"
        }) { server async throws in
            #expect(try await server.send("GET", "/healthcheck").body == "Good!")
        }
        await #expect(throws: (any Error).self) {
            try await RunningServer.run({ $0.host = "2001:db8::1" }) { _ in Issue.record("it listens") }
        }
    }
}
