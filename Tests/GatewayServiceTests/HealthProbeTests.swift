import NIOCore
import NIOPosix
import Testing

@testable import GatewayService

@Suite("Health probe")
struct HealthProbeTests {
    @Test func aliveIs200() async throws {
        try await RunningServer.run { server async throws in
            #expect(await HealthProbe(host: "127.0.0.1", port: server.port).isAlive(within: .seconds(20)))
            let nothing = HealthProbe(host: "127.0.0.1", port: server.port, path: "/nope")
            #expect(await !nothing.isAlive(within: .seconds(20)))
        }
    }

    /// Refused, and accepted but never answered.
    @Test func neitherIsAlive() async throws {
        let silent = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(silent.localAddress?.port)
        let start = ContinuousClock.now
        #expect(await !HealthProbe(host: "127.0.0.1", port: port).isAlive(within: .milliseconds(100)))
        #expect(ContinuousClock.now - start < .seconds(15))
        try await silent.close()
        #expect(await !HealthProbe(host: "127.0.0.1", port: port).isAlive(within: .seconds(20)))
    }
}
