import Foundation
import Glibc
import HTTPWire
import Reactor
import Synchronization
import TestSupport
import Testing
import Traffic

@testable import Proxy

/// Lines of the access log, byte by byte.
@Suite("Lines of the access log") struct AccessLineTests {
    private static let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    private static let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

    /// A worker that logs into a pipe.
    private final class Log {
        let stage: ExchangeStage
        private let writer: LineWriter
        private let reader: RawConnection

        init(_ change: (inout TableSpec) -> Void = { _ in }) throws {
            var ends: [Int32] = [-1, -1]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
            self.reader = RawConnection(adopting: ends[0])
            self.writer = try LineWriter(.descriptor(ends[1]), named: "log", capacity: 1 << 20)
            let sink = AccessLogSink(self.writer)
            try sink.start()
            self.stage = try ExchangeStage(log: sink, change)
        }

        deinit {
            self.stage.core.dismantle()
            self.writer.stop(milliseconds: 1_000)
        }

        /// The line of what has just ended, without what differs from one to the next.
        func line() throws -> String {
            // Its writer may have the lock just then.
            try #require(
                eventually {
                    self.stage.core.log?.offer()
                    return self.stage.core.log?.hasPending == false
                })
            let text = try #require(self.reader.read(until: "\n"))
            try #require((try? JSONSerialization.jsonObject(with: Data(text.utf8))) != nil, "\(text)")
            return text.replacing(#/"time":"[-0-9]{10}T[:0-9]{8}\.[0-9]{3}Z"/#, with: "T")
                .replacing(#/"requestId":"[0-9a-f]{32}"/#, with: "I")
                .replacing(#/"durationMicroseconds":[0-9]+/#, with: "D")
        }
    }

    private static func start(_ status: Int, target: String = "/", method: String = "GET", host: String = "h") -> String
    {
        "{T,I,\"client\":\"127.0.0.1\",\"status\":\(status),\"method\":\"\(method)\",\"target\":\"\(target)\","
            + "\"host\":\"\(host)\",\"protocol\":\"fake\","
    }

    private static let place = ",\"route\":\"all\",\"upstream\":\"core\",\"endpoint\":\"127.0.0.1:1\",\"attempts\":"

    @Test("A proxied request: who, what, how much, where, and nothing else")
    func proxied() throws {
        let log = try Log()
        _ = try log.stage.offer()
        let exchange = log.stage.begin(Self.get)
        log.stage.answer(exchange, Self.answer, body: Array("hello".utf8), isEnd: true)
        #expect(
            try log.line() == Self.start(200) + "\"requestBytes\":0,\"responseBytes\":5,D" + Self.place + "1}\n")
    }

    @Test("A stream's number stands in the lines of what has one")
    func streams() throws {
        let log = try Log()
        _ = try log.stage.offer()
        let exchange = log.stage.begin(Self.get)
        exchange.clientStream = 7
        log.stage.answer(exchange, Self.answer, body: Array("hello".utf8), isEnd: true)
        #expect(
            try log.line()
                == Self.start(200) + "\"stream\":7,\"requestBytes\":0,\"responseBytes\":5,D" + Self.place + "1}\n")
    }

    @Test("What is answered here has its reason, and nobody who answered it")
    func own() throws {
        let log = try Log { $0.routes[0].action = .respond(status: 410) }
        _ = log.stage.begin(Self.get)
        #expect(
            try log.line()
                == Self.start(410)
                + "\"requestBytes\":0,\"responseBytes\":0,D,\"route\":\"all\",\"reason\":\"answered-by-route\"}\n")
        let unrouted = try Log { $0.routes[0].match.methods = ["PUT"] }
        _ = unrouted.stage.begin(Self.get)
        #expect(
            try unrouted.line()
                == Self.start(404) + "\"requestBytes\":0,\"responseBytes\":0,D,\"reason\":\"no-route\"}\n")
    }

    @Test("Each attempt is counted, and the reason of the last that failed stays")
    func attempts() throws {
        let log = try Log()
        _ = try log.stage.offer()
        let exchange = log.stage.begin(Self.get)
        exchange.isReused = false
        exchange.attemptFailed(.connectTimeout)
        exchange.clientGone(.clientClosed)
        #expect(
            try log.line()
                == Self.start(499) + "\"requestBytes\":0,\"responseBytes\":0,D" + Self.place
                + "2,\"reason\":\"client-closed\"}\n")
    }

    @Test("Bytes that end strings are escaped, and long values are cut")
    func escapes() throws {
        let log = try Log { $0.routes[0].action = .respond(status: 404) }
        func target(_ text: String) throws -> String {
            _ = log.stage.begin("GET \(text) HTTP/1.1\r\nHost: h\r\n\r\n")
            let line = try log.line()
            let start = try #require(line.range(of: "\"target\":\""))
            let end = try #require(line.range(of: "\",\"host\""))
            return String(line[start.upperBound..<end.lowerBound])
        }
        #expect(try target("/a\"b\\c~") == "/a\\\"b\\\\c~")
        let long = "/" + String(repeating: "a", count: 500)
        #expect(try target(long) == long)
        _ = log.stage.begin("\(String(repeating: "X", count: 40)) / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try log.line().contains("\"method\":\"\(String(repeating: "X", count: 32))\""))
        _ = log.stage.begin("GET / HTTP/1.1\r\nHost: \(String(repeating: "h", count: 300))\r\n\r\n")
        #expect(try log.line().contains("\"host\":\"\(String(repeating: "h", count: 256))\""))
    }

    @Test("A client that a trusted proxy speaks for is told beside the proxy, and only then")
    func forwarded() throws {
        let trust: (inout TableSpec) -> Void = {
            $0.forwarding.trustedProxies = [AddressBlock(base: IPAddress(v4: 0x7F00_0001), prefixLength: 128)]
            $0.routes[0].action = .respond(status: 404)
        }
        for (field, told) in [
            ("", ""), ("X-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9"), ("X-Forwarded-For: 127.0.0.1\r\n", ""),
            ("X-Forwarded-For: 192.0.2.8\r\nX-Forwarded-For: 127.0.0.1\r\n", "192.0.2.8"),
        ] {
            let log = try Log(trust)
            _ = log.stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\(field)\r\n")
            let expected = told.isEmpty ? "" : "\"forwardedFor\":\"\(told)\","
            #expect(try log.line().hasPrefix("{T,I,\"client\":\"127.0.0.1\",\(expected)\"status\":404,"), "\(field)")
        }
    }

    @Test("The limit that refused a request, or would have, is named")
    func limits() throws {
        for isOnTrial in [false, true] {
            let log = try Log {
                var limit = RateLimitSpec(name: "each", key: .all, rate: RateSpec(interval: 1 << 40, burst: 1))
                limit.dryRun = isOnTrial
                $0.routes[0].rateLimits = [limit]
                $0.routes[0].action = .respond(status: 404)
            }
            _ = log.stage.begin(Self.get)
            #expect(try !log.line().contains("\"rule\""))
            _ = log.stage.begin(Self.get)
            let line = try log.line()
            #expect(line.hasSuffix(",\"rule\":\"each\"}\n") && line.contains("\"status\":\(isOnTrial ? 404 : 429),"))
            let table = log.stage.core.plan.shared.routes[0].object.rateLimits[0].object.table
            #expect(table.refused.load(ordering: .relaxed) == (isOnTrial ? 0 : 1))
            #expect(table.wouldRefuse.load(ordering: .relaxed) == (isOnTrial ? 1 : 0))
        }
    }

    @Test("What was no request has a line of its own")
    func rejected() throws {
        let log = try Log()
        let core = log.stage.core
        AccessRecord.writeRejected(
            log.stage.client, requestID: (1, 2), status: 400, word: "bare-lf", to: try #require(core.log))
        #expect(try log.line() == "{T,I,\"client\":\"127.0.0.1\",\"status\":400,\"reason\":\"bare-lf\"}\n")
    }

    @Test("Lines wait up to a megabyte for a writer that takes none; what is more is counted")
    func dropped() throws {
        // Never started, it takes what it has room for, which is nothing.
        let buffer = AccessLogBuffer(sink: AccessLogSink(try LineWriter(.descriptor(2), named: "x", capacity: 1)))
        let line = [UInt8](repeating: 0x61, count: 1 << 19)
        for _ in 0..<2 { line.withUnsafeBytes { buffer.append($0) } }
        #expect(buffer.dropped == 0 && buffer.hasPending)
        line.withUnsafeBytes { buffer.append(UnsafeRawBufferPointer(rebasing: $0[0..<1])) }
        #expect(buffer.dropped == 1)
        buffer.offer()
        #expect(buffer.hasPending)
    }
}
