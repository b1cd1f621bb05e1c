/// Cuts a stream of bytes into lines. A line longer than `limit` is a fault: it would have to be held whole.
struct LineCutter: Sendable {
    private let limit: Int
    private var rest: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    /// Whether a line has begun that has not ended.
    var hasRest: Bool { !self.rest.isEmpty }

    /// The lines that `bytes` completes, without their ends, empty ones left out.
    mutating func lines(_ bytes: some Sequence<UInt8>) throws(DiscoveryFailure) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        for byte in bytes {
            if byte == 0x0A {
                if !self.rest.isEmpty { lines.append(self.rest) }
                self.rest = []
            } else {
                guard self.rest.count < self.limit else {
                    throw DiscoveryFailure("an event of the watch is longer than \(self.limit) bytes")
                }
                self.rest.append(byte)
            }
        }
        return lines
    }
}
