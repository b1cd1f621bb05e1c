/// An active check. Times in milliseconds.
package struct ProbeSpec: Sendable, Equatable {
    package var method = "GET"
    package var path = "/"
    /// nil: the endpoint's address.
    package var host: String?
    package var interval: UInt32 = 2_000
    package var timeout: UInt32 = 1_000
    package var rise: UInt32 = 2
    package var fall: UInt32 = 3
    package var expectedStatus: [ClosedRange<UInt16>] = [200...399]
    /// nil: any body.
    package var expectedBody: String?
    /// The service that `grpc.health.v1.Health/Check` is asked about, empty: the server as a whole; nil: no gRPC.
    package var grpc: String?

    package init() {}
}

/// Passive removal by outcomes of real traffic.
package struct PassiveSpec: Sendable, Equatable {
    package var enabled = true
    package var consecutiveFailures: UInt32 = 5
    /// Percent of failures in the window that ejects, 1…100.
    package var failureRate: UInt32 = 50
    package var minimumRequests: UInt32 = 20
    /// Milliseconds.
    package var window: UInt32 = 10_000
    package var baseEjection: UInt32 = 30_000
    package var maxEjection: UInt32 = 300_000
    /// Percent of an upstream's endpoints that may be out at once, 0…100. At least one may be if the upstream has
    /// two or more and this is not 0.
    package var maxEjectedShare: UInt32 = 50

    package init() {}
}
