import HTTPWire
import Traffic

/// A request as its live exchange had it, with all that sending it again takes. Immutable; any thread may have it.
final class CopiedRequest: MirroredRequest {
    /// Keeps what the route refers to alive.
    let plan: TablePlan
    let route: RoutePlan
    let mirror: MirrorPlan
    let head: HeadCopy
    /// Whole, without framing.
    let body: [UInt8]
    let peer: AddressText
    let scheme: RequestContext.Scheme
    let isTrusted: Bool
    let requestID: (UInt64, UInt64)
    /// Whole lines that tell who asks.
    let addedLines: [UInt8]
    /// Both ends of the client's connection, for an upstream that is told of them.
    let ends: (source: SocketAddress, destination: SocketAddress)?
    /// nil: no span is made of it.
    let trace: CopiedTrace?

    init(
        plan: TablePlan, route: RoutePlan, mirror: MirrorPlan, head: HeadCopy, body: [UInt8], peer: AddressText,
        scheme: RequestContext.Scheme, isTrusted: Bool, requestID: (UInt64, UInt64), addedLines: [UInt8],
        ends: (source: SocketAddress, destination: SocketAddress)?, trace: CopiedTrace? = nil
    ) {
        self.plan = plan
        self.route = route
        self.mirror = mirror
        self.head = head
        self.body = body
        self.peer = peer
        self.scheme = scheme
        self.isTrusted = isTrusted
        self.requestID = requestID
        self.addedLines = addedLines
        self.ends = ends
        self.trace = trace
    }

    var method: String { self.head.method }
    var target: String { self.head.target }

    /// The upstream of a member of the route's split, and how it speaks TLS.
    func side(_ member: Int) -> (upstream: Upstream, tls: UpstreamTLSPlan?)? {
        guard let upstream = self.route.route.upstream(member) else { return nil }
        let tls = upstream.index < self.plan.upstreamTLS.count ? self.plan.upstreamTLS[upstream.index] : nil
        return (upstream, tls)
    }
}

/// A request to be sent to one side, and what its answer is for.
struct MirrorJob: Sendable {
    enum Purpose: Sendable {
        /// To be compared with the live answer.
        case compare(MirroredAnswer, MirrorLease)
        /// Somebody waits for it.
        case ask(CheckedContinuation<MirroredAnswer?, Never>)
    }

    let request: CopiedRequest
    /// Of the route's split.
    let member: Int
    let purpose: Purpose
    /// Milliseconds of the monotonic clock when it was offered.
    let offered: UInt64

    /// What its answer takes of the plan's memory hangs on it.
    var lease: MirrorLease {
        switch self.purpose {
        case .compare(_, let lease): lease
        case .ask: MirrorLease(self.request.mirror.record.memory)
        }
    }

    /// It will not be answered.
    func drop(_ reason: MirrorDrop) {
        switch self.purpose {
        case .compare: self.request.mirror.record.drop(reason)
        case .ask(let waiting): waiting.resume(returning: nil)
        }
    }
}
