/// One of the exchanges that a connection carries at a time. 0 is the only one of HTTP/1.
typealias StreamID = Int32

/// How a connection took what an exchange gave it.
enum Flow {
    /// All of it has left.
    case clear
    /// Some of it waits: give no more until the connection says that it is clear.
    case waits
    /// Nothing reaches the peer any more.
    case gone
    /// A head outgrew its room: nothing of it was written.
    case tooLarge
    /// It is no answer to what the client asked for, or a request larger than the endpoint has said that it takes: nothing of it
    /// was written.
    case unsuitable

    var isRefused: Bool { self == .tooLarge || self == .unsuitable }
}

/// How an exchange leaves the client's connection.
enum AnswerEnd {
    /// The answer was given whole, and the request was read whole.
    case whole
    /// The answer was given whole; what still comes of the request is to be thrown away.
    case requestAbandoned
    /// The answer ends before its end: the client must see that.
    case cut
}

/// How an exchange leaves the endpoint's connection.
enum EndpointEnd {
    /// Fit for another exchange, if the connection finds that both messages ended exactly.
    case clean
    case closed
    /// The endpoint must see a reset.
    case cut
}
