import Testing

@testable import Traffic

@Suite("Own addresses")
struct OwnAddressesTests {
    private func address(_ text: String) throws -> SocketAddress { try #require(SocketAddress(parsing: text)) }

    @Test(
        "A wildcard listener is reached at every address of the machine, of its family; others where they are bound",
        arguments: [
            ("0.0.0.0:80", "10.0.0.5:80", true), ("0.0.0.0:80", "10.0.0.5:81", false),
            ("0.0.0.0:80", "10.0.0.6:80", false), ("0.0.0.0:80", "127.0.0.9:80", true),
            ("0.0.0.0:80", "[fd00::5]:80", false), ("[::]:80", "[fd00::5]:80", true), ("[::]:80", "10.0.0.5:80", true),
            ("[::]:80", "[::1]:80", true), ("10.0.0.5:80", "10.0.0.5:80", true), ("127.0.0.1:80", "10.0.0.5:80", false),
            ("127.0.0.1:80", "0.0.0.0:80", true),
        ])
    func contains(listener: String, endpoint: String, isOwn: Bool) throws {
        let own = OwnAddresses(
            listeners: [try self.address(listener)],
            interfaces: [try self.address("10.0.0.5:1").ip, try self.address("[fd00::5]:1").ip])
        #expect(own.contains(try self.address(endpoint)) == isOwn)
    }

    @Test(
        "Endpoints are refused whether they are known before the listeners or after, and taken again when those are gone"
    )
    func registry() throws {
        let registry = EndpointRegistry()
        let listener = try self.address("10.0.0.5:80")
        let before = registry.endpoint(upstream: "a", address: listener, probed: false)
        let other = registry.endpoint(upstream: "a", address: try self.address("10.0.0.6:80"), probed: false)
        #expect(before.isSelectable(now: 0))
        registry.refuse(OwnAddresses(listeners: [listener]))
        let after = registry.endpoint(upstream: "b", address: listener, probed: false)
        #expect(!before.isSelectable(now: 0) && !after.isSelectable(now: 0) && other.isSelectable(now: 0))
        #expect(before.explain(now: 0).availability == "refused")
        // An operator's word does not change it.
        after.setAdministrative(.maintenance, now: 1)
        after.setAdministrative(.ready, now: 2)
        #expect(!after.isSelectable(now: 3))
        registry.refuse(OwnAddresses())
        #expect(before.isSelectable(now: 4) && after.isSelectable(now: 4))
    }
}
