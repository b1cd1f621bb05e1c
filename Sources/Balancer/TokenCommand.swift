import ArgumentParser
import Control
import RoutesFile

struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Makes tokens for the admin API.", subcommands: [Create.self])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Makes a token and prints it, this once, with its line for routes.json.",
            discussion:
                "Nothing is sent or written: the line goes into admin.tokens, or into the file of admin.tokensFile.")

        @Argument(help: "Whose it is: what the journal says of who did it.")
        var name: String

        @Option(help: "viewer or operator.")
        var role: Role

        func validate() throws {
            guard Self.isName(self.name) else {
                throw ValidationError("a name has 1 to 64 of A-Z a-z 0-9 . _ -")
            }
        }

        func run() {
            var random = SystemRandomNumberGenerator()
            let token = Self.text((0..<4).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } })
            let hash = Self.hexadecimal(SHA256.hash(token.utf8))
            Output.line(token)
            Output.line("{\"name\": \"\(self.name)\", \"role\": \"\(self.role.rawValue)\", \"sha256\": \"\(hash)\"}")
        }

        private static func isName(_ text: String) -> Bool {
            (1...64).contains(text.utf8.count)
                && text.utf8.allSatisfy { byte in
                    switch byte {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
                    default: false
                    }
                }
        }

        private static func hexadecimal(_ bytes: [UInt8]) -> String {
            let digits = Array("0123456789abcdef")
            return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        }

        /// 43 characters that need no quoting anywhere (base64url, RFC 4648 5).
        private static func text(_ bytes: [UInt8]) -> String {
            let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
            var (text, held, bits) = ("", 0, 0)
            for byte in bytes {
                (held, bits) = (held << 8 | Int(byte), bits + 8)
                while bits >= 6 {
                    bits -= 6
                    text.append(digits[held >> bits & 63])
                }
                held &= (1 << bits) - 1
            }
            if bits > 0 { text.append(digits[held << (6 - bits) & 63]) }
            return text
        }
    }

    enum Role: String, ExpressibleByArgument, CaseIterable { case viewer, `operator` }
}
