/// What a worker counts of its HTTP/2 clients.
package struct HTTP2Counters: Sendable {
    /// Codes that RFC 9113 7 defines; all others are counted behind them, as one.
    package static let codes = 14
    /// Kinds of floods.
    package static let kinds = 11

    /// Open now.
    package var connections = 0
    package var streams = 0
    package var streamsTotal: UInt64 = 0
    /// By code.
    package var resetsReceived = ContiguousArray<UInt64>(repeating: 0, count: HTTP2Counters.codes + 1)
    package var resetsSent = ContiguousArray<UInt64>(repeating: 0, count: HTTP2Counters.codes + 1)
    package var goAwaysSent = ContiguousArray<UInt64>(repeating: 0, count: HTTP2Counters.codes + 1)
    /// By kind: connections that ended because of one.
    package var floods = ContiguousArray<UInt64>(repeating: 0, count: HTTP2Counters.kinds)

    package init() {}

    /// As metrics write them.
    package static let codeNames = [
        "no-error", "protocol-error", "internal-error", "flow-control-error", "settings-timeout", "stream-closed",
        "frame-size-error", "refused-stream", "cancel", "compression-error", "connect-error", "enhance-your-calm",
        "inadequate-security", "http-1.1-required", "other",
    ]
    package static let floodNames = [
        "resets", "pings", "settings", "priorities", "window-updates", "empty-data", "unknown-frames", "continuations",
        "fields", "idle-bytes", "unsent-control",
    ]
}
