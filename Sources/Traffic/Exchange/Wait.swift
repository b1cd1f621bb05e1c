/// What an exchange waits for; each has its deadline in routes.json.
package enum Wait: Sendable, Equatable {
    case none
    /// A look at the client's credentials; `timeouts.queue`. Exceeded: 503.
    case credentials
    /// The client's body; `timeouts.requestBodyIdle`, and `limits.requestBodyRate` once it is that old. Exceeded: 408.
    case requestBody
    /// An endpoint that does not take the body; `timeouts.requestBodyIdle`. Exceeded: 504, the endpoint's failure.
    case upload
    /// A slot; `timeouts.queue`. Exceeded: 503.
    case queue
    /// TCP connect; `timeouts.connect`. Exceeded: another attempt, or 504.
    case dial
    /// `timeouts.responseHeader`. Exceeded: 504.
    case answerHead
    /// The endpoint's next bytes; `timeouts.responseBodyIdle`. Exceeded: the answer is cut, the endpoint's failure.
    case answerBody
    /// Either side's next bytes, the endpoint having taken all that the client sent; `timeouts.responseBodyIdle`.
    /// Exceeded: the answer is cut, and the client that stopped sending is to blame.
    case bothBodies
    /// The answer is out, the upstream reads on, or has not yet taken what the client sent; `timeouts.requestBodyIdle`. Exceeded: the rest is thrown away.
    case restOfRequest
    /// A client that does not take its answer; `timeouts.responseBodyIdle`. Exceeded: it is reset.
    case flush
    /// `timeouts.tunnelIdle`, or `timeouts.tunnelHalfClosed` once one side has ended.
    case tunnel
}
