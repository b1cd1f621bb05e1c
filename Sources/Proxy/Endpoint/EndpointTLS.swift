import Reactor
import Traffic

/// How an upstream's endpoints speak TLS: derived from a table, and shared by the workers.
final class UpstreamTLSPlan: Sendable {
    let spec: UpstreamTLS
    /// nil: the library made none of what was tried before. Then no connection is made, rather than a plain one.
    let client: TLSClient?

    init(_ spec: UpstreamTLS) {
        self.spec = spec
        self.client = try? TLSClient(spec)
    }
}

/// TLS to one endpoint in one worker.
final class EndpointTLS {
    let plan: UpstreamTLSPlan
    /// Asked for and demanded of the certificate; an address is only demanded.
    private let name: String
    private let isAddress: Bool
    /// What the endpoint gave last: the next handshake takes no certificate.
    private var ticket: TLSTicket?

    /// Whether it is what that plan and that upstream want of the endpoint: the name may change without the plan.
    func suits(_ plan: UpstreamTLSPlan, _ upstream: UpstreamSpec) -> Bool {
        self.plan === plan && (self.isAddress ? nil : self.name) == upstream.tlsName
    }

    init(_ plan: UpstreamTLSPlan, upstream: UpstreamSpec, address: SocketAddress) {
        self.plan = plan
        if let name = upstream.tlsName {
            self.name = name
            self.isAddress = false
        } else {
            self.name = address.ip.description
            self.isAddress = true
        }
    }

    /// False: no session can be made.
    func begin(_ channel: inout Channel, _ memory: TLSMemory, offers: ProtocolOffer) -> Bool {
        guard let client = self.plan.client else { return false }
        return channel.beginTLS(
            client, memory: memory, name: self.name, isAddress: self.isAddress, ticket: self.ticket, offers: offers)
    }

    /// A session came to nothing, perhaps for what it was to go on from: the next begins anew.
    func forgetTicket() { self.ticket = nil }

    /// Takes what the endpoint has given for the next connection.
    func keepTicket(of channel: borrowing Channel) {
        if let ticket = channel.takeTicket() { self.ticket = ticket }
    }
}
