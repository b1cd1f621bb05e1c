import AsyncHTTPClient
import Glibc
import Reactor

/// What libraries make when it is first wanted, and end the process over where it cannot be had then: made at the start.
enum LibraryResources {
    /// Descriptors that a start takes at least.
    private static let descriptors = 64

    /// Throws if the process may not have as many descriptors as it starts with.
    static func make() async throws(SystemError) {
        try Self.check()
        // Event loops of the admin API and of the client of Kubernetes.
        _ = HTTPClient.defaultEventLoopGroup
        // The timers behind sleeping tasks, one descriptor for each clock, which a sleep that is over before it begins does
        // not make.
        async let first: Void? = try? ContinuousClock().sleep(for: .milliseconds(20))
        async let second: Void? = try? SuspendingClock().sleep(for: .milliseconds(20))
        _ = await (first, second)
    }

    private static func check() throws(SystemError) {
        var held: [Int32] = []
        defer { for descriptor in held { close(descriptor) } }
        while held.count < Self.descriptors {
            let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw SystemError(operation: "open (\(Self.descriptors) files are wanted)") }
            held.append(descriptor)
        }
    }
}
