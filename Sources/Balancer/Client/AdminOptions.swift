import ArgumentParser
import FoundationEssentials
import Reactor

/// Where the running balancer is asked, and how the answer is shown.
struct AdminOptions: ParsableArguments {
    @Option(
        name: .customLong("admin"),
        help: "Address of the admin API. Without it: the environment's BALANCER_ADMIN, else 127.0.0.1:9901.")
    var address: String?

    @Option(
        name: .customLong("token-file"),
        help: """
            File with the token to show. Without it: the environment's BALANCER_TOKEN, or the file that its \
            BALANCER_TOKEN_FILE names.
            """)
    var tokenFile: String?

    @OptionGroup var trust: TrustOptions

    @Flag(help: "Show the token to an admin API on another machine although it is asked without TLS.")
    var insecure = false

    @Flag(help: "Answer in JSON, as the admin API said it.")
    var json = false

    /// The address that holds: what was given, else the environment's, else the default.
    static func base(_ given: String?) -> String {
        AdminAddress.base(given, environment: ProcessInfo.processInfo.environment)
    }

    /// What to show to an admin API that asks for a token; nil: nothing.
    func token() throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        if self.tokenFile == nil, let token = environment["BALANCER_TOKEN"], !token.isEmpty {
            return try Self.checked(token)
        }
        guard let path = self.tokenFile ?? environment["BALANCER_TOKEN_FILE"], !path.isEmpty else { return nil }
        do {
            return try Self.checked(String(decoding: try WholeFile.read(path), as: UTF8.self))
        } catch let error as SystemError {
            Output.error("balancer: cannot read the token in \(path): \(error.reason)".visible)
            throw ExitCode(1)
        }
    }

    /// One word, whatever white space is around it.
    private static func checked(_ text: String) throws -> String {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 1, words[0].utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            Output.error("balancer: the token is not one word")
            throw ExitCode(1)
        }
        return String(words[0])
    }

    func validate() throws { try Self.validate(self.address) }

    /// Before anything is sent: a name without a port would be looked up, and the fault told as the network's.
    static func validate(_ given: String?) throws {
        guard AdminAddress.isAddress(Self.base(given)) else {
            throw ValidationError(
                "\(AdminAddress.source(given)) is not HOST:PORT,\nsuch as \(AdminAddress.standard)")
        }
    }
}
