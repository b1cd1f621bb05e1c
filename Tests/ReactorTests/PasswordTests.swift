import Testing

@testable import Reactor

@Suite("Passwords")
struct PasswordTests {
    @Test(
        "The hashes of crypt(5) that routes.json takes",
        arguments: [
            "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
            "$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1",
            "$y$j75$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01",
        ])
    func kinds(hash: String) {
        #expect(self.matches("secret", hash))
        #expect(!self.matches("secret ", hash))
        #expect(!self.matches("secret\0", hash), "what stands behind a zero counts")
        #expect(!self.matches("", hash))
        #expect(!self.matches(String(repeating: "a", count: Passphrase.longest), hash))
        #expect(!self.matches(String(repeating: "a", count: 4_000), hash))
    }

    @Test("What is no hash has no password", arguments: ["", "*0", "secret", "$6$abcdefgh"])
    func none(hash: String) {
        #expect(!self.matches("secret", hash))
        #expect(!self.matches("", hash))
    }

    private func passphrase(_ text: String) -> Passphrase {
        Array(text.utf8).withUnsafeBytes { Passphrase($0) }
    }

    private func matches(_ password: String, _ hash: String) -> Bool {
        self.passphrase(password).matches(Array(hash.utf8))
    }

    @Test("Nothing is left of a password that was wiped, and it has no hash any more")
    func wiping() {
        let hash = Array("$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW".utf8)
        let password = self.passphrase("secret")
        #expect(password.matches(hash) && !password.isWiped)
        password.wipe()
        #expect(password.isWiped && !password.matches(hash))
        #expect(self.passphrase(String(repeating: "a", count: 4_000)).isWiped, "what is too long is not copied")
    }

    @Test("HMAC-SHA-256, again and again with one key")
    func codes() throws {
        // RFC 4231 4.2, its key filled up with zeros as HMAC itself does.
        let key = [UInt8](repeating: 0x0B, count: 20) + [UInt8](repeating: 0, count: 12)
        let expected: [UInt8] = [
            0xB0, 0x34, 0x4C, 0x61, 0xD8, 0xDB, 0x38, 0x53, 0x5C, 0xA8, 0xAF, 0xCE, 0xAF, 0x0B, 0xF1, 0x2B,
            0x88, 0x1D, 0xC2, 0x00, 0xC9, 0x83, 0x3D, 0xA7, 0x26, 0xE9, 0x37, 0x6C, 0x2E, 0x32, 0xCF, 0xF7,
        ]
        let hash = try #require(KeyedHash(key: key))
        for _ in 0..<3 {
            let code = Array("Hi There".utf8).withUnsafeBytes { hash.code(of: $0) }
            #expect(withUnsafeBytes(of: try #require(code)) { Array($0) } == expected)
            #expect(Array("Hi".utf8).withUnsafeBytes { hash.code(of: $0) } != code)
        }
        #expect(KeyedHash(key: [1]) == nil)
    }
}
