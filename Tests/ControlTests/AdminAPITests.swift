@testable import Control
import Foundation
import Hummingbird
import HummingbirdTesting
import Logging
import Reactor
import RoutesFile
import Testing
import Traffic

struct AdminAPITests {
    private static func json(_ response: TestResponse) throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: Data(String(buffer: response.body).utf8))
        return try #require(object as? [String: Any])
    }

    private static func error(_ response: TestResponse) throws -> ErrorBody {
        try JSONDecoder().decode(ErrorBody.self, from: Data(String(buffer: response.body).utf8))
    }

    @Test("Ready only while a table is in force, listeners are bound and nothing drains")
    func readiness() async throws {
        let rig = AdminRig()
        try await rig.test { client in
            #expect(try await client.execute(uri: "/healthz", method: .get).status == .ok)
            let early = try await client.execute(uri: "/readyz", method: .get)
            #expect(early.status == .serviceUnavailable)
            #expect(String(buffer: early.body) == "no routing table is in force yet\n")
            try await rig.load()
            #expect(try await client.execute(uri: "/readyz", method: .get).status == .ok)
            rig.lifecycle.beginDraining()
            let late = try await client.execute(uri: "/readyz", method: .get)
            #expect(late.status == .serviceUnavailable && String(buffer: late.body) == "draining\n")
            #expect(try await client.execute(uri: "/healthz", method: .get).status == .ok)
        }
    }

    @Test("GET routes names generation, match and weights, with an ETag")
    func routes() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            let response = try await client.execute(uri: "/api/v1/routes", method: .get)
            #expect(response.status == .ok)
            #expect(response.headers[.contentType] == "application/json")
            #expect(response.headers[.eTag] == (await rig.bench.publisher.current.etag))
            let body = try Self.json(response)
            #expect(body["generation"] as? Int == 1)
            let routes = try #require(body["routes"] as? [[String: Any]])
            #expect(routes.map { $0["name"] as? String } == ["api", "old"])
            #expect(routes[0]["weights"] as? [String: Int] == ["core": 90, "gateway": 10])
            #expect((routes[0]["match"] as? [String: Any])?["path"] as? [String] == ["/"])
            #expect((routes[1]["redirect"] as? [String: Any])?["status"] as? Int == 308)
            let one = try await client.execute(uri: "/api/v1/routes/api", method: .get)
            #expect(try Self.json(one)["name"] as? String == "api")
            #expect(try await client.execute(uri: "/api/v1/routes/nope", method: .get).status == .notFound)
        }
    }

    @Test("PUT weights changes them once, and refuses a stale If-Match")
    func weights() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            let tag = try #require(try await client.execute(uri: "/api/v1/routes", method: .get).headers[.eTag])
            let body = ByteBuffer(string: #"{"weights":{"core":50,"gateway":50},"reason":"half way"}"#)
            let done = try await client.execute(
                uri: "/api/v1/routes/api/weights", method: .put, headers: AdminRig.json(tag), body: body)
            #expect(done.status == .ok)
            #expect(try Self.json(done)["generation"] as? Int == 2)
            #expect(await rig.bench.weights == ["core": 50, "gateway": 50])
            let stale = try await client.execute(
                uri: "/api/v1/routes/api/weights", method: .put, headers: AdminRig.json(tag), body: body)
            #expect(stale.status == .preconditionFailed)
            #expect(stale.headers[.eTag] == done.headers[.eTag])
            #expect(try Self.error(stale).problems.isEmpty)
            let entry = try #require(await rig.bench.publisher.entries.last)
            #expect(entry.origin == .api && entry.who == "127.0.0.1" && entry.reason == "half way")
        }
    }

    @Test("?dryRun=true changes nothing")
    func dryRun() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            let dry = try await client.execute(
                uri: "/api/v1/routes/api/weights?dryRun=true", method: .put, headers: AdminRig.json,
                body: ByteBuffer(string: #"{"weights":{"core":1,"gateway":1}}"#))
            let body = try Self.json(dry)
            #expect(body["dryRun"] as? Bool == true && body["changed"] as? Bool == true)
            let after = try #require(body["after"] as? [[String: Any]])
            #expect(after.map { $0["share"] as? Double } == [0.5, 0.5])
            #expect(after.map { $0["available"] as? Bool } == [true, true])
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
            let odd = try await client.execute(
                uri: "/api/v1/routes/api/weights?dryRun=maybe", method: .put, headers: AdminRig.json,
                body: ByteBuffer(string: #"{"weights":{"core":1}}"#))
            #expect(odd.status == .unprocessableContent)
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
        }
    }

    @Test(
        "What is wrong in a change is told by JSON path",
        arguments: [
            (#"{"weights":{"gatway":1}}"#, 422, ["$.weights.gatway"]),
            (#"{"weights":{"core":-1,"gateway":1.5}}"#, 422, ["$.weights.core", "$.weights.gateway"]),
            (#"{"weights":{"core":1000001}}"#, 422, ["$.weights.core"]),
            (#"{"weights":{"core":99999999999999999999}}"#, 422, ["$.weights.core"]),
            (#"{"weights":{"core":"90"}}"#, 422, ["$.weights.core"]),
            (#"{"weights":{"core":true}}"#, 422, ["$.weights.core"]),
            (#"{"weights":{}}"#, 422, ["$.weights"]), (#"{"weights":[90,10]}"#, 422, ["$.weights"]),
            (#"{"weight":{"core":1}}"#, 422, ["$.weight", "$.weights"]), (#"{}"#, 422, ["$.weights"]),
            (#"[]"#, 422, ["$"]), (#"{"weights":{"core":1},"reason":7}"#, 422, ["$.reason"]),
            (#"{"weights":{"core":1},"reason":null}"#, 422, ["$.reason"]),
            (#"{"weights":"#, 400, ["$"]), ("", 400, ["$"]),
            (#"{"weights":{"core":1,"core":2}}"#, 422, ["$.weights.core"]),
            (#"{"weights":{"core":1},"weights":{"core":2}}"#, 422, ["$.weights"]),
        ])
    func badChanges(body: String, status: Int, paths: [String]) async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            let response = try await client.execute(
                uri: "/api/v1/routes/api/weights", method: .put, headers: AdminRig.json, body: ByteBuffer(string: body))
            #expect(response.status.code == status)
            #expect(try Self.error(response).problems.map(\.path) == paths)
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
        }
    }

    @Test("A body over 1 MiB is refused")
    func bodyLimit() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            let big = #"{"weights":{"core":1},"reason":""# + String(repeating: "x", count: 1 << 20) + #""}"#
            let response = try await client.execute(
                uri: "/api/v1/routes/api/weights", method: .put, headers: AdminRig.json, body: ByteBuffer(string: big))
            #expect(response.status == .contentTooLarge)
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
        }
    }

    @Test("Weights that leave nobody are a conflict unless forced")
    func force() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            func put(_ force: String) async throws -> TestResponse {
                try await client.execute(
                    uri: "/api/v1/routes/api/weights", method: .put, headers: AdminRig.json,
                    body: ByteBuffer(string: #"{"weights":{"core":0,"gateway":0}"# + force + "}"))
            }
            for force in ["", #","force":false"#] {
                let refused = try await put(force)
                #expect(refused.status == .conflict)
                #expect(try Self.error(refused).problems.map(\.path) == ["$.weights"])
            }
            #expect(try Self.error(try await put(#","force":1"#)).problems.map(\.path) == ["$.force"])
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
            #expect(try await put(#","force":true"#).status == .ok)
            #expect(await rig.bench.weights == ["core": 0, "gateway": 0])
        }
    }

    @Test("GET upstreams says of every endpoint how it is, why, and what probes found")
    func upstreams() async throws {
        let rig = AdminRig()
        try await rig.load()
        rig.transport.answer(Sample.address(3301), .refused)
        for port: UInt16 in [3301, 3302] {
            await rig.monitor.probe(EndpointKey(upstream: "gateway", address: Sample.address(port)))
        }
        try await rig.test { client in
            let body = try Self.json(try await client.execute(uri: "/api/v1/upstreams", method: .get))
            let upstreams = try #require(body["upstreams"] as? [[String: Any]])
            #expect(upstreams.map { $0["name"] as? String } == ["core", "gateway"])
            #expect(upstreams[1]["available"] as? Bool == true)
            let endpoints = try #require(upstreams[1]["endpoints"] as? [[String: Any]])
            #expect(endpoints.map { $0["address"] as? String } == ["127.0.0.1:3301", "127.0.0.1:3302"])
            #expect(endpoints.map { $0["availability"] as? String } == ["down", "up"])
            #expect(endpoints[0]["administrative"] as? String == "ready")
            #expect(endpoints[0]["ejected"] as? Bool == false)
            #expect((endpoints[0]["reason"] as? String)?.contains("refused") == true)
            #expect(endpoints[0]["since"] as? String == "2026-01-02T03:04:15.000Z")
            #expect(endpoints[0]["outstanding"] as? Int == 0)
            let probes = try #require(endpoints[0]["probes"] as? [[String: Any]])
            #expect(probes.count == 1 && probes[0]["cause"] as? String == "refused")
            #expect(probes[0]["microseconds"] as? Int == 1_500)
        }
    }

    @Test("PUT endpoints sets the administrative state, by address")
    func endpoints() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            func put(_ address: String, _ body: String) async throws -> TestResponse {
                try await client.execute(
                    uri: "/api/v1/endpoints/\(address)", method: .put, headers: AdminRig.json,
                    body: ByteBuffer(string: body))
            }
            let done = try await put("127.0.0.1:3301", #"{"administrative":"drain"}"#)
            #expect(done.status == .ok)
            #expect(try Self.json(done)["upstreams"] as? [String] == ["gateway"])
            let endpoint = await rig.bench.publisher.current.table.upstreams[1].endpoints[0]
            #expect(endpoint.administrative == .drain)
            #expect(try await put("127.0.0.1%3A3301", #"{"administrative":"ready"}"#).status == .ok)
            #expect(endpoint.administrative == .ready)
            var stale = AdminRig.json
            stale[.ifMatch] = "\"1-x\""
            let refused = try await client.execute(
                uri: "/api/v1/endpoints/127.0.0.1:3301", method: .put, headers: stale,
                body: ByteBuffer(string: #"{"administrative":"drain"}"#))
            #expect(refused.status == .preconditionFailed && endpoint.administrative == .ready)
            // As the file may have it.
            let named = try await put("localhost:3301", #"{"administrative":"drain"}"#)
            #expect(named.status == .ok)
            #expect(try Self.json(named)["address"] as? String == "127.0.0.1:3301")
            #expect(endpoint.administrative == .drain)
            #expect(try await put("localhost:9", #"{"administrative":"drain"}"#).status == .notFound)
            #expect(try await put("nobody:3301", #"{"administrative":"drain"}"#).status == .notFound)
            #expect(try await put("127.0.0.1:9", #"{"administrative":"drain"}"#).status == .notFound)
            #expect(try await put("nonsense", #"{"administrative":"drain"}"#).status == .notFound)
            let wrong = try await put("127.0.0.1:3301", #"{"administrative":"off"}"#)
            #expect(wrong.status == .unprocessableContent)
            #expect(try Self.error(wrong).problems.map(\.path) == ["$.administrative"])
        }
    }

    @Test("Status, metrics, journal and the unknown path answer in their forms")
    func rest() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            let status = try Self.json(try await client.execute(uri: "/api/v1/status", method: .get))
            #expect(status["generation"] as? Int == 1 && status["draining"] as? Bool == false)
            // By the monotonic clock: somebody sets the other one back.
            rig.bench.time.advance(90_000)
            rig.bench.time.setWall(back: 3_600_000)
            let later = try Self.json(try await client.execute(uri: "/api/v1/status", method: .get))
            #expect(later["uptimeSeconds"] as? Int == 90)
            #expect(status["version"] as? String == BalancerVersion.current)
            #expect((status["listeners"] as? [[String: String]]) == [["name": "public", "address": "127.0.0.1:8080"]])
            let metrics = try await client.execute(uri: "/metrics", method: .get)
            #expect(metrics.headers[.contentType] == MetricsText.contentType)
            #expect(String(buffer: metrics.body).contains("\nbalancer_table_generation 1\n"))
            let journal = try Self.json(try await client.execute(uri: "/api/v1/journal", method: .get))
            #expect((journal["entries"] as? [[String: Any]])?.first?["what"] as? String == "load")
            let missing = try await client.execute(uri: "/api/v1/nope", method: .get)
            #expect(missing.status == .notFound)
            #expect(missing.headers[.contentType] == "application/json")
        }
    }

    @Test("Explain names the route and why")
    func explain() async throws {
        let rig = AdminRig()
        try await rig.load()
        var configuration = Sample.configuration()
        var plus = RouteSpec(name: "answers-403", action: .respond(status: 403))
        plus.match.paths = [.exact("/a+b")]
        var field = RouteSpec(name: "answers-410", action: .respond(status: 410))
        field.match.paths = [.prefix("/x")]
        field.match.headers = [HeaderMatch(name: "x-a", value: "b")]
        configuration.table.routes += [plus, field]
        _ = try await rig.bench.load(configuration)
        try await rig.test { client in
            let found = try Self.json(
                try await client.execute(uri: "/api/v1/explain?path=/old&method=GET&host=example.org", method: .get))
            #expect(found["route"] as? String == "old")
            let other = try Self.json(
                try await client.execute(uri: "/api/v1/explain?path=/candidates&header=X-A:%20b", method: .get))
            #expect(other["route"] as? String == "api")
            // What a listener would read: a plus sign of a path as it is, blanks around a field's value not at all.
            for (query, status) in [
                ("path=/a+b", 403), ("path=/a%2Bb", 403), ("path=/x&header=X-A:%20b", 410),
                ("path=/x&header=X-A:b", 410),
                ("path=/x&header=X-A:+b", 410), ("path=/x&header=X-A:%09+b%20%09", 410), ("path=/x&header=X-A:b%2B", 0),
            ] {
                let answer = try Self.json(try await client.execute(uri: "/api/v1/explain?\(query)", method: .get))
                let route = answer["route"] as? String
                #expect(route == (status == 0 ? "api" : "answers-\(status)"), "\(query)")
            }
            #expect((other["shares"] as? [[String: Any]])?.count == 2)
            let wrong = try await client.execute(uri: "/api/v1/explain?path=x&client=nobody&header=y", method: .get)
            #expect(wrong.status == .unprocessableContent)
            #expect(try Self.error(wrong).problems.map(\.path) == ["?header", "?client", "?path"])
        }
    }

    @Test("The OpenAPI document describes every path that is served, and no other")
    func openAPI() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            let document = try Self.json(try await client.execute(uri: "/api/v1/openapi.json", method: .get))
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            let described = Set(paths.flatMap { path, methods in methods.keys.map { "\($0.uppercased()) \(path)" } })
            let router = rig.api.router()
            let served = Set(router.routes.map { "\($0.method.rawValue) \($0.path)" })
            #expect(described == served)
        }
    }

    @Test("Parameters of a change that are not known, or given twice, are refused: nothing changes")
    func parameters() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            func put(_ uri: String, _ body: String) async throws -> [ControlProblem] {
                let response = try await client.execute(
                    uri: uri, method: .put, headers: AdminRig.json, body: ByteBuffer(string: body))
                #expect(response.status == .unprocessableContent, "\(uri)")
                return try Self.error(response).problems
            }
            let weights = "/api/v1/routes/api/weights"
            let body = #"{"weights":{"gateway":50}}"#
            let misspelt = try await put(weights + "?dryrun=true", body)
            #expect(
                misspelt == [
                    ControlProblem(path: "?dryrun", message: #"unknown parameter; did you mean "dryRun"?"#)
                ])
            let unknown = try await put(weights + "?zzz", body)
            #expect(unknown == [ControlProblem(path: "?zzz", message: "unknown parameter")])
            let repeated = try await put(weights + "?dryRun=false&dryRun=true", body)
            #expect(repeated == [ControlProblem(path: "?dryRun", message: "was already given")])
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
            let elsewhere = try await put(
                "/api/v1/endpoints/127.0.0.1:3301?dryRun=true", #"{"administrative":"drain"}"#)
            #expect(elsewhere.map(\.path) == ["?dryRun"])
            let endpoint = await rig.bench.publisher.current.table.upstreams[1].endpoints[0]
            #expect(endpoint.administrative == .ready)
        }
    }

    @Test("A known path with another method is answered 405 with what it takes; HEAD goes wherever GET does")
    func methods() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            for (uri, method, allow) in [
                ("/api/v1/routes", HTTPRequest.Method.post, "GET, HEAD"), ("/healthz", .delete, "GET, HEAD"),
                ("/api/v1/routes/api/weights", .get, "PUT"), ("/api/v1/endpoints/127.0.0.1:3301", .post, "PUT"),
            ] {
                let response = try await client.execute(uri: uri, method: method)
                #expect(response.status == .methodNotAllowed, "\(method) \(uri)")
                #expect(response.headers[.allow] == allow, "\(method) \(uri)")
                #expect(try !Self.error(response).error.isEmpty)
            }
            #expect(try await client.execute(uri: "/api/v1/nope", method: .post).status == .notFound)
            #expect(try await client.execute(uri: "/api/v1", method: .post).status == .notFound)
            let head = try await client.execute(uri: "/healthz", method: .head)
            #expect(head.status == .ok && head.body.readableBytes == 0)
        }
    }
}
