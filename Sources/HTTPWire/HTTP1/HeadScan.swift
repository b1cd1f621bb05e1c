/// Says when bytes that are no complete head yet are worth parsing again, so that a peer that drips a head costs O(n) and
/// not O(n²). One value for the head that is awaited; a new one for the next head.
///
/// Worth an attempt are: the first bytes; the end of the start line, in which most of what is wrong shows; the blank line;
/// a byte that no head may hold (a bare CR or LF, another control); a limit that has been passed. So a head is parsed at most
/// three times, and every byte is looked at once. What is wrong in a field is found with the blank line at the latest.
package struct HeadScan: Sendable {
    /// Bytes looked at.
    private var scanned = 0
    /// Bytes of the last attempt.
    private var attempted = 0
    /// Where the line begins that `scanned` stands in.
    private var lineStart = 0
    /// Lines that ended, an empty one before the start line left out.
    private var lines = 0

    package init() {}

    /// `bytes` begins with the head's first byte and holds at least what it held in the last call. Whatever the answer
    /// is, bytes that were asked about are not worth an attempt a second time.
    package mutating func mayBeComplete(_ bytes: Span<UInt8>, limits: HeadLimits) -> Bool {
        let end = bytes.count
        let before = self.attempted
        self.attempted = end
        // Most heads come whole: the first look is the parser's own.
        guard before > 0 else { return end > 0 }
        var startLineEnded = false
        while true {
            let stop = ByteScan.control(bytes, from: self.scanned)
            self.scanned = stop
            // Whether a CR ends the line is told by the byte behind it.
            guard stop < end, bytes[stop] != HeadParser.cr || stop + 1 < end else { break }
            guard bytes[stop] == HeadParser.cr, bytes[stop + 1] == HeadParser.lf else { return true }
            // A blank line; but the very first may be an empty line before a request (RFC 9112 2.2).
            if stop == self.lineStart, stop > 0 { return true }
            self.scanned = stop + 2
            self.lineStart = stop + 2
            guard stop > 0 else { continue }
            self.lines += 1
            if self.lines == 1, stop + 2 > before { startLineEnded = true }
            if self.lines - 1 > limits.count { return true }
        }
        if self.lines == 0, self.scanned - self.lineStart > limits.requestLine { return true }
        return end > limits.bytes || startLineEnded
    }
}
