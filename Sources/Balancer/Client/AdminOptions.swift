import ArgumentParser
import FoundationEssentials

/// Where the running balancer is asked, and how the answer is shown.
struct AdminOptions: ParsableArguments {
    @Option(
        name: .customLong("admin"),
        help: "Address of the admin API. Without it: the environment's BALANCER_ADMIN, else 127.0.0.1:9901.")
    var address: String?

    @Flag(help: "Answer in JSON, as the admin API said it.")
    var json = false

    /// The address that holds: what was given, else the environment's, else the default.
    static func base(_ given: String?) -> String {
        AdminAddress.base(given, environment: ProcessInfo.processInfo.environment)
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
