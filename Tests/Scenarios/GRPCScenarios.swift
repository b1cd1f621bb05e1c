import Foundation
import TestSupport
import Testing

/// gRPC by its own library, client and server, with the balancer between them.
@Suite("gRPC", .serialized, .enabled(if: GRPCPeer.isThere, "no grpcio (Tests/GRPC/with-grpc installs it)"))
struct GRPCScenarios {
    private func balancer(
        _ port: UInt16, keys: String = "", route: String = "", top: String = ""
    ) throws -> BalancerProcess {
        try BalancerProcess(
            """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0", "http2": true}],
             "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": true}, \(top)
             "upstreams": {"core": {"endpoints": ["127.0.0.1:\(port)"], "protocol": "http2"\(keys)}},
             "routes": [{"name": "api", "split": {"core": 1}\(route)}]}
            """)
    }

    @Test("All four kinds of calls, a large message, metadata both ways; statuses are counted and logged")
    func calls() throws {
        let server = try GRPCPeer()
        let balancer = try self.balancer(server.port)
        #expect(try GRPCPeer.call(balancer.port, "echo") == "hello end")
        #expect(try GRPCPeer.call(balancer.port, "large") == "3000000")
        #expect(try GRPCPeer.call(balancer.port, "count") == "1000 999")
        #expect(try GRPCPeer.call(balancer.port, "total") == "499500")
        #expect(try GRPCPeer.call(balancer.port, "chat") == "ABC")
        #expect(try GRPCPeer.call(balancer.port, "fail") == "NOT_FOUND nichts für 100%")
        #expect(try GRPCPeer.call(balancer.port, "unknown").hasPrefix("UNIMPLEMENTED"))
        #expect(server.program.output.contains("echo hello 127.0.0.1"))
        let counted = { (status: String) in
            try balancer.metric(
                "balancer_grpc_requests_total{route=\"api\",upstream=\"core\",grpc_status=\"\(status)\"}")
        }
        #expect(try eventually { try counted("0") >= 4 })
        #expect(try counted("5") == 1)
        #expect(try counted("12") == 1)
        let line = try balancer.program.await { $0.contains("/test.Peer/Fail") ? $0 : nil }
        #expect(line.contains("\"status\":200") && line.contains("\"grpcStatus\":5"), "\(line)")
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("A deadline that passes is passed on; one of the client's shortens what is waited")
    func deadlines() throws {
        let server = try GRPCPeer()
        let balancer = try self.balancer(server.port)
        #expect(try GRPCPeer.call(balancer.port, "slow0.5").hasPrefix("DEADLINE_EXCEEDED"))
        _ = try server.program.await { $0 == "slow cancelled" ? true : nil }
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("Refusals are gRPC's own: by address, by limit with a pushback, by route, and where nobody is there")
    func refusals() throws {
        let server = try GRPCPeer()
        let denied = try self.balancer(server.port, route: #", "deny": ["127.0.0.1"]"#)
        #expect(try GRPCPeer.call(denied.port, "echo") == "PERMISSION_DENIED address-denied")
        let limited = try self.balancer(
            server.port,
            route: #", "rateLimit": [{"name": "all", "key": {"by": "all"}, "rate": "1/h", "burst": 1}]"#)
        #expect(try GRPCPeer.call(limited.port, "echo") == "hello end")
        let refused = try GRPCPeer.call(limited.port, "echo")
        #expect(refused.hasPrefix("RESOURCE_EXHAUSTED rate-limited "), "\(refused)")
        let nobody = try ReservedPort()
        let alone = try self.balancer(nobody.number)
        #expect(try GRPCPeer.call(alone.port, "echo") == "UNAVAILABLE connection-refused")
        #expect(
            try alone.metric("balancer_grpc_requests_total{route=\"api\",upstream=\"\",grpc_status=\"14\"}") == 1)
        let elsewhere = try self.balancer(server.port, route: #", "match": {"path": "/other"}"#)
        #expect(try GRPCPeer.call(elsewhere.port, "echo") == "UNIMPLEMENTED no-route")
    }

    @Test("An upstream of HTTP/1.1 cannot carry it, and check says so")
    func unfit() throws {
        let upstream = try ScriptedUpstream.plain("core")
        let balancer = try BalancerProcess(
            http2Before: upstream,
            routes:
                #"{"name": "grpc", "match": {"headers": {"content-type": "application/grpc"}}, "split": {"core": 1}}"#)
        #expect(try GRPCPeer.call(balancer.port, "echo") == "UNAVAILABLE grpc-needs-http2")
        #expect(upstream.requests.isEmpty)
        let checked = try Program.run("balancer", ["check", balancer.file])
        #expect((checked.output + checked.errors).contains("is for gRPC, which needs HTTP/2"), "\(checked)")
    }

    @Test("Its health service decides whether an endpoint is up")
    func health() throws {
        let server = try GRPCPeer()
        let balancer = try self.balancer(
            server.port, keys: #", "health": {"grpc": "", "interval": "100ms", "rise": 1, "fall": 1}"#)
        let available = "balancer_endpoint_available{upstream=\"core\",endpoint=\"127.0.0.1:\(server.port)\"}"
        #expect(try eventually { try balancer.metric(available) == 1 })
        #expect(try GRPCPeer.call(server.port, "off") == "off")
        #expect(try eventually { try balancer.metric(available) == 0 })
        #expect(try GRPCPeer.call(balancer.port, "echo") == "UNAVAILABLE no-endpoint-available")
        #expect(try balancer.command("upstreams").output.contains("did not say SERVING"))
        #expect(try GRPCPeer.call(server.port, "on") == "on")
        #expect(try eventually { try balancer.metric(available) == 1 })
        #expect(try GRPCPeer.call(balancer.port, "echo") == "hello end")
        let other = try self.balancer(
            server.port, keys: #", "health": {"grpc": "none.such", "interval": "100ms", "fall": 1}"#)
        #expect(try eventually { try other.command("upstreams").output.contains("did not say SERVING") })
    }
}

/// The script beside this file: a server that runs, and calls that are made one at a time.
final class GRPCPeer: Sendable {
    let program: Program
    let port: UInt16

    private static let python = ProcessInfo.processInfo.environment["GRPC_TEST_PYTHON"]
    private static let script = Program.root + "/Tests/GRPC/grpc_peer.py"

    static var isThere: Bool { self.python != nil }

    init() throws {
        guard let python = Self.python else { throw TestFailure("no grpcio") }
        self.program = try Program(path: python, [Self.script, "serve"])
        self.port = try self.program.await { $0.hasPrefix("port ") ? UInt16($0.dropFirst(5)) : nil }
    }

    static func call(_ port: UInt16, _ name: String) throws -> String {
        guard let python = Self.python else { throw TestFailure("no grpcio") }
        let program = try Program(path: python, [Self.script, "call", "\(port)", name])
        guard program.awaitExit(seconds: 60) == 0 else { throw TestFailure("\(name): \(program.errors.suffix(5))") }
        return program.output.joined(separator: "\n")
    }
}
