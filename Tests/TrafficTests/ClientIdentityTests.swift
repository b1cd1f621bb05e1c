import Testing
import Traffic

@Suite("Who the client is")
struct ClientIdentityTests {
    private static let trusted = AddressSet(["10.0.0.0/8", "fd00::/8"].compactMap { AddressBlock(parsing: $0) })

    /// `fields` as they stand in the request, from the first to the last.
    private func client(peer: String, _ fields: [String]) throws -> String {
        var identity = ClientIdentity(peer: try #require(IPAddress(parsing: peer)), trusted: Self.trusted)
        for field in fields.reversed() {
            for element in field.split(separator: ",", omittingEmptySubsequences: false).reversed() {
                let trimmed = element.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
                let bytes = Array(String(trimmed).utf8)
                if !identity.offer(bytes.span, trusted: Self.trusted) { return "\(identity.address)" }
            }
        }
        return "\(identity.address)"
    }

    @Test(
        "The last address that can be believed, else the peer",
        arguments: [
            ("192.0.2.9", ["203.0.113.7"], "192.0.2.9"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", ["198.51.100.1, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", ["198.51.100.1, 203.0.113.7", "10.0.0.3 ,10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", ["10.9.9.9"], "10.9.9.9"),
            ("10.0.0.1", ["10.9.9.9", "unknown"], "10.0.0.1"),
            ("10.0.0.1", ["10.9.9.9", ""], "10.0.0.1"),
            ("10.0.0.1", ["10.9.9.9", "fe80::1%eth0"], "10.0.0.1"),
            ("10.0.0.1", ["10.9.9.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", ["10.9.9.9, , 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", ["10.9.9.9,", "10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", ["10.9.9.9 10.9.9.8"], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
            ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
            ("fd00::1", ["203.0.113.7, fd00::2"], "203.0.113.7"),
            ("10.0.0.1", ["[203.0.113.7]"], "10.0.0.1"),
            ("10.0.0.1", ["[2001:db8::7"], "10.0.0.1"),
            ("10.0.0.1", ["[2001:db8::7]x"], "10.0.0.1"),
            ("10.0.0.1", ["[]"], "10.0.0.1"),
            ("10.0.0.1", ["["], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.7:"], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.7:123456"], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.7:8o"], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.007"], "10.0.0.1"),
            ("10.0.0.1", ["client.example"], "10.0.0.1"),
            ("10.0.0.1", ["\"203.0.113.7\""], "10.0.0.1"),
            ("10.0.0.1", [String(repeating: "1", count: 65)], "10.0.0.1"),
        ] as [(String, [String], String)])
    func believed(peer: String, fields: [String], expected: String) throws {
        #expect(try self.client(peer: peer, fields) == expected)
    }

    @Test("What was refused once opens nothing further")
    func closed() throws {
        var identity = ClientIdentity(peer: try #require(IPAddress(parsing: "10.0.0.1")), trusted: Self.trusted)
        #expect(identity.isPeerTrusted)
        let address = Array("10.9.9.9".utf8)
        let word = Array("unknown".utf8)
        let afterWord = identity.offer(word.span, trusted: Self.trusted)
        let afterAddress = identity.offer(address.span, trusted: Self.trusted)
        #expect(!afterWord && !afterAddress)
        #expect("\(identity.address)" == "10.0.0.1")
        let stranger = ClientIdentity(peer: try #require(IPAddress(parsing: "192.0.2.1")), trusted: Self.trusted)
        #expect(!stranger.isPeerTrusted)
    }
}
