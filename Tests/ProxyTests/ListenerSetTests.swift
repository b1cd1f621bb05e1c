import Reactor
import TestSupport
import Testing
import Traffic

@testable import Proxy

@Suite("Listeners that another process gave") struct ListenerSetTests {
    private static let any = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0)

    /// The port of a listener that asks for any, given a socket of the name "old".
    private func port(_ name: String) async throws -> (given: UInt16, taken: UInt16) {
        let registry = EndpointRegistry()
        let table = RoutingTable(spec: TableSpec(), generation: 0, registry: registry)
        let server = try ProxyServer(workers: 1, table: table, registry: registry, accessLog: nil)
        try server.start()
        defer { server.stop() }
        var socket = try Socket.listen(on: Self.any)
        let bound = socket.boundAddress()
        await server.adoptListeners([(name: "old", descriptor: socket.release())])
        try await server.listen(on: [ListenerSpec(name: name, address: Self.any)])
        let taken = await server.boundAddresses()[name]?.port
        return (given: try #require(bound?.port), taken: try #require(taken))
    }

    @Test("A listener for any port goes on at the one of its own name, and of no other's")
    func names() async throws {
        let own = try await self.port("old")
        #expect(own.given == own.taken)
        let other = try await self.port("new")
        #expect(other.given != other.taken)
    }
}
