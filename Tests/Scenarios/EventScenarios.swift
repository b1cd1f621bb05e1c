import Foundation
import Glibc
import TestSupport
import Testing

/// Events of a running balancer, as a dashboard follows them.
@Suite("Events of a running balancer", .serialized) struct EventScenarios {
    /// Follows events on a connection of its own.
    private final class Follower {
        private let connection: RawConnection
        private var held = ""
        private(set) var states = 0

        init(port: UInt16) throws {
            self.connection = try RawConnection(port: port)
            self.connection.send("GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\r\n")
        }

        /// The next state; nil: the stream has ended.
        func next(seconds: Double = 30) throws -> [String: Any]? {
            let deadline = Deadline(seconds: seconds)
            while true {
                if let start = self.held.range(of: "event: state\ndata: "),
                    let end = self.held.range(of: "\n\n", range: start.upperBound..<self.held.endIndex)
                {
                    let text = self.held[start.upperBound..<end.lowerBound]
                    self.held = String(self.held[end.upperBound...])
                    self.states += 1
                    return try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
                }
                switch self.connection.receive(by: deadline) {
                case .data(let bytes): self.held += String(decoding: bytes, as: UTF8.self)
                case .closed, .reset: return nil
                case .timeout: throw TestFailure("no state comes")
                }
                if self.held.hasSuffix("\r\n0\r\n\r\n") { return nil }
            }
        }

        /// The first state for which this holds.
        func until(_ holds: ([String: Any]) -> Bool) throws -> [String: Any] {
            let deadline = Deadline(seconds: 60)
            while !deadline.hasPassed {
                guard let state = try self.next() else { throw TestFailure("the stream has ended") }
                if holds(state) { return state }
            }
            throw TestFailure("no such state came")
        }
    }

    private static func side(_ state: [String: Any], _ name: String) -> [String: Any] {
        (state["sides"] as? [[String: Any]] ?? []).first { $0["upstream"] as? String == name } ?? [:]
    }

    private static func sentence(_ state: [String: Any]) -> String {
        (state["sentence"] as? [String: Any])?["text"] as? String ?? ""
    }

    @Test("They tell what is served, a change of weights, and an endpoint that goes and comes; status says the same")
    func follows() throws {
        let core = try ScriptedUpstream.plain("core")
        let ill = Progress()
        let gateway = try ScriptedUpstream.answering { request, _ in
            let isProbe = request.start.hasPrefix("GET /health ")
            let status = isProbe && ill.value % 2 == 1 ? "503 Service Unavailable" : "200 OK"
            return "HTTP/1.1 \(status)\r\nContent-Length: 7\r\n\r\ngateway"
        }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])],
                upstreamKeys: "\"health\": {\"path\": \"/health\", \"interval\": \"100ms\", \"rise\": 1, \"fall\": 1}"))
        let load = LoadClient(port: balancer.port)
        load.start(connections: 2)
        defer { load.stop() }
        let follower = try Follower(port: balancer.adminPort)
        let served = try follower.until { state in
            ["core", "gateway"].allSatisfy {
                ((Self.side(state, $0)["flow"] as? [String: Any])?["requestsPerSecond"] as? Double ?? 0) > 0
            }
        }
        #expect(Self.sentence(served).contains("core 50 %, gateway 50 % as set. Nothing is wrong."))
        let journal = try #require(served["journal"] as? Int)
        #expect(try balancer.setWeights("{\"core\": 3}").status == 200)
        let changed = try follower.until { ($0["journal"] as? Int ?? 0) > journal }
        #expect(Self.sentence(changed).contains("core 75 %, gateway 25 % as set."))
        ill.add(1)
        let down = try follower.until { !(($0["troubles"] as? [Any]) ?? []).isEmpty }
        #expect(Self.side(down, "gateway")["availableEndpoints"] as? Int == 0)
        #expect(
            Self.sentence(down).contains("gateway: its endpoint down for")
                && Self.sentence(down).contains("its share is carried by the others"), "\(Self.sentence(down))")
        let status = try balancer.command("status")
        #expect(status.status == 0 && status.output.contains("its share is carried by the others"), "\(status)")
        ill.add(1)
        _ = try follower.until { (($0["troubles"] as? [Any]) ?? []).isEmpty }
        #expect(try balancer.metric("balancer_admin_event_clients") == 1)
        load.stop()
        try load.finish()
        #expect(balancer.stop() == 0, "a stream holds no stop up")
    }

    @Test("A process that takes over is followed on the same address; the one before ends its streams")
    func takeover() throws {
        let core = try ScriptedUpstream.plain("core")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let admin = try ReservedPort()
        let text = """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0"}],
             "admin": {"address": "127.0.0.1:\(admin.number)"}, "accessLog": {"enabled": false},
             "takeover": {"path": "\(folder)/takeover.sock"},
             "upstreams": {"core": {"endpoints": ["127.0.0.1:\(core.port)"]}},
             "routes": [{"name": "api", "split": {"core": 1}}]}
            """
        try BalancerProcess.write(text, to: folder + "/routes.json")
        let before = try BalancerProcess("", folder: folder)
        let follower = try Follower(port: admin.number)
        _ = try #require(try follower.next())
        let after = try BalancerProcess("", folder: folder)
        while try follower.next() != nil {}
        #expect(before.program.awaitExit() == 0)
        let again = try Follower(port: admin.number)
        #expect(try again.next() != nil)
        #expect(after.stop() == 0)
    }
}
