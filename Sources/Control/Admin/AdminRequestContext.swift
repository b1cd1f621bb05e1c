import Hummingbird
import NIOCore

/// Knows who asks, for the journal.
struct AdminRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The client's address, empty when unknown.
    let client: String
    /// The address that the client has connected to, empty when unknown.
    let local: String
    /// What the request came through.
    let channel: any Channel
    /// The name of the token that it came with.
    var name: String?

    init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
        let address = source.channel.remoteAddress
        self.client = address?.ipAddress ?? ""
        self.local = source.channel.localAddress?.ipAddress ?? ""
    }

    var origin: ChangeOrigin { ChangeOrigin(.api, who: self.name ?? self.client) }
}
