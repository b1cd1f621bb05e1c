import Glibc
import TestSupport
import Testing

/// Whom a failure is blamed on (docs/decisions/0006): clients cannot take endpoints out.
@Suite("Blame", .serialized) struct BlameScenarios {
    private static let strict = """
        "retry": {"attempts": 0}, "passive": {"consecutiveFailures": 3, "failureRate": 10, "minimumRequests": 5,
         "window": "1m", "baseEjection": "1h", "maxEjection": "1h", "maxEjectedShare": 100}
        """
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    /// Before two endpoints that do the same, in turn. One alone is never taken out.
    private func started(
        top: String = "", _ script: @escaping @Sendable (RawConnection, ScriptedUpstream) throws -> Void
    ) throws -> (balancer: BalancerProcess, upstreams: [ScriptedUpstream]) {
        let upstreams = try (0..<2).map { _ in try ScriptedUpstream(script) }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", upstreams.map(\.port))],
                upstreamKeys: Self.strict + ", \"balance\": \"round-robin\"", top: top))
        return (balancer, upstreams)
    }

    private func expectNoEjection(_ balancer: BalancerProcess) throws {
        #expect(try balancer.sum("balancer_ejections_total") == 0)
        #expect(try balancer.sum("balancer_endpoint_available") == 2)
        for _ in 0..<4 { #expect(try balancer.request("/good").text == "ok") }
    }

    @Test("A client that stops in the middle of its body is to blame itself, also once the answer has begun")
    func stalledClients() throws {
        // Answers before the body has come, and reads on.
        let (balancer, upstreams) = try self.started(
            top: "\"timeouts\": {\"requestBodyIdle\": \"300ms\", \"responseBodyIdle\": \"300ms\"}"
        ) { connection, upstream in
            var reader = MessageReader(connection)
            let request = try reader.head(seconds: 60)
            upstream.record(request)
            if request.start.contains("/good") {
                connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
                return
            }
            if request.start.contains("/whole") {
                connection.send(Self.ok)
            } else {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
            }
            _ = connection.readAll(seconds: 60)
        }
        let connections = try (0..<14).map { number in
            let connection = try balancer.connect()
            connection.send(
                "POST /\(number % 2 == 0 ? "whole" : "begun") HTTP/1.1\r\nHost: h\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
            return connection
        }
        for connection in connections { #expect(connection.readAll(seconds: 60).end != .timeout) }
        #expect(try eventually { try balancer.outstanding() == 0 })
        try self.expectNoEjection(balancer)
        #expect(upstreams.allSatisfy { !$0.requests.isEmpty })
    }

    /// Answers that a program gives for one page, and what is wrong with them, or what limit of ours they meet.
    enum Page: String, CaseIterable {
        case lengthOf204 = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"
        case spaceBehindSize = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n"
        case badSize = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n"
        case twoLengths = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"
        case unaskedUpgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
        case manyFields = "fields"
        case largeField = "large"
        case oddStatus = "HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok"
        case noColon = "HTTP/1.1 200 OK\r\nNonsense\r\nContent-Length: 2\r\n\r\nok"
        case longExtension = "extension"

        var text: String {
            switch self {
            case .manyFields:
                "HTTP/1.1 200 OK\r\n\((0..<251).map { "X-\($0): y\r\n" }.joined())Content-Length: 2\r\n\r\nok"
            case .largeField:
                "HTTP/1.1 200 OK\r\nX-Large: \(String(repeating: "a", count: 70_000))\r\nContent-Length: 2\r\n\r\nok"
            case .longExtension:
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\(String(repeating: "b", count: 9_000))\r\nok\r\n0\r\n\r\n"
            default: self.rawValue
            }
        }
    }

    @Test("One page whose answer is refused for its form or for our limits fails by itself", arguments: Page.allCases)
    func malformedPage(page: Page) throws {
        let (balancer, upstreams) = try self.started { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                let request = try reader.message(seconds: 60)
                upstream.record(request)
                guard request.start.contains("/odd") else {
                    connection.send(Self.ok)
                    continue
                }
                connection.send(page.text)
                return
            }
        }
        for _ in 0..<14 {
            let connection = try balancer.connect()
            connection.send("GET /odd HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            let (text, end) = connection.readAll()
            // Refused with the reason, cut where it had begun, or taken: what is legal and within the limits.
            #expect(
                text.hasPrefix("HTTP/1.1 502 ") ? text.contains("X-Balancer-Reason: ") : text.hasPrefix("HTTP/1.1 "))
            #expect(end != .timeout)
            try #require(try balancer.request("/good").text == "ok")
        }
        try self.expectNoEjection(balancer)
        #expect(upstreams.allSatisfy { !$0.requests.isEmpty })
    }

    @Test("Malformed answers to different paths do eject: then it is not one page")
    func malformedEverywhere() throws {
        let (balancer, upstreams) = try self.started { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message(seconds: 60))
            connection.send("NONSENSE\r\n\r\n")
        }
        for number in 0..<60 { _ = try balancer.request("/\(number)") }
        #expect(try balancer.sum("balancer_ejections_total") == 2)
        #expect(upstreams.allSatisfy { !$0.requests.isEmpty })
    }

    @Test("The retry budget is a share of the requests, not of the attempts", arguments: [20, 50])
    func retryBudget(percent: Int) throws {
        let silent = try ScriptedUpstream.once { _ in }
        let balancer = try BalancerProcess(
            before: silent,
            keys: """
                "passive": {"enabled": false},
                "retry": {"attempts": 1, "budgetPercent": \(percent), "minimumPerSecond": 0}
                """)
        let count = 200
        for _ in 0..<count { #expect(try balancer.request().status == 502) }
        let retries = silent.requests.count - count
        #expect(abs(retries - count * percent / 100) <= 6, "\(retries) retries of \(count) requests at \(percent) %")
    }
}
