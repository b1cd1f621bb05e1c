/// What an attempt says about its endpoint. A class, never a raw status.
package enum Outcome: UInt8, Sendable {
    case success
    /// Refused, reset, timed out, cut short, or an answer that blames the server.
    case failure
    /// An answer that breaks the protocol's form or our own limits. One page may always be answered so (legal fields that
    /// are too many for us, a 204 with a length), and a client can visit it at will: such answers are counted apart, and
    /// judge the endpoint only if several pages get nothing else.
    case malformed
    /// Asked to come back later: no sign of ill health, and none of recovery.
    case overload
    /// The client's own fault, its stall during an upload included.
    case clientFault
    /// Ended before it could say anything.
    case cancelled

    /// Of a complete answer. Only what a proxy in front of the endpoint would itself have to call a failure counts against
    /// it: a 500 may be provoked by a client at will (the legacy API answers one to a malformed number), and must not let
    /// that client take endpoints out.
    package init(status: UInt16) {
        self =
            switch status {
            case 502, 504: .failure
            case 429, 503: .overload
            case 400..<500: .clientFault
            default: .success
            }
    }
}
