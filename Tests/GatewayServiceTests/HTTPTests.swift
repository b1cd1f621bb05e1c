import Documents
import Testing

@testable import GatewayService

/// The whole server over real sockets: what a client sees on the wire.
@Suite("HTTP")
struct HTTPTests {
    private static let plain = ["Access-Control-Allow-Origin: *", "Connection: close", "Vary: Origin, Accept-Encoding"]

    private func withServer(
        _ change: (inout GatewayConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (RunningServer) async throws -> Void
    ) async throws {
        try await RunningServer.run(change, body: body)
    }

    @Test func headersOfEveryKindOfAnswer() async throws {
        try await withServer { server async throws in
            let json = try await server.send("GET", "/blockindex")
            #expect(json.status == "HTTP/1.1 200 OK")
            #expect(json.body == #"{"latest":25600000,"earliest":24900000,"blocksIndexed":700000}"#)
            #expect(
                json.headers
                    == (Self.plain + ["Content-Length: 62", "Content-Type: application/json; charset=utf-8"]).sorted())

            let missing = try await server.send("GET", "/candidate/nobody")
            #expect(missing.status == "HTTP/1.1 204 No Content")
            #expect(missing.headers == Self.plain.sorted())
            #expect(missing.body == "")

            let unknown = try await server.send("GET", "/nope")
            #expect(unknown.status == "HTTP/1.1 404 Not Found")
            #expect(
                unknown.headers
                    == (Self.plain + ["Content-Length: 9", "Content-Type: text/plain; charset=utf-8"]).sorted())
            #expect(unknown.body == "Not Found")

            let failure = try await server.send("GET", "/score/x/abc")
            #expect(failure.status == "HTTP/1.1 500 Internal Server Error")
            #expect(
                failure.headers == [
                    "Connection: close", "Content-Length: 21", "Content-Type: text/plain; charset=utf-8",
                ])
            #expect(failure.body == "Internal Server Error")
        }
    }

    @Test func headAnswersLikeGetWithoutTheBody() async throws {
        try await withServer { server async throws in
            let get = try await server.send("GET", "/nominators?a")
            let head = try await server.send("HEAD", "/nominators?b")
            #expect(head.status == get.status)
            #expect(head.headers == get.headers)
            #expect(head.body == "")
            let unknown = try await server.send("HEAD", "/nope")
            #expect(unknown.status == "HTTP/1.1 404 Not Found")
            #expect(unknown.headers == Self.plain.sorted())
            #expect(unknown.body == "")
            let failure = try await server.send("HEAD", "/score/x/abc")
            #expect(
                failure.headers == [
                    "Connection: close", "Content-Length: 21", "Content-Type: text/plain; charset=utf-8",
                ])
            #expect(failure.body == "")
        }
    }

    @Test(arguments: ["GET", "POST", "DELETE", "OPTIONS", "PATCH"])
    func everyPathThatEndsInASlashIsThePage(method: String) async throws {
        try await withServer { server async throws in
            for path in ["/", "//", "/candidates/", "/candidate/x/", "/nope/", "/a/?b"] {
                let page = try await server.send(method, path)
                #expect(page.status == "HTTP/1.1 200 OK", "\(path)")
                #expect(page.headers.contains("Content-Type: text/html; charset=utf-8"))
                #expect(page.body.hasPrefix("<!DOCTYPE html>"))
            }
            for path in ["/a?/", "/candidates%2F"] {
                #expect(try await server.send(method, path).status == "HTTP/1.1 404 Not Found", "\(path)")
            }
        }
    }

    @Test func otherMethodsFindNothing() async throws {
        try await withServer { server async throws in
            for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
                let answer = try await server.send(method, "/candidates")
                #expect(answer.status == "HTTP/1.1 404 Not Found")
                #expect(!answer.headers.contains { $0.hasPrefix("Allow") })
            }
        }
    }

    @Test func originsAndPreflights() async throws {
        try await withServer { server async throws in
            #expect(
                try await server.send("GET", "/healthcheck", ["Origin: null"]).headers.contains(
                    "Access-Control-Allow-Origin: null"))
            let preflight = try await server.send(
                "OPTIONS", "/anything",
                [
                    "Origin: https://a.b", "Access-Control-Request-Method: PUT",
                    "Access-Control-Request-Headers: x-a, x-b",
                ])
            #expect(preflight.status == "HTTP/1.1 204 No Content")
            #expect(
                preflight.headers == [
                    "Access-Control-Allow-Headers: x-a, x-b",
                    "Access-Control-Allow-Methods: GET,PUT,POST,PATCH,DELETE,HEAD,OPTIONS",
                    "Access-Control-Allow-Origin: https://a.b", "Connection: close", "Vary: Origin",
                ])
            let bare = try await server.send("OPTIONS", "/", ["Access-Control-Request-Method: GET"])
            #expect(bare.headers.contains("Access-Control-Allow-Headers: "))
            #expect(bare.headers.contains("Access-Control-Allow-Origin: *"))
            // What is said with nothing is not said.
            let empty = try await server.send("OPTIONS", "/nope", ["Access-Control-Request-Method: ", "Origin: "])
            #expect(empty.status == "HTTP/1.1 404 Not Found")
            #expect(empty.headers.contains("Access-Control-Allow-Origin: *"))
        }
    }

    /// Made anew and kept, by the long way and by the short one.
    @Test func severalOriginsAreOneList() async throws {
        try await withServer { server async throws in
            let request = "GET /blockindex HTTP/1.1\r\nHost: h\r\nOrigin: a\r\nOrigin: b\r\n"
            for _ in 0..<2 {
                let both = try await server.exchange(request + "\r\n" + request + "Connection: close\r\n\r\n")
                #expect(both.ranges(of: "\r\nAccess-Control-Allow-Origin: a, b\r\n").count == 2)
            }
        }
    }

    /// Bare numbers are JSON. HEAD of 0 may tell that the answer is a byte long.
    @Test func numbers() async throws {
        try await withServer { server async throws in
            let json = "Content-Type: application/json; charset=utf-8"
            for (path, text) in [("/stats/totalRequests", "1"), ("/validators/activeeras/nobody", "0")] {
                let answer = try await server.send("GET", path)
                #expect(answer.status == "HTTP/1.1 200 OK")
                #expect(answer.body == text)
                #expect(answer.headers.contains(json))
                #expect(answer.headers.contains("Content-Length: 1"))
                let head = try await server.send("HEAD", path)
                #expect(head.status == answer.status)
                #expect(head.headers == answer.headers)
                #expect(head.body.isEmpty)
            }
            let missing = try await server.send("HEAD", "/score/nobody")
            #expect(missing.status == "HTTP/1.1 204 No Content")
            #expect(!missing.headers.contains { $0.hasPrefix("Content-") })
        }
    }

    /// Heads that nobody means to send. They are refused, or answered; the server lives on.
    @Test(arguments: [
        "GET /blockindex?" + String(repeating: "q", count: 300_000) + " HTTP/1.1\r\nHost: h\r\n",
        "GET /blockindex HTTP/1.1\r\nHost: h\r\nX: " + String(repeating: "x", count: 300_000) + "\r\n",
        "GET /blockindex HTTP/1.1\r\nHost: h\r\n" + String(repeating: "X: x\r\n", count: 5_000),
        "GET /candidate/" + String(repeating: "%41", count: 5_000) + " HTTP/1.1\r\nHost: h\r\n",
    ])
    func headsWithoutMeasure(head: String) async throws {
        try await withServer { server async throws in
            // The server may close before it has read everything, which resets the connection.
            let answer = (try? await server.exchange(head + "Connection: close\r\n\r\n")) ?? ""
            #expect(["", "HTTP/1.1 2", "HTTP/1.1 4"].contains(String(answer.prefix(10))), "\(answer.prefix(100))")
            #expect(try await server.send("GET", "/healthcheck").body == "Good!")
        }
    }

    @Test func bodies() async throws {
        try await withServer { server async throws in
            let json = "Content-Type: application/json; charset=utf-8"
            for body in ["{x", "1", "\"a\"", "null"] {
                let answer = try await server.send("GET", "/healthcheck", [json], body: body)
                #expect(answer.status == "HTTP/1.1 400 Bad Request", "\(body)")
                #expect(answer.body == "Bad Request")
                #expect(
                    answer.headers == [
                        "Connection: close", "Content-Length: 11", "Content-Type: text/plain; charset=utf-8",
                    ])
            }
            let plain = "Content-Encoding: identity"
            #expect(try await server.send("GET", "/x", [json, plain], body: "{").status == "HTTP/1.1 400 Bad Request")
            for body in [" {\"a\":1}", "[]"] {
                #expect(try await server.send("GET", "/healthcheck", [json], body: body).status == "HTTP/1.1 200 OK")
            }
            #expect(
                try await server.send("GET", "/healthcheck", ["Content-Type: text/plain"], body: "{x").status
                    == "HTTP/1.1 200 OK")
            let large = "[" + String(repeating: " ", count: 1_048_577) + "]"
            let refused = try await server.exchange(
                "GET /healthcheck HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\(json)\r\nContent-Length: \(large.utf8.count)\r\n\r\n"
                    + large)
            #expect(refused.hasPrefix("HTTP/1.1 413 Payload Too Large\r\n"))
            #expect(refused.hasSuffix("request entity too large"))
            let form = "Content-Type: application/x-www-form-urlencoded"
            #expect(
                try await server.send("POST", "/", [form], body: String(repeating: "a", count: 57_345)).status
                    .hasPrefix("HTTP/1.1 413 "))
            #expect(
                try await server.send("POST", "/", [form], body: String(repeating: "a", count: 57_344)).status
                    == "HTTP/1.1 200 OK")
        }
    }

    @Test func theWildcardConditionIsNotModified() async throws {
        try await withServer { server async throws in
            for path in ["/blockindex", "/blockindex", "/healthcheck", "/"] {
                let answer = try await server.send("GET", path, ["If-None-Match: *"])
                #expect(answer.status == "HTTP/1.1 304 Not Modified", "\(path)")
                #expect(answer.headers == Self.plain.sorted())
                #expect(answer.body == "")
            }
            for headers in [
                ["If-None-Match: \"x\""], ["If-None-Match: *", "If-Modified-Since: x"],
                ["If-None-Match: *", "Cache-Control: a, no-cache"],
            ] {
                #expect(try await server.send("GET", "/blockindex", headers).status == "HTTP/1.1 200 OK")
            }
            #expect(try await server.send("POST", "/", ["If-None-Match: *"]).status == "HTTP/1.1 200 OK")
            #expect(try await server.send("GET", "/nope", ["If-None-Match: *"]).status == "HTTP/1.1 404 Not Found")
        }
    }

    /// Answers from the cache leave by another way than answers that are made: both must be the same on the wire, and
    /// pipelined ones must keep their order.
    @Test func keptAnswersEqualFreshOnesAndKeepTheirPlace() async throws {
        try await withServer { server async throws in
            let get = "GET /blockindex HTTP/1.1\r\nHost: h\r\n\r\n"
            let slow = "GET /candidates HTTP/1.1\r\nHost: h\r\n\r\n"
            let last = "GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            let text = try await server.exchange(get + get + slow + get + get + last)
            let heads = text.matches(of: #/HTTP/1.1 \d+ [^\r]+\r\n/#).map { String($0.output) }
            #expect(heads.map { $0.split(separator: " ")[1] } == ["200", "200", "200", "200", "200", "404"])
            let places = text.ranges(of: #"{"latest""#).map(\.lowerBound)
            let cards = try #require(text.firstRange(of: #"[{"slotId""#)?.lowerBound)
            #expect(places.count == 4)
            #expect(places.filter { $0 < cards }.count == 2)

            // Everything but the order of the fields must agree.
            let answers = text.split(separator: "HTTP/1.1 200 OK\r\n").map {
                Set($0.split(separator: "\r\n").prefix { !$0.hasPrefix("{") })
            }
            #expect(answers[0].isSuperset(of: ["Keep-Alive: timeout=5", "Connection: keep-alive"]))
            #expect(answers[0] == answers[1])
        }
    }

    @Test func oldClientsAreClosedOn() async throws {
        try await withServer { server async throws in
            let answer = try await server.exchange("GET /healthcheck HTTP/1.0\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\nGood!"))
        }
    }

    @Test func letterCaseQueryAndAbsoluteForm() async throws {
        try await withServer { server async throws in
            #expect(try await server.send("GET", "/BlockIndex?x=1").status == "HTTP/1.1 200 OK")
            #expect(try await server.send("GET", "/HEALTHCHECK").body == "Good!")
            #expect(try await server.send("GET", "http://h/healthcheck").body == "Good!")
            #expect(try await server.send("GET", "http://h").status == "HTTP/1.1 200 OK")
        }
    }

    @Test func operations() async throws {
        try await withServer { server async throws in
            #expect(try await server.send("GET", "/livez").body == "alive\n")
            #expect(try await server.send("GET", "/readyz").body == "ready\n")
            _ = try await server.send("GET", "/score/x/y")
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_requests_total{route="/score/:address/:session",status="500"} 1"#))
            #expect(metrics.contains(#"gateway_request_duration_seconds_count{route="/score/:address/:session"} 1"#))
        }
    }

    @Test func healthOnlyAnswersNothingElse() async throws {
        try await withServer({ $0.service = .healthOnly }) { server async throws in
            let health = try await server.send("GET", "/healthcheck")
            #expect(health.body == "Good!")
            #expect(health.headers.contains("Vary: Origin"))
            #expect(try await server.send("GET", "/healthcheck/").body == "Good!")
            #expect(try await server.send("GET", "/healthcheck", ["If-None-Match: *"]).status == "HTTP/1.1 200 OK")
            #expect(try await server.send("GET", "/candidates").body == "Not Found")
            #expect(try await server.send("GET", "/").body == "Not Found")
        }
    }

    @Test func aCoreStandInAnswersHealthAsTheCoreDoes() async throws {
        try await withServer({
            $0.role = .core; $0.identity = "core-1"
        }) { server async throws in
            let health = try await server.send("GET", "/healthcheck")
            #expect(
                health.body
                    == #"{"version":"3.3.5","connected":true,"currentEndpoint":"wss://stand-in.invalid","upSince":1731499200000}"#
            )
            #expect(health.headers.contains("Content-Type: text/plain; charset=utf-8"))
            #expect(health.headers.contains("X-Served-By: core-1"))
        }
    }

    @Test func onlyACoreStandInAnswersWhatOnlyTheCoreCan() async throws {
        try await withServer({ $0.role = .core }) { server async throws in
            let jobs = try await server.send("GET", "/Scorekeeper/jobs")
            #expect(jobs.headers.contains("Content-Type: application/json; charset=utf-8"))
            guard case .object(let byName) = try JSONParser.parse(Array(jobs.body.utf8)) else {
                return #expect(Bool(false), "\(jobs.body)")
            }
            #expect(!byName.isEmpty)
            for job in byName {
                #expect(job.value[key: "name"]?.string == job.key)
                #expect(job.value[key: "updated"]?.number == 1_731_499_200_000)
            }
            let nominators = try await server.send("GET", "/nominators/status")
            #expect(nominators.headers.contains("Content-Type: text/plain; charset=utf-8"))
            #expect(nominators.body == "[]")
        }
        try await withServer { server async throws in
            for path in ["/scorekeeper/jobs", "/nominators/status"] {
                #expect(try await server.send("GET", path).status == "HTTP/1.1 404 Not Found")
            }
        }
    }
}
