@testable import Control
import Hummingbird
import HummingbirdTesting
import RoutesFile
import Synchronization
import Testing
import Traffic

/// Answers of the admin API of a fixed state, letter by letter.
@Suite("Whole answers of the admin API") struct WholeAnswerTests {
    /// Status and body, without what differs from run to run.
    private static func ask(
        _ rig: AdminRig, _ method: HTTPRequest.Method, _ uri: String, _ body: String = ""
    ) async throws -> String {
        let text = Mutex("")
        try await rig.test { client in
            let response = try await client.execute(
                uri: uri, method: method, headers: AdminRig.json, body: ByteBuffer(string: body))
            let tag = await rig.bench.publisher.current.etag.replacing("\"", with: "\\\"")
            text.withLock {
                $0 =
                    "\(response.status.code) "
                    + String(buffer: response.body).replacing(tag, with: "TAG")
                    .replacing(#/"pid":[0-9]+/#, with: "\"pid\":PID")
                    .replacing(#/"undoes":"[0-9A-Z]{26}"/#, with: "\"undoes\":\"ID\"")
            }
        }
        return text.withLock { $0 }
    }

    /// A side's shares where all of the route's sides serve.
    private static func share(_ upstream: String, _ weight: Int, of all: Int = 100, available: Int) -> String {
        let endpoints = upstream == "core" ? 1 : 2
        let part = "\(Double(weight) / Double(all))"
        return
            #"{"available":true,"availableEndpoints":\#(available),"effectiveShare":\#(part),"endpoints":\#(endpoints),"#
            + #""share":\#(part),"upstream":"\#(upstream)","weight":\#(weight)}"#
    }

    private static func shares(_ core: Int, _ gateway: Int, available: Int = 2) -> String {
        "[\(Self.share("core", core, available: 1)),\(Self.share("gateway", gateway, available: available))]"
    }

    @Test("Status") func status() async throws {
        let rig = AdminRig()
        try await rig.load()
        var worker = WorkerSnapshot(worker: 0, generation: 1)
        worker.connectionsActive = 3
        worker.exchangesActive = 2
        rig.bench.dataPlane.state.withLock { [worker] in $0.workers = [worker, worker] }
        rig.bench.time.advance(90_500)
        _ = try await rig.bench.setWeights(["core": 1, "gateway": 1], force: true)
        rig.bench.time.advance(2_999)
        rig.lifecycle.beginDraining()
        #expect(
            try await Self.ask(rig, .get, "/api/v1/status") == """
                200 {"connections":6,"draining":true,"exchanges":4,"generation":2,"lastReload":{"at":\
                "2026-01-02T03:04:15.000Z","needsRestart":[],"ok":false,"problems":[]},"listeners":[{"address":\
                "127.0.0.1:8080","name":"public"}],"pid":PID,"sentence":{"level":"calm","text":\
                "Draining: nothing new is taken, 4 requests under way. core 50 %, gateway 50 % as set."},"stale":[],\
                "tableAge":2,"uptimeSeconds":93,"version":"\(BalancerVersion.current)","workers":2}
                """)
    }

    @Test("A route that is answered by the balancer itself") func route() async throws {
        let rig = AdminRig()
        var configuration = Sample.configuration()
        var gone = RouteSpec(name: "gone", action: .respond(status: 410))
        gone.match.paths = [.exact("/gone")]
        configuration.table.routes.append(gone)
        _ = try await rig.bench.load(configuration, .start)
        #expect(
            try await Self.ask(rig, .get, "/api/v1/routes/gone") == """
                200 {"failover":true,"match":{"exactPath":["/gone"],"headers":{},"host":[],"listener":[],"method":[],\
                "path":[]},"name":"gone","respond":{"status":410},"shares":[],"weights":{}}
                """)
    }

    @Test("A change of weights, dry, done, done again and refused") func weights() async throws {
        let rig = AdminRig()
        try await rig.load()
        for (upstream, port) in [("core", UInt16(3300)), ("gateway", 3301), ("gateway", 3302)] {
            await rig.monitor.probe(EndpointKey(upstream: upstream, address: Sample.address(port)))
        }
        let load =
            #"{"after":{"perEndpoint":0,"requestsPerSecond":0},"before":{"perEndpoint":0,"requestsPerSecond":0},"#
        let loads = ["core", "gateway"].map { load + "\"upstream\":\"\($0)\"}" }.joined(separator: ",")
        func answer(_ before: String, isChange: Bool, dryRun: Bool, generation: Int) -> String {
            #"200 {"after":\#(Self.shares(50, 50)),"before":\#(before),"changed":\#(isChange),"dryRun":\#(dryRun),"#
                + #""etag":"TAG","generation":\#(generation),"loads":[\#(loads)],"objections":[],"route":"api","warnings":[]}"#
        }
        let path = "/api/v1/routes/api/weights"
        let body = #"{"weights":{"core":50,"gateway":50},"reason":"half"}"#
        let before = Self.shares(90, 10)
        #expect(
            try await Self.ask(rig, .put, path + "?dryRun", body)
                == answer(before, isChange: true, dryRun: true, generation: 1))
        #expect(
            try await Self.ask(rig, .put, path, body) == answer(before, isChange: true, dryRun: false, generation: 2))
        #expect(
            try await Self.ask(rig, .put, path, body)
                == answer(Self.shares(50, 50), isChange: false, dryRun: false, generation: 2))
        #expect(
            try await Self.ask(rig, .put, path, #"{"weights":{"core":0,"gateway":0}}"#) == #"""
                409 {"error":"nothing was changed; if that is meant, ask with \"force\": true","problems":[{"message":\#
                "leaves no upstream of route \"api\" a weight: every request would be answered 503","path":"$.weights"}]}
                """#)
    }

    @Test("An endpoint's state, and undoing it") func undo() async throws {
        let rig = AdminRig()
        try await rig.load()
        for (upstream, port) in [("core", UInt16(3300)), ("gateway", 3301), ("gateway", 3302)] {
            await rig.monitor.probe(EndpointKey(upstream: upstream, address: Sample.address(port)))
        }
        _ = try await rig.bench.setWeights(["core": 50, "gateway": 50])
        #expect(
            try await Self.ask(
                rig, .put, "/api/v1/endpoints/127.0.0.1:3301", #"{"administrative":"drain","reason":"disk"}"#) == """
                    200 {"address":"127.0.0.1:3301","administrative":"drain","upstreams":["gateway"],"warnings":[]}
                    """)
        let route =
            #"{"after":\#(Self.shares(90, 10, available: 1)),"before":\#(Self.shares(50, 50, available: 1)),"route":"api"}"#
        #expect(
            try await Self.ask(rig, .post, "/api/v1/undo?dryRun", #"{"sequence":2,"reason":"no"}"#) == """
                200 {"changed":true,"dryRun":true,"endpoints":[],"etag":"TAG","generation":2,"leftOut":[],\
                "objections":[],"routes":[\(route)],"undoes":"ID","warnings":[]}
                """)
        #expect(
            try await Self.ask(rig, .post, "/api/v1/undo", #"{"toGeneration":1,"reason":"no","force":true}"#) == """
                200 {"changed":true,"dryRun":false,"endpoints":[{"address":"127.0.0.1:3301","after":"ready",\
                "before":"drain","upstream":"gateway"}],"etag":"TAG","generation":3,"leftOut":[],"objections":[],\
                "routes":[\(route)],"undoes":"generation 1","warnings":[]}
                """)
    }
}
