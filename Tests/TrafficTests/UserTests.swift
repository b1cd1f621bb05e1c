import Testing
import Traffic

@Suite("Users and their hashes")
struct UserTests {
    private static let bcrypt = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
    private static let sha256 = "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM."
    private static let yescrypt = "$y$j9T$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01"

    @Test(
        "A hash is known by its form, and its cost told",
        arguments: [
            (Self.bcrypt, 0), (Self.bcrypt.replacing("$04$", with: "$12$"), 200),
            (Self.sha256, 1), (Self.sha256.replacing("$5$a", with: "$5$rounds=500000$a"), 120), (Self.yescrypt, 19),
            (Self.yescrypt.replacing("j9T", with: "jBT"), 76),
        ] as [(String, UInt64)])
    func costs(hash: String, milliseconds: UInt64) {
        #expect(PasswordForm.milliseconds(of: hash) == milliseconds)
        #expect(PasswordForm.fault(in: hash) == nil)
    }

    @Test(
        "What is none, or guessed too fast, or takes too long, is told without being shown",
        arguments: [
            "", "secret", "$1$abcdefgh$gruCpC7VkOTspMQTTSAR8m", "$2b$04$short",
            "$2b$xx$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            "$2b$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            "$5$rounds=999$a$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
            "$5$rounds=99999999999999999999$a$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.", "$5$a$b", "$y$a",
            "$y$j$a$b",
            "$y$jzT$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01", "{SHA}x", "$apr1$a$b", "a b", "$$$$$",
        ])
    func faults(hash: String) throws {
        let words = try #require(PasswordForm.fault(in: hash))
        #expect(hash.count < 3 || !words.contains(hash))
    }

    @Test("Neither words nor a dump of a specification show a hash or a key")
    func secrets() {
        let key = Array("secret-key".utf8)
        var specs: [Any] = [
            UserSpec(name: "ann", hash: Self.bcrypt), NamedFile(path: "/key", bytes: key),
        ]
        var auth = BasicAuthSpec(realm: "a")
        auth.users = [UserSpec(name: "ann", hash: Self.bcrypt)]
        auth.file = NamedFile(path: "/users", bytes: key)
        var route = RouteSpec(name: "api", action: .respond(status: 404))
        route.basicAuth = auth
        specs += [auth, route] as [Any]
        for spec in specs {
            var text = ""
            dump(spec, to: &text)
            text += "\(spec)" + String(reflecting: spec)
            #expect(!text.contains(Self.bcrypt) && !text.contains("secret-key"))
            // The bytes as numbers.
            #expect(!text.contains("115, 101, 99") && !text.contains("- 115\n"))
            #expect(text.contains("ann") || text.contains("/key"))
        }
    }

    @Test("A file has a user a line; the first line that is not good is named")
    func files() {
        let good = UserFile.read(Array("# comment\n\nann:\(Self.bcrypt)\r\n b o b:\(Self.sha256)".utf8))
        #expect(good.fault?.hasPrefix("line 4: a user's name") == true, "no blanks around it")
        let names = UserFile.read(Array("ann:\(Self.bcrypt)\r\nb o b:\(Self.sha256)\n".utf8))
        #expect(names.fault == nil && names.users.map(\.name) == ["ann", "b o b"])
        #expect(names.users.map(\.hash) == [Self.bcrypt, Self.sha256])
        #expect(UserFile.read(Array("ann".utf8)).fault == "line 1: expected NAME:HASH")
        #expect(UserFile.read(Array("ann:\(Self.bcrypt)\nann:\(Self.sha256)".utf8)).fault?.hasPrefix("line 2:") == true)
        #expect(UserFile.read(Array("ann:\(Self.bcrypt):x".utf8)).fault?.hasPrefix("line 1:") == true)
        #expect(UserFile.read([0x61, 0x3A, 0xFF]).fault == "line 1: expected NAME:HASH")
        #expect(UserFile.read(Array("# nobody\n".utf8)).fault == "names no user")
    }

    @Test("Who is not known is always the same user's, whom nobody outside can tell")
    func standIns() {
        let specs = (0..<50).map { UserSpec(name: "user-\($0)", hash: "h\($0)") }
        let table = UserTable(specs, key: (1, 2))
        for (index, spec) in specs.enumerated() {
            let found = table.find(Array(spec.name.utf8).span)
            #expect(found.index == index && found.isKnown)
        }
        let other = UserTable(specs, key: (3, 4))
        var differences = 0
        for number in 0..<100 {
            let name = Array("stranger-\(number)".utf8)
            let first = table.find(name.span)
            let again = table.find(name.span)
            #expect(!first.isKnown && again.index == first.index)
            let elsewhere = other.find(name.span)
            if elsewhere.index != first.index { differences += 1 }
        }
        #expect(differences > 80)
        let nobody: [UInt8] = []
        let found = table.find(nobody.span)
        #expect(!found.isKnown)
    }
}
