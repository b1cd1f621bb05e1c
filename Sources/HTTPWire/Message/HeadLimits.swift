/// Bounds on one head.
package struct HeadLimits: Sendable {
    /// Bytes of the request or status line.
    package var requestLine: Int
    /// Bytes of the whole head.
    package var bytes: Int
    /// Fields.
    package var count: Int

    package init(requestLine: Int, bytes: Int, count: Int) {
        self.requestLine = requestLine
        self.bytes = bytes
        self.count = count
    }
}
