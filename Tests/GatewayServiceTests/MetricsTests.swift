import Documents
import NIOCore
import Testing

@testable import GatewayService

/// What `/metrics` says, as Prometheus reads it.
@Suite("Metrics")
struct MetricsTests {
    /// Values by name and labels.
    private static func read(_ server: RunningServer) async throws -> [Substring: Double] {
        let text = try await server.send("GET", "/metrics").body
        var values: [Substring: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: " ")
            try #require(parts.count == 2, "\(line)")
            #expect(values.updateValue(try #require(Double(parts[1]), "\(line)"), forKey: parts[0]) == nil, "\(line)")
        }
        return values
    }

    /// Reads until a value is as it should be; false if it does not come to that within half a minute.
    private static func awaits(
        _ name: Substring, _ server: RunningServer, _ isRight: (Double) -> Bool
    ) async throws -> Bool {
        for _ in 0..<3_000 {
            if isRight(try await Self.read(server)[name] ?? 0) { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// Every series belongs to a metric with one help and one type, which stand before it; nothing is said twice.
    @Test func theTextHasItsForm() async throws {
        try await RunningServer.run { server async throws in
            for path in ["/candidates", "/nope", "/score/a/b"] { _ = try await server.send("GET", path) }
            _ = try await Self.read(server)
            var known: [Substring: String] = [:]
            var help: Substring?
            for line in try await server.send("GET", "/metrics").body.split(separator: "\n") {
                let words = line.split(separator: " ")
                if line.hasPrefix("# HELP ") {
                    #expect(known[words[2]] == nil, "\(line)")
                    help = words[2]
                } else if line.hasPrefix("# TYPE ") {
                    #expect(words[2] == help)
                    known[words[2]] = String(words[3])
                } else {
                    let name = line.prefix { $0 != "{" && $0 != " " }
                    let family = name.replacing(#/_(bucket|sum|count)$/#, with: "")
                    #expect(known[name] ?? known[family[...]] != nil, "\(line)")
                    #expect(name.hasSuffix("_total") == (known[name] == "counter"), "\(line)")
                }
            }
        }
    }

    @Test func theProcessAndItsReleaseAreTold() async throws {
        try await RunningServer.run { server async throws in
            let values = try await Self.read(server)
            #expect(values["gateway_build_info{version=\"\(GatewayVersion.current)\"}"] == 1)
            #expect(values["process_start_time_seconds"] == 1_731_499_200)
            #expect(try #require(values["process_cpu_seconds_total"]) > 0)
            #expect(try #require(values["process_resident_memory_bytes"]) > 1_048_576)
            #expect(try #require(values["process_threads"]) > 1)
            let (open, most) = (values["process_open_fds"], values["process_max_fds"])
            #expect(try #require(open) > 3)
            #expect(try #require(most) >= (open ?? 0))
        }
    }

    /// Kept, given up for room, given up for age.
    @Test func whatIsKeptIsTold() async throws {
        try await RunningServer.run({ $0.cacheBytes = 100_000 }) { server async throws in
            let first = try await Self.read(server)
            #expect(first["gateway_cache_entries"] == 0)
            #expect(first["gateway_cache_bytes"] == 0)
            _ = try await server.send("GET", "/blockindex")
            let second = try await Self.read(server)
            #expect(second["gateway_cache_entries"] == 1)
            #expect(try #require(second["gateway_cache_bytes"]) > 100)
            #expect(second[#"gateway_cache_evictions_total{reason="room"}"#] == 0)
            for number in 0..<40 {
                _ = try await server.send("GET", "/blockindex?" + String(repeating: "a", count: 4000) + "\(number)")
            }
            let third = try await Self.read(server)
            let evicted = try #require(third[#"gateway_cache_evictions_total{reason="room"}"#])
            #expect(evicted > 10)
            #expect(third["gateway_cache_entries"] == 41 - evicted)
        }
        try await RunningServer.run({ $0.cacheLifetime = .milliseconds(1) }) { server async throws in
            for _ in 0..<3 { _ = try await server.send("GET", "/blockindex") }
            #expect(try await Self.awaits(#"gateway_cache_evictions_total{reason="age"}"#, server) { $0 > 0 })
        }
    }

    /// While a request runs, and while its reader does not read.
    @Test func whatIsUnderWayIsTold() async throws {
        let inner = try EmbeddedStore(reading: .memory)
        try inner.insert(SampleData(shape: .small).documents())
        let store = SlowStore(inner)
        try await RunningServer.run(store: store) { server async throws in
            try await server.connect().executeThenClose { _, outbound in
                try await outbound.write(ByteBuffer(string: "GET /validators HTTP/1.1\r\nHost: h\r\n\r\n"))
                var calls = store.calls.makeAsyncIterator()
                await calls.next()
                let values = try await Self.read(server)
                // The one that waits and the one that tells.
                #expect(values["gateway_requests_in_flight"] == 2)
                #expect(values["gateway_connections"] == 2)
                #expect(values["gateway_unsent_bytes"] == 0)
                #expect(values[#"gateway_database_clients{state="busy"}"#] == 3)
                #expect(values["gateway_database_waiting"] == 2)
                store.open()
            }
            // The one that tells; the other's end is seen in its own time.
            #expect(try await Self.awaits("gateway_requests_in_flight", server) { $0 == 1 })
        }
        let text = String(repeating: "x", count: 1000)
        let full = FullStore(try ExtendedJSON.batch((0..<12_000).map { _ in #"{"t":"\#(text)"}"# }))
        try await RunningServer.run(store: full) { server async throws in
            try await server.connect().executeThenClose { _, outbound in
                try await outbound.write(ByteBuffer(string: "GET /validators HTTP/1.1\r\nHost: h\r\n\r\n"))
                #expect(try await Self.awaits("gateway_unsent_bytes", server) { $0 >= 100_000 })
            }
            #expect(try await Self.awaits("gateway_unsent_bytes", server) { $0 == 0 })
        }
    }

    /// A service without a database has what it has.
    @Test func withoutADatabase() async throws {
        try await RunningServer.run({
            $0.service = .healthOnly
            $0.role = .core
        }) { server async throws in
            let values = try await Self.read(server)
            #expect(values["gateway_connections"] == 1)
            #expect(values["gateway_cache_entries"] == nil)
            #expect(values["gateway_database_waiting"] == nil)
        }
    }
}
