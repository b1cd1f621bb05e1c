/// The fields of a head or of trailers that were written as HTTP/1 lines, for a protocol that has them one by one: names in
/// lower case, and none that belongs to an HTTP/1 connection (RFC 9113 8.2.2).
package struct FieldLines {
    private let bytes: UnsafeMutableRawBufferPointer
    private var cursor: Int
    private let takesTrailers: Bool

    /// `startsWithLine`: a request or status line comes first. `takesTrailers`: `TE: trailers` is among them, which requests may
    /// say (RFC 9113 8.2.2).
    package init(_ bytes: UnsafeMutableRawBufferPointer, startsWithLine: Bool, takesTrailers: Bool = false) {
        self.bytes = bytes
        self.takesTrailers = takesTrailers
        self.cursor = 0
        if startsWithLine { self.cursor = self.lineEnd(from: 0) + 2 }
    }

    /// Answers the key that another protocol knows nothing of.
    package static func isWebSocketAccept(_ name: UnsafeRawBufferPointer) -> Bool {
        FieldRules.equals(name, "sec-websocket-accept")
    }

    private func lineEnd(from start: Int) -> Int {
        guard start < self.bytes.count else { return start }
        let bytes = UnsafeRawBufferPointer(self.bytes).assumingMemoryBound(to: UInt8.self).span
        return ByteScan.find(0x0D, in: bytes, start..<bytes.count)
    }

    /// The next field, in place.
    package mutating func next() -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        while true {
            let start = self.cursor
            let end = self.lineEnd(from: start)
            guard end > start, end < self.bytes.count else { return nil }
            self.cursor = end + 2
            var colon = start
            while colon < end, self.bytes[colon] != 0x3A {
                self.bytes[colon] = FieldRules.lower(self.bytes[colon])
                colon += 1
            }
            guard colon > start, colon < end else { continue }
            var lower = colon + 1
            while lower < end, self.bytes[lower] == 0x20 || self.bytes[lower] == 0x09 { lower += 1 }
            let source = UnsafeRawBufferPointer(self.bytes)
            let name = UnsafeRawBufferPointer(rebasing: source[start..<colon])
            let value = UnsafeRawBufferPointer(rebasing: source[lower..<end])
            if FieldRules.isOfConnection(name, value) { continue }
            if FieldRules.equals(name, "te"), !self.takesTrailers { continue }
            return (name, value)
        }
    }
}
