/// Why a request that was chosen was not compared with a copy of it. Copies that are lost are samples that are missing, and
/// nothing else.
package enum MirrorDrop: Int, Sendable, CaseIterable {
    /// The queue of copies, or that of comparisons, is full; or another thread had it at that moment.
    case queue
    /// What copies may hold is used up.
    case memory
    /// Of the request not all is kept, or the live answer ended before its end.
    case body
    /// More than `perSecond`.
    case rate
    /// The side has requests waiting, or its endpoints, or all connections for copies, are in use.
    case busy
    /// No endpoint of the side may be asked, none could be reached, or too many copies in a row have failed.
    case unavailable
    /// No whole answer came in time.
    case timeout
    /// The path, or the method, is one that is not copied.
    case except, method
    /// The copy's answer is none.
    case decode
    /// The live request was answered by another side than its own, or after an attempt that had failed.
    case answeredElsewhere

    package var word: String {
        switch self {
        case .queue: "queue"
        case .memory: "memory"
        case .body: "body"
        case .rate: "rate"
        case .busy: "busy"
        case .unavailable: "unavailable"
        case .timeout: "timeout"
        case .except: "except"
        case .method: "method"
        case .decode: "decode"
        case .answeredElsewhere: "answered-elsewhere"
        }
    }
}
