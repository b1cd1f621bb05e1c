import Reactor
import Traffic

/// Carries one probe to an endpoint. The data plane's own connector in production, a fake in tests.
package protocol ProbeTransport: Sendable {
    /// Sends `request`, reads until `isComplete`, the end, `limit` bytes or a deadline (both in milliseconds from now).
    func exchange(
        with address: SocketAddress, tls: DialTLS?, request: [UInt8], connectMilliseconds: UInt32,
        milliseconds: UInt32, limit: Int, isComplete: @escaping @Sendable ([UInt8]) -> Bool
    ) async -> DialResult
}

extension Dialer: ProbeTransport {
    package func exchange(
        with address: SocketAddress, tls: DialTLS?, request: [UInt8], connectMilliseconds: UInt32,
        milliseconds: UInt32, limit: Int, isComplete: @escaping @Sendable ([UInt8]) -> Bool
    ) async -> DialResult {
        await self.exchange(
            with: address, tls: tls, send: request, connectMilliseconds: connectMilliseconds,
            milliseconds: milliseconds,
            limit: limit, until: isComplete)
    }
}
