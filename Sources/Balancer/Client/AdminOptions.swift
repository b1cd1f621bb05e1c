import ArgumentParser

/// Where the running balancer is asked, and how the answer is shown.
struct AdminOptions: ParsableArguments {
    @Option(
        name: .customLong("admin"),
        help: "Address of the admin API. Without it: the environment's BALANCER_ADMIN, else 127.0.0.1:9901.")
    var address: String?

    @Flag(help: "Answer in JSON, as the admin API said it.")
    var json = false
}
