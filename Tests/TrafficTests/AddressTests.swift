import Testing
import Traffic

@Suite("Addresses as text")
struct AddressTests {
    @Test(
        "What is an address is read and written in its canonical form",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"),
            ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::A", "2001:db8::a"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("0001:0002:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("::ffff:1.2.3.4", "1.2.3.4"), ("::ffff:102:304", "1.2.3.4"), ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
            ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
        ])
    func canonical(text: String, expected: String) {
        let address = IPAddress(parsing: text)
        #expect(address?.description == expected)
        #expect(IPAddress(parsing: expected) == address)
    }

    @Test(
        "What is nearly an address is refused",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.00", "1.2.3.4 ", " 1.2.3.4", "1..2.3",
            "1.2.3.", ".1.2.3", "0x7f.0.0.1", "1.2.3.-4", "+1.2.3.4", ":", ":::", "1:::2", "::1::", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "12345::", "g::", ":1", "1:", "::1:",
            "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "::1.2.3", "::01.2.3.4", "fe80::1%eth0", "[::1]", "::1\0",
            "１.2.3.4",
        ])
    func refused(text: String) {
        #expect(IPAddress(parsing: text) == nil)
    }

    @Test("Every address reads back from its own text", arguments: Seeds.first(20))
    func roundTrip(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<100 {
            // Many zero groups, or no run would ever be shortened.
            var address = IPAddress(high: random.next(), low: random.next())
            for shift in stride(from: UInt64(0), to: 64, by: 16) {
                if random.chance(1, of: 2) { address.high &= ~(0xFFFF << shift) }
                if random.chance(1, of: 2) { address.low &= ~(0xFFFF << shift) }
            }
            if IPAddress(parsing: address.description) != address { Issue.record("seed \(seed): \(address)") }
        }
    }

    @Test("A socket address needs its port, and IPv6 its brackets")
    func socketAddresses() {
        #expect(SocketAddress(parsing: "1.2.3.4:80") == SocketAddress(ip: IPAddress(v4: 0x0102_0304), port: 80))
        #expect(SocketAddress(parsing: "[::1]:65535") == SocketAddress(ip: IPAddress(high: 0, low: 1), port: 65_535))
        for text in ["1.2.3.4:0", "[2001:db8::1]:8080"] { #expect(SocketAddress(parsing: text)?.description == text) }
        for text in [
            "", ":80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:080", "1.2.3.4:+80", "1.2.3.4: 80", "::1:80",
            "[::1]", "[::1]80", "[1.2.3.4]:80", "[::1:80", "::1]:80", "[]:80", "localhost:80",
        ] {
            #expect(SocketAddress(parsing: text) == nil, "\(text)")
        }
    }

    @Test(
        "A block contains what agrees with its prefix",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"), ("10.0.0.0/8", "10.0.0.0", "::a00:1"),
            ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"), ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "255.1.2.3", "::1"), ("fd00::/8", "fdff::1", "fe00::1"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("2001:db8::/65", "2001:db8::7fff:0:0:0", "2001:db8:0:0:8000::"),
            ("::1", "::1", "::2"), ("::ffff:0:0/96", "1.2.3.4", "::1:0:0"), ("10.9.8.7/8", "10.1.1.1", "9.9.8.7"),
        ])
    func blocks(text: String, inside: String, outside: String) throws {
        let block = try #require(AddressBlock(parsing: text))
        #expect(block.contains(try #require(IPAddress(parsing: inside))))
        #expect(!block.contains(try #require(IPAddress(parsing: outside))))
        #expect(AddressBlock(parsing: block.description) == block)
    }

    @Test(
        "Malformed blocks are refused",
        arguments: [
            "", "/", "/8", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/08", "::/129", "::/-1", "1.2.3.4/8/8", "1.2.3.4/ 8",
            "a/8",
        ])
    func malformedBlocks(text: String) {
        #expect(AddressBlock(parsing: text) == nil)
    }

    @Test("A set contains what any of its blocks contains")
    func sets() throws {
        let set = AddressSet([
            try #require(AddressBlock(parsing: "10.0.0.0/8")), try #require(AddressBlock(parsing: "::1")),
        ])
        #expect(set.contains(IPAddress(v4: 0x0A01_0203)))
        #expect(set.contains(IPAddress(high: 0, low: 1)))
        #expect(!set.contains(IPAddress(v4: 0x0B01_0203)))
        #expect(!set.isEmpty)
        #expect(AddressSet([]).isEmpty)
        #expect(!AddressSet([]).contains(IPAddress(v4: 0)))
    }
}
