import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// A balancer, really running, whose endpoints come and go under load.
@Suite("Discovery under load", .serialized)
struct DiscoveryProcessTests {
    /// What the API server says next.
    private final class Script: Sendable {
        private let events = Mutex<[String]>([])
        func say(_ event: String) { self.events.withLock { $0.append(event) } }
        /// The event of that number, once there is one; nil after a minute.
        func await(_ number: Int) -> String? {
            _ = eventually(seconds: 60) { self.events.withLock { $0.count > number } }
            return self.events.withLock { $0.count > number ? $0[number] : nil }
        }
    }

    /// A slice of its own for the pod, because pods of a test differ by their port.
    private func slice(_ pod: ScriptedUpstream, _ version: Int, ready: Bool = true) -> String {
        Slices.slice(
            "p\(pod.port)", version, ports: "[{\"name\": \"http\", \"port\": \(pod.port)}]",
            members: [("127.0.0.1", "{\"ready\": \(ready), \"serving\": true, \"terminating\": \(!ready)}")])
    }

    /// Answers for `/slow` are held until the test has seen the endpoint go.
    private func pod(_ name: String, holding release: Locked<Bool> = Locked(false)) throws -> ScriptedUpstream {
        try ScriptedUpstream.answering { request, _ in
            if request.start.contains("/slow") { _ = eventually(seconds: 60) { release.value } }
            return "HTTP/1.1 200 OK\r\nContent-Length: \(name.utf8.count)\r\n\r\n\(name)"
        }
    }

    private func configuration(_ server: String) -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0"}], "admin": {"address": "127.0.0.1:0"},
         "accessLog": {"enabled": false},
         "upstreams": {"gateway": {
           "discovery": {"endpointSlices": {"service": "gateway", "port": "http", "server": "\(server)"}},
           "health": {"path": "/health", "interval": "500ms", "timeout": "500ms", "rise": 1}}},
         "routes": [{"name": "api", "split": {"gateway": 1}}]}
        """
    }

    private func ports(_ balancer: BalancerProcess) throws -> Set<UInt16> {
        let upstreams = try balancer.json("/api/v1/upstreams")["upstreams"] as? [[String: Any]] ?? []
        let endpoints = upstreams.flatMap { $0["endpoints"] as? [[String: Any]] ?? [] }
        return Set(
            endpoints.compactMap { ($0["address"] as? String)?.split(separator: ":").last.flatMap { UInt16($0) } })
    }

    @Test("Pods come, terminate and go, the API server too: no request fails, none is cut, what is gone gets nothing")
    func pods() throws {
        let release = Locked(false)
        let one = try self.pod("one", holding: release)
        let two = try self.pod("two", holding: release)
        let three = try self.pod("three")
        let script = Script()
        let first = self.slice(one, 5)
        let server = try FakeAPIServer(
            list: { _ in (200, Slices.list(10, [first])) },
            watch: { number, watch in
                guard number == 0 else { return watch.refuse(503) }
                watch.begin()
                var sent = 0
                while let event = script.await(sent), !event.isEmpty {
                    watch.send(event)
                    sent += 1
                }
            })
        defer { for upstream in [one, two, three, server.upstream] { upstream.stop() } }
        let balancer = try BalancerProcess(self.configuration(server.url), workers: 2)
        let load = LoadClient(port: balancer.port) { _ in "GET / HTTP/1.1\r\nHost: test\r\n\r\n" }
        load.start(connections: 4)
        try load.awaitAnswers(200)
        #expect(Set(load.answers.keys) == ["one"])

        script.say(Slices.event("ADDED", self.slice(two, 11)))
        #expect(eventually { load.answers["two"] ?? 0 > 50 })

        // A request is under way at a pod that begins to terminate.
        let slow = Mutex<[String]>([])
        for _ in 0..<8 {
            let port = balancer.port
            startThread {
                let answer = (try? RawConnection(port: port)).flatMap { connection -> String? in
                    connection.send("GET /slow HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                    return connection.readAll(seconds: 60).text
                }
                slow.withLock { $0.append(answer ?? "") }
            }
        }
        #expect(eventually { one.requests.contains { $0.start.contains("/slow") } })
        script.say(Slices.event("MODIFIED", self.slice(one, 12, ready: false)))
        #expect(try eventually { try self.ports(balancer) == [two.port] })
        #expect(slow.withLock { $0.isEmpty })
        try load.awaitAnswers(200)
        release.change { $0 = true }
        #expect(eventually { slow.withLock { $0.count == 8 } })
        #expect(slow.withLock { $0.allSatisfy { $0.hasPrefix("HTTP/1.1 200 OK") } })
        try load.awaitRound()
        let settled = one.requests.count
        try load.awaitAnswers(200)
        #expect(one.requests.count == settled)

        // All at once: two is gone and three is there.
        script.say(
            Slices.event("ADDED", self.slice(three, 13)) + Slices.event("DELETED", self.slice(two, 14)))
        #expect(try eventually { try self.ports(balancer) == [three.port] })
        try load.awaitAnswers(200)

        // The API server goes away: what was known stays, and says that it is stale.
        script.say("")
        #expect(try eventually { try balancer.json("/api/v1/status")["stale"] as? [String] == ["gateway"] })
        #expect(try self.ports(balancer) == [three.port])
        try load.awaitAnswers(200)
        let metrics = try balancer.admin("/metrics").text
        #expect(metrics.contains("\nbalancer_discovery_stale{upstream=\"gateway\"} 1\n"))
        #expect(metrics.contains("\nbalancer_discovery_endpoints{upstream=\"gateway\"} 1\n"))
        // First the broken watch is the reason, then what the next one is answered.
        #expect(
            try eventually {
                let shown = try balancer.command("upstreams").output
                return shown.contains("gateway: endpointSlices gateway:http, last found ")
                    && shown.contains("stale: watching is answered by 503")
            })
        #expect(try Program.run("balancer", ["health", "--admin", balancer.admin]).status == 0)

        load.stop()
        try load.finish()
        #expect(load.failures.isEmpty, "\(load.failures.prefix(5))")
        #expect(balancer.stop() == 0)
    }

    @Test("A pod that turns out to be the balancer itself gets nothing, and no request goes round")
    func own() throws {
        let pod = try self.pod("one")
        let reserved = try ReservedPort()
        defer { withExtendedLifetime(reserved) {} }
        let port = reserved.number
        let server = try FakeAPIServer(
            list: { _ in
                (
                    200,
                    Slices.list(
                        10,
                        [
                            self.slice(pod, 5),
                            Slices.slice(
                                "self", 6, ports: "[{\"name\": \"http\", \"port\": \(port)}]",
                                members: [("127.0.0.1", "{\"ready\": true}")]),
                        ])
                )
            },
            watch: { _, watch in
                watch.begin()
                watch.hold()
            })
        defer { for upstream in [pod, server.upstream] { upstream.stop() } }
        let text = self.configuration(server.url)
            .replacingOccurrences(of: "127.0.0.1:0\"}], \"admin\"", with: "0.0.0.0:\(port)\"}], \"admin\"")
        let balancer = try BalancerProcess(text)
        #expect(balancer.port == port)
        for _ in 0..<20 { #expect(try balancer.request().text == "one") }
        let requests = pod.requests.filter { !$0.start.contains("/health") }.count
        #expect(requests == 20, "none went round")
        let upstreams = try balancer.json("/api/v1/upstreams")["upstreams"] as? [[String: Any]] ?? []
        let endpoints = upstreams.flatMap { $0["endpoints"] as? [[String: Any]] ?? [] }
        let own = try #require(endpoints.first { $0["address"] as? String == "127.0.0.1:\(port)" })
        #expect(own["availability"] as? String == "refused")
        #expect((own["reason"] as? String)?.contains("itself") == true)
        #expect(eventually { balancer.program.errors.contains { $0.contains("this balancer itself") } })
    }

    @Test("An API server that nobody answers at does not keep a balancer from starting")
    func unreachable() throws {
        let gone = try ScriptedUpstream { _, _ in }
        gone.stop()
        let balancer = try BalancerProcess(self.configuration("http://127.0.0.1:\(gone.port)"))
        #expect(try balancer.request().status == 503)
        #expect(try balancer.admin("/readyz").status == 200)
        #expect(try balancer.json("/api/v1/status")["stale"] as? [String] == ["gateway"])
    }
}
