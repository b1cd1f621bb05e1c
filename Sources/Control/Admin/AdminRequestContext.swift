import Hummingbird
import NIOCore

/// Knows who asks, for the journal.
struct AdminRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The client's address, empty when unknown.
    let client: String

    init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        let address = source.channel.remoteAddress
        self.client = address?.ipAddress ?? ""
    }

    var origin: ChangeOrigin { ChangeOrigin(.api, who: self.client) }
}
