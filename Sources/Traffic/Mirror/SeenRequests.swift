import Synchronization

/// One request that a plan has seen, of those by which the kinds of its requests are known.
package struct SeenRequest: Sendable, Equatable {
    package var route: String
    /// As the client wrote it.
    package var target: [UInt8]
    /// The new side answered it, and not by an error of its own.
    package var isAnsweredByNew: Bool

    package init(route: String, target: [UInt8], isAnsweredByNew: Bool) {
        self.route = route
        self.target = target
        self.isAnsweredByNew = isAnsweredByNew
    }
}

/// The first requests an hour of each kind, whether they are copied or not: what was never compared is known by them. Workers
/// leave them here and wait for nobody.
package final class SeenRequests: Sendable {
    /// Those that wait to be looked at; what is beyond comes again within the hour, or in the next.
    package static let limit = 1_024
    /// Bytes of a target.
    package static let targetLimit = 2_048

    private let kinds = RareTemplates()
    private let requests = Mutex<[SeenRequest]>([])

    package init() {}

    /// Whether this request is among the first of its kind in this hour.
    package func wants(_ hash: UInt64, hour: UInt64) -> Bool { self.kinds.take(hash, hour: hour) }

    package func note(_ request: SeenRequest) {
        guard request.target.count <= Self.targetLimit else { return }
        _ = self.requests.withLockIfAvailable { if $0.count < Self.limit { $0.append(request) } }
    }

    /// What there is, and it begins anew.
    package func take() -> [SeenRequest] {
        self.requests.withLock { requests in
            defer { requests = [] }
            return requests
        }
    }
}
