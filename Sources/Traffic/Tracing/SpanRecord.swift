/// A span that has ended, as the data plane hands it over. It holds nothing of a request but its method and its path.
package struct SpanRecord: Sendable {
    package enum Kind: Sendable {
        /// A client's request up to its answer's end.
        case request
        /// What one endpoint was asked, of a request or of its copy.
        case attempt, copy
    }

    package var kind: Kind
    package var trace: TraceID
    package var span: UInt64
    /// 0: it is the trace's first.
    package var parent: UInt64
    /// A span of the same trace that this one belongs beside; 0: none.
    package var link: UInt64 = 0
    /// As `traceparent` has them.
    package var flags: UInt8
    /// Microseconds of the monotonic clock.
    package var began: UInt64
    package var ended: UInt64
    package var method: String
    /// Without query.
    package var path: [UInt8]
    /// 0: there was no answer.
    package var status: UInt16 = 0
    /// gRPC's own; -1: it is none, or nothing has said so.
    package var grpc: Int8 = -1
    package var isError = false
    /// Why the balancer answered by itself, or the attempt failed, as the access log has it; empty: neither.
    package var reason = ""
    /// Who connected.
    package var peer: IPAddress?
    package var endpoint: SocketAddress?
    /// Attempts before it.
    package var resends: UInt32 = 0
    package var route = ""
    package var upstream = ""
    /// The plan that it was copied for.
    package var mirror = ""
    /// Of the plan that counts the route's requests, from 1; 0: none does.
    package var stage = 0
    package var epoch: UInt64 = 0

    package init(
        _ kind: Kind, trace: TraceID, span: UInt64, parent: UInt64, flags: UInt8, began: UInt64, ended: UInt64,
        method: String, path: [UInt8]
    ) {
        self.kind = kind
        self.trace = trace
        self.span = span
        self.parent = parent
        self.flags = flags
        self.began = began
        self.ended = ended
        self.method = method
        self.path = path
    }
}

/// Sixteen bytes that all spans of a trace share.
package struct TraceID: Sendable, Hashable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}
