import ArgumentParser
import Foundation

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
        let address = given ?? ProcessInfo.processInfo.environment["BALANCER_ADMIN"] ?? ""
        return address.isEmpty ? "127.0.0.1:9901" : address
    }
}
