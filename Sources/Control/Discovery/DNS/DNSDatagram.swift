import Reactor
import Traffic

/// One question and its answer over UDP.
enum DNSDatagram {
    /// Waits until a datagram from `server` is accepted or time is up.
    static func exchange(
        _ query: [UInt8], with server: SocketAddress, by dialer: Dialer, milliseconds: UInt32,
        accept: @escaping @Sendable ([UInt8]) -> Bool
    ) async -> Result<[UInt8], DiscoveryFailure> {
        let result = await dialer.exchangeDatagram(
            with: server, send: query, milliseconds: milliseconds, accept: accept)
        switch result.end {
        case .complete: return .success(result.bytes)
        case .responseTimeout, .connectTimeout:
            return .failure(DiscoveryFailure("\(server) does not answer", isSilence: true))
        case .cancelled: return .failure(DiscoveryFailure("\(server) has not answered in time", isSilence: true))
        case .refused: return Self.failure(server, "nobody listens there")
        case .exhausted: return Self.failure(server, "this process has no descriptor left")
        case .unreachable, .reset, .closed, .limit, .handshake:
            return Self.failure(server, "it cannot be reached")
        }
    }

    private static func failure(_ server: SocketAddress, _ cause: String) -> Result<[UInt8], DiscoveryFailure> {
        .failure(DiscoveryFailure("\(server) cannot be asked: \(cause)"))
    }
}
