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

    func dial(_ address: SocketAddress, for exchange: ProbeExchange) -> DialTLS? {
        let offers: ProtocolOffer =
            switch exchange.speaks {
            case .http1: .nothing
            case .http2: .http2
            // What only HTTP/2 carries is not asked for otherwise.
            case .negotiated: exchange.spec.grpc == nil ? .either : .http2
            }
        return self.client.map {
            DialTLS(
                $0, name: self.name ?? address.ip.description, isAddress: self.name == nil,
                preamble: exchange.announcement, offers: offers,
                overHTTP2: offers == .nothing ? [] : exchange.requestOverHTTP2)
        }
    }
}
