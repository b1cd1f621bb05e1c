import Documents
import NIOCore
import NIOPosix
import Testing

@testable import GatewayService

@Suite("Drain")
struct DrainTests {
    /// Reads one response with a Content-Length from a connection that stays open.
    private func response(
        _ iterator: inout NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    ) async throws -> String? {
        var text = ""
        while let chunk = try await iterator.next() {
            text += String(buffer: chunk)
            guard let end = text.firstRange(of: "\r\n\r\n") else { continue }
            let length = text.firstMatch(of: #/Content-Length: (\d+)/#).flatMap { Int($0.1) } ?? 0
            if text[end.upperBound...].utf8.count >= length { return text }
        }
        return text.isEmpty ? nil : text
    }

    private func connect(_ port: Int) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
    }

    private static let get = ByteBuffer(string: "GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n")

    /// Told to stop, the server first says so to everyone who asks, and still serves.
    @Test func readinessFailsAndConnectionsEndWhileNewOnesAreServed() async throws {
        try await RunningServer.run({ $0.drain = .seconds(5) }) { server async throws in
            let channel = try await connect(server.port)
            try await channel.executeThenClose { inbound, outbound in
                var iterator = inbound.makeAsyncIterator()
                try await outbound.write(Self.get)
                let before = try #require(try await response(&iterator))
                #expect(before.contains("\r\nConnection: keep-alive\r\n"))
                await server.stop()
                // The wish to stop travels through two service groups.
                var ready = RunningServer.Answer("")
                repeat { ready = try await server.send("GET", "/readyz") } while ready.body == "ready\n"
                #expect(ready.status == "HTTP/1.1 503 Service Unavailable")
                #expect(ready.body == "not ready: stopping\n")
                #expect(try await server.send("GET", "/blockindex").status == "HTTP/1.1 200 OK")
                try await outbound.write(Self.get)
                let after = try #require(try await response(&iterator))
                #expect(after.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(after.contains("\r\nConnection: close\r\n"))
                #expect(after.hasSuffix("Good!"))
                #expect(try await iterator.next() == nil)
            }
        }
    }

    /// `run` returns only when the server has ended, so this also shows that it ends.
    @Test func whatIsInFlightIsFinished() async throws {
        let inner = try EmbeddedStore(reading: .memory)
        try inner.insert(SampleData(shape: .small).documents())
        let store = SlowStore(inner)
        try await RunningServer.run({ $0.deadline = .seconds(60) }, store: store) { server async throws in
            let channel = try await connect(server.port)
            try await channel.executeThenClose { inbound, outbound in
                var iterator = inbound.makeAsyncIterator()
                try await outbound.write(ByteBuffer(string: "GET /blockindex HTTP/1.1\r\nHost: h\r\n\r\n"))
                for await _ in store.calls { break }
                await server.stop()
                // Listening ends at once here; the request is still waiting for its documents.
                while let late = try? await connect(server.port) { try? await late.executeThenClose { _, _ in } }
                store.open()
                let answer = try #require(try await response(&iterator))
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(answer.contains("\r\nConnection: close\r\n"))
                #expect(answer.hasSuffix(#"{"latest":25600000,"earliest":24900000,"blocksIndexed":700000}"#))
                #expect(try await iterator.next() == nil)
            }
        }
    }

    /// A kept answer that is longer than the sockets hold, taken by a client that reads nothing until the server stops.
    @Test func aKeptAnswerThatIsStillBeingSentIsNotCutOff() async throws {
        let inner = try EmbeddedStore(reading: .memory)
        try inner.insert(SampleData().documents())
        try await RunningServer.run(store: inner) { server async throws in
            let whole = try await server.send("GET", "/candidates")
            #expect(whole.body.utf8.count > 1_000_000)
            let channel = try await connect(server.port)
            try await channel.executeThenClose { inbound, outbound in
                try await outbound.write(ByteBuffer(string: "GET /candidates HTTP/1.1\r\nHost: h\r\n\r\n"))
                var iterator = inbound.makeAsyncIterator()
                var bytes = try #require(try await iterator.next())
                await server.stop()
                while let late = try? await connect(server.port) { try? await late.executeThenClose { _, _ in } }
                while var chunk = try await iterator.next() { bytes.writeBuffer(&chunk) }
                let answer = RunningServer.Answer(String(buffer: bytes))
                #expect(answer.body == whole.body)
            }
        }
    }
}
