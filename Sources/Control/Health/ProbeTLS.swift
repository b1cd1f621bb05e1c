import Reactor
import Traffic

/// How probes of one upstream speak TLS.
struct ProbeTLS: Sendable, Equatable {
    let spec: UpstreamTLS
    /// nil: each endpoint is asked for by its address.
    let name: String?
    /// nil: the library made none of what was tried before.
    let client: TLSClient?

    static func == (left: ProbeTLS, right: ProbeTLS) -> Bool { left.spec == right.spec && left.name == right.name }

    func dial(_ address: SocketAddress, preamble: [UInt8]) -> DialTLS? {
        self.client.map {
            DialTLS(
                $0, name: self.name ?? address.ip.description, isAddress: self.name == nil, preamble: preamble)
        }
    }
}
